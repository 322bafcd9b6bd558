"""Whether a network knows the classes of a data set: their labels, and where both have them, their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError

Classes = tuple[np.ndarray, Sequence[str] | None]
"""Labels int64 ``(C,)``, and a name for each; no names for people."""


def check_same_classes(who: str, known: Classes, where: str, there: Classes, hint: str) -> None:
    """Raises ``UserError`` where a network's classes are not those of a data set.

    Args:
        who: the network, in words.
        known: its classes.
        where: the name of the data set.
        there: the data set's classes.
        hint: the way out.
    """
    (labels, names), (wanted, words) = known, there
    if not np.array_equal(labels, wanted):
        raise UserError(f"{who} knows {len(labels)} labels, which are not the {len(wanted)} of {where}", hint)
    for label, name, word in zip(labels.tolist(), names or (), words or (), strict=False):
        if name != word:
            raise UserError(f"{who} knows other classes than those of {where}: label {label} is {name} to it, and {word} there", hint)
