"""Which data sets a command is asked for, and where they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config as configuration
from ..data import CLASS_READERS, DRAWN, IDENTITY_READERS, OWN, part_names, parts_of
from ..errors import UserError

if TYPE_CHECKING:
    from ..config import Config
    from ..data.records import ClassData, ReIDData
    from ..runs import Trained

ALL = "all"
"""In place of names: all published sets that are there, and the run's own."""


@dataclass(frozen=True, eq=False)
class Asked:
    """The data sets that a command was asked for.

    Args:
        sets: by name; for the split ``val``, those that the run was trained on hold out what the run held out.
        roots: the data root that each was found in.
        absent: why a set is left out, by its name; only of ``all``.
    """

    sets: dict[str, ReIDData | ClassData]
    roots: dict[str, Path]
    absent: dict[str, str]


def is_own(config: Config | None, name: str) -> bool:
    """Whether a run was trained on this set, alone or among others."""
    return config is not None and (name == config.dataset or name in part_names(config.dataset))


def roots(config: Config | None, name: str, given: str | None) -> list[Path]:
    """Data roots to look for a set in, in order: ``given`` alone; for the run's own sets, its root alone; else the usual root and that of the run's published sets."""
    runs_own = config.data_root if config is not None else None
    if given or (runs_own and is_own(config, name)):
        return [configuration.data_root(given or runs_own)]
    return list(dict.fromkeys([configuration.data_root(None), *_beside(config)]))


def _beside(config: Config | None) -> list[Path]:
    """The data root of a run on published sets, where others may lie, too; empty for other runs."""
    return [configuration.data_root(config.data_root)] if config is not None and config.data_root and not set(part_names(config.dataset)) & OWN else []


def elsewhere(config: Config | None, name: str, root: Path) -> str:
    """``@FOLDER``, an ending that tells results on own images in an unusual place from those in the usual one; else empty.

    The usual place is the run's own; for sets that it was not trained on, it is where they are found without an option or ``$REID_DATA``.
    A published set is the same wherever it lies.
    """
    if name not in OWN:
        return ""
    usual = [configuration.data_root(config.data_root)] if config is not None and is_own(config, name) else [Path(configuration.DATA_ROOT), *_beside(config)]
    if _place(name, root) in [_place(name, place) for place in usual]:
        return ""
    root = root.resolve()
    # A folder that is named like the reader lies among other sets, and their folder's name says more.
    return f"@{root.parent.name if root.name == name else root.stem if root.is_file() else root.name}"


def _place(name: str, root: Path) -> str:
    from ..data.folder import place_of

    return os.path.realpath(place_of(root) if name == "folder" else root)


def read_set(config: Config | None, name: str, given: str | None) -> ReIDData | ClassData:
    """The set from the first of its ``roots`` that has it. Where none has, raises the ``UserError`` of the first."""
    return found_set(config, name, given)[1]


def found_set(config: Config | None, name: str, given: str | None) -> tuple[Path, ReIDData | ClassData]:
    """The same, with the root that has it."""
    from ..data import read

    errors = []
    for root in roots(config, name, given):
        try:
            return root, read(name, root)
        except UserError as error:
            errors.append(error)
    raise errors[0]


def held_out(data: ReIDData | ClassData, config: Config) -> ReIDData | ClassData:
    """A run's own set with those people or images held out that the run held out. Raises ``UserError`` where it has too few, as may be in another place."""
    from .kinds import kind_of

    try:
        return kind_of(data).limited(data, config)
    except UserError as error:
        raise UserError(error.message, "Name the place that the run was trained on with --data_root, or take --split test.") from None


def asked(trained: Trained, names: str | None, given_root: str | None, split: str = "test") -> Asked:
    """The sets that a trained network is to be scored on, one by one: joined sets are split into their parts.

    Args:
        trained: the network.
        names: such as ``market1501,msmt17``, or ``all``; none means the run's own.
        given_root: the data root, where one is given.
        split: ``test`` or ``val``.

    Raises:
        UserError: neither names nor a run; a list without a name; a named set is not there; with ``all``, none is there.
    """
    config = trained.config
    wanted = names or (config.dataset if config is not None else None)
    if wanted is None:
        raise UserError("the checkpoint stands alone and names no data set", "Name one with --dataset.")
    found: dict[str, ReIDData | ClassData] = {}
    places: dict[str, Path] = {}
    absent: dict[str, str] = {}
    chosen = _names(wanted, config)
    if not chosen:
        raise UserError(f"--dataset {wanted} names no data set", "For instance: --dataset market1501,msmt17, or --dataset all")
    for name in chosen:
        try:
            if wanted == ALL and name in DRAWN:
                _require_rendered(roots(config, name, given_root)[0])
            root, data = found_set(config, name, given_root)
        except UserError as error:
            if wanted != ALL:
                raise
            absent[name] = error.message
            continue
        for part_name, part in zip(part_names(name), parts_of(data), strict=True):
            found[part_name] = held_out(part, config) if split == "val" and is_own(config, part_name) else part
            places[part_name] = root
    if not found:
        raise UserError(f"none of the data sets is there: {'; '.join(absent.values())}", "Name the folder of the data sets with --data_root.")
    return Asked(found, places, absent)


def _require_rendered(root: Path) -> None:
    """Raises ``UserError`` where reading the set would render it: ``all`` asks only for sets that are there already."""
    from ..data.synthetic import is_rendered

    if not is_rendered(root):
        raise UserError(f"it has not been rendered in {root}", "Name it with --dataset to have that done.")


def _names(wanted: str, config: Config | None) -> Sequence[str]:
    if wanted != ALL:
        return list(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    # A network that tells people apart has nothing to say of other classes than its own.
    own = list(part_names(config.dataset)) if config is not None else []
    readers = CLASS_READERS if own and own[0] in CLASS_READERS else IDENTITY_READERS
    return list(dict.fromkeys([*own, *(name for name in readers if name not in OWN | DRAWN)]))
