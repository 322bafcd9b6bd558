"""What readers tell their user."""

from __future__ import annotations

import sys

from .. import ranks
from ..errors import shown
from ..shell import command


def meanwhile() -> str:
    """What to do until a data set is there."""
    return f"Meanwhile, this runs without any download: {command('train', '--dataset', 'synthetic')}"


def warn(message: str) -> None:
    """Prints one line on stderr; of several processes only the first does, since all read the same data."""
    if ranks.own()[0] == 0:
        print(f"warning: {shown(' '.join(message.split()))}", file=sys.stderr)
