"""The one exception that speaks to the user, and what is taken over from others."""

from __future__ import annotations

import re
import textwrap

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys in place of showing it, and what turns the direction of text."""

_BREAK = re.compile(r"\s*\n\s*")
"""Other white space stays: a command that is named may name a folder with two spaces."""


class UserError(Exception):
    """Something the user can put right.

    Commands print it as one line and exit with code 2, without a traceback.

    Args:
        message: names the thing that is wrong.
        hint: says the way out.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = (shown(_BREAK.sub(" ", str(text)).strip()) for text in (message, hint))
        super().__init__(str(self))

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message.rstrip('.')}. {self.hint}"


def first_line(error: BaseException) -> str:
    """Of a library's message, as many words as have room in one of ours; of an empty one, its kind."""
    return textwrap.shorten((str(error).strip().splitlines() or [type(error).__name__])[0], 160, placeholder=" …")


def shown(text: str) -> str:
    """Text that others wrote, such as the name of a file, as one line of a terminal: it may hold sequences that colour it, or write the clipboard."""
    return _UNSEEN.sub(lambda one: f"\\x{ord(one[0]):02x}" if one[0] < "\u0100" else f"\\u{ord(one[0]):04x}", text)
