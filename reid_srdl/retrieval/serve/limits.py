"""What one request may cost."""

from __future__ import annotations

from dataclasses import dataclass

from ...ranges import check_ranges, number

BESIDE = 100
"""Further requests that are allowed beside computed and waiting ones: they are still arriving, or fetch a picture (a browser, 6 at a time)."""


@dataclass(frozen=True)
class Limits:
    """The largest value that is allowed of each.

    Args:
        body: bytes in the whole body of a request.
        seconds: within which the header of a request has to arrive, and then its body.
        top_k: hits.
        candidates: of re-ranking, whose work grows with their square.
        expand: images that a query is averaged with.
        sample: images of the gallery that are shown to choose from.
        workers: requests that are computed at a time.
        waiting: requests that wait to be computed; further ones are refused.
    """

    body: int = number(8 << 20, above=0)
    seconds: float = number(30.0, above=0)
    top_k: int = number(200, above=0)
    candidates: int = number(1000, above=0)
    expand: int = number(100, above=0)
    sample: int = number(60, above=0)
    workers: int = number(2, above=0)
    waiting: int = number(32, least=0)

    @property
    def requests(self) -> int:
        """Requests that are handled at a time, since their bodies and answers take up memory; further ones are refused."""
        return self.workers + self.waiting + BESIDE

    def check(self) -> None:
        """Raises ``UserError`` where nothing could be answered."""
        check_ranges(self)
