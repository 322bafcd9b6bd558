"""Labels and cameras as numbers, from the words of a user's data or the rows of a reader."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from .listing import DIGITS, natural_key
from .records import DISTRACTOR, JUNK, Split


def as_number(word: str) -> int | None:
    """The whole number that a label spells; None for a word. Raises ``UserError`` for a number of too many digits."""
    if len(word) > DIGITS and re.fullmatch(r"-?\d+", word, re.ASCII):
        raise UserError(f"{word[:20]}…, of {len(word):,} digits, is too large a number", "Labels and cameras are words or numbers below 2^63.")
    return int(word) if re.fullmatch(r"-?\d+", word, re.ASCII) else None


def numbered(words: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Labels from the words of a user's data.

    Whole numbers stay what they are. Otherwise the distinct words are numbered from 1 in natural order, except that
    0 (distractor) and -1 (junk) keep their meaning.

    Args:
        words: N words, those of all splits together; the two Unicode forms of an accented letter, which look alike, count as one.

    Returns:
        labels int64 ``(N,)``, and the names of the labels from 1 on (None where the words are numbers).

    Raises:
        UserError: two spellings of one number, or a number below -1.
    """
    words = [unicodedata.normalize("NFC", word) for word in words]
    numbers = {word: number for word in set(words) if (number := as_number(word)) is not None}
    spellings: dict[int, str] = {}
    for word, number in sorted(numbers.items()):
        if number > np.iinfo(np.int64).max:
            raise UserError(f"the label {word} is too large a number", "Labels are words or numbers below 2^63.")
        if number < JUNK:
            raise UserError(
                f"the label {word} is negative", "Labels are words or numbers from 1; 0 marks distractors, -1 junk."
            )
        if number > DISTRACTOR and spellings.setdefault(number, word) != word:
            raise UserError(
                f"the labels {spellings[number]} and {word} are the same number", "Spell one person's label in one way."
            )
    if len(numbers) == len(set(words)):
        return np.array([numbers[word] for word in words], dtype=np.int64), None
    special = {word: number for word, number in numbers.items() if number <= DISTRACTOR}
    names = sorted(set(words) - special.keys(), key=natural_key)
    table = {name: label for label, name in enumerate(names, 1)} | special
    return np.array([table[word] for word in words], dtype=np.int64), tuple(names)


def whole(numbers: Sequence[int], of: str) -> np.ndarray:
    """The numbers as int64. Raises ``UserError`` for one that is too large; ``of`` says what they are, for the message."""
    if (largest := max(numbers, default=0)) > np.iinfo(np.int64).max:
        raise UserError(f"the {of} {largest} is too large a number", f"Give numbers below 2^63, such as a {of}'s number in the data set.")
    return np.array(numbers, dtype=np.int64)


def split_of(name: str, root: Path, rows: Sequence[tuple[str, int, int]], empty: str) -> Split:
    """A split of ``(path, label, camera)`` rows, put in ascending order of path.

    Raises:
        UserError: there are no rows; ``empty`` says what was looked for.
    """
    if not rows:
        raise UserError(f"the split {name} is empty: {empty}")
    rows = sorted(rows)
    labels, cameras = whole([label for _, label, _ in rows], "label"), whole([camera for _, _, camera in rows], "camera")
    return Split(name, root, tuple(path for path, _, _ in rows), labels, cameras)
