"""The one exception that speaks to the user, and what is taken over from others."""

from __future__ import annotations

import textwrap


class UserError(Exception):
    """Something the user can put right.

    Commands print it as one line and exit with code 2, without a traceback.

    Args:
        message: names the thing that is wrong.
        hint: says the way out.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = " ".join(str(message).split())
        self.hint = " ".join(str(hint).split())
        super().__init__(str(self))

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message.rstrip('.')}. {self.hint}"


def first_line(error: BaseException) -> str:
    """Of a library's message, as many words as have room in one of ours; of an empty one, its kind."""
    return textwrap.shorten((str(error).strip().splitlines() or [type(error).__name__])[0], 160, placeholder=" …")
