"""The one exception that speaks to the user, and how text from elsewhere is made fit for a message."""

from __future__ import annotations

import re
import textwrap

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing, and those that change the direction of text."""

_BREAK = re.compile(r"\s*\n\s*")
"""A line break with the white space around it. Other white space stays: a message may quote a command with a folder that has two spaces in its name."""


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
    """The first line of a library's message, cut to 160 characters so that it fits into one of ours; of an empty message, the type of the error."""
    return textwrap.shorten((str(error).strip().splitlines() or [type(error).__name__])[0], 160, placeholder=" …")


def shown(text: str) -> str:
    """Text that others wrote, such as a file name, as one line that is safe to print: characters that could colour the terminal or write to the clipboard are spelled out."""
    return _UNSEEN.sub(lambda one: f"\\x{ord(one[0]):02x}" if one[0] < "\u0100" else f"\\u{ord(one[0]):04x}", text)
