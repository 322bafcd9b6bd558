"""How large a synthetic data set is, and where its random numbers come from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ...errors import UserError
from ...seeds import derive

VERSION = 1
"""Grows whenever the renderer draws other pictures for the same numbers."""

MAX_CAMERAS = 9
"""The file names have one digit for the camera."""

MAX_EXTRAS = 9000
"""The most distractors, or junk images: beyond that, file names would repeat."""


@dataclass(frozen=True)
class Spec:
    """Everything that determines the files of a synthetic data set, besides ``VERSION``.

    Args:
        train_identities: people of the training split.
        test_identities: people of the query and gallery splits, none of whom trains.
        cameras: surveillance cameras; each person is seen by all of them.
        shots: mean number of images per person and camera (one fewer or one more by chance); a test person's first is the query, the others are in the gallery.
        multi_query: images per query in ``gt_bbox``, the query's own included.
        distractors: gallery images that show none of the query people (label 0).
        junk: gallery images that count neither way (label -1): boxes that miss most of the person.
        seed: the same numbers give the same bytes.
    """

    train_identities: int = 60
    test_identities: int = 60
    cameras: int = 6
    shots: int = 4
    multi_query: int = 3
    distractors: int = 150
    junk: int = 80
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"train_identities": 1, "test_identities": 1, "cameras": 2, "shots": 2, "multi_query": 1}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < least.get(field.name, 0):
                raise UserError(
                    f"a synthetic data set cannot have {field.name} = {value}",
                    f"The least is {least.get(field.name, 0)}.",
                )
        for name in ("distractors", "junk"):
            if getattr(self, name) > MAX_EXTRAS:
                raise UserError(f"a synthetic data set cannot have {name} = {getattr(self, name):,}", f"The most is {MAX_EXTRAS:,}.")
        if self.cameras > MAX_CAMERAS:
            raise UserError(f"a synthetic data set cannot have {self.cameras} cameras", f"The most is {MAX_CAMERAS}.")

    def random(self, *purpose: object) -> np.random.Generator:
        """A generator that depends on the seed and on its purpose, and on nothing drawn before."""
        return np.random.default_rng(derive(self.seed, "synthetic", *purpose))

    def identities(self) -> tuple[list[int], list[int]]:
        """Labels of the training people and of the test people, each ascending; mixed, as in Market-1501."""
        count = self.train_identities + self.test_identities
        order = self.random("identities").permutation(count) + 1
        return sorted(order[: self.train_identities].tolist()), sorted(order[self.train_identities :].tolist())
