"""Errors that requests are answered with: a ``UserError`` with an HTTP status."""

from __future__ import annotations

from ...errors import UserError


class Refused(UserError):
    """Becomes ``{"error": message, "hint": hint}``.

    Args:
        status: 4xx or 5xx.
        message: names the thing that is wrong.
        hint: says the way out.
        headers: of the answer, such as ``Retry-After``.
    """

    def __init__(self, status: int, message: str, hint: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message, hint)
        self.status, self.headers = status, headers or {}

    def as_json(self) -> dict[str, str]:
        return {"error": self.message, "hint": self.hint}


def busy() -> Refused:
    """What to raise where there are too many requests already."""
    return Refused(503, "the server is busy", "Ask again in a second.", {"Retry-After": "1"})
