"""What one request may cost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ...errors import UserError

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

    body: int = 8 << 20
    seconds: float = 30.0
    top_k: int = 200
    candidates: int = 1000
    expand: int = 100
    sample: int = 60
    workers: int = 2
    waiting: int = 32

    @property
    def requests(self) -> int:
        """Requests that are handled at a time, since their bodies and answers take up memory; further ones are refused."""
        return self.workers + self.waiting + BESIDE

    def check(self) -> None:
        """Raises ``UserError`` where nothing could be answered."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            lowest, words = (0, "0 or above") if field.name == "waiting" else (1, "above 0")
            if value < lowest:
                raise UserError(f"{field.name} is {value}", f"It must be {words}.")
