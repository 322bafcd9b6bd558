"""A study as data: which runs it needs, and in which order.

First every arm finds its rate: by mAP on held-out training identities, with equal effort. Then the arms run over the seeds at
their own rate and are scored on the test split.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import math
import reprlib
import typing
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError

MOST_SEEDS = 1000
"""Seeds of an arm at most."""
FURTHER = 2
"""How many further values are tried, by steps of a factor of two, where the best one is at an end of the list."""
_IN_YAML = {str: (str, "text"), int: (int, "a whole number"), dict: (dict, "names with values"), tuple: (list, "a list")}
"""For the type of a field: the type that YAML gives for it, and what messages call that. Other types have checks of their own."""


@dataclass(frozen=True)
class Tuning:
    """How each arm finds its own value of ``key``: the one of ``values`` with the best mAP on ``holdout_identities`` held-out people, at one seed."""

    key: str
    values: tuple[float, ...]
    holdout_identities: int
    seed: int = 0


@dataclass(frozen=True)
class Study:
    """Arms that are compared.

    Args:
        name: that of its file or, for a row of a table, of the row.
        title, about: for the page of results.
        recipe: the configuration that all arms share.
        arms: name to the flags in which an arm differs.
        seeds: arm (or ``default``) to the number of seeds.
        baseline: the arm that the others are measured against.
        compare: pairs (one, other) whose paired difference is the question.
        tune: how each arm finds its rate; none where all share the recipe's.
        settings: flags that all arms share, on top of the recipe.
        ensembles: further arms that train nothing: name to the members whose softmax (or embeddings) are put together. A member is ``ARM``;
            ``ARM:STAGE`` is the network of an earlier stage of it, ``ARM+N`` the run whose seed is higher by N.
    """

    name: str
    title: str
    about: str
    recipe: str
    arms: dict[str, dict[str, Any]]
    seeds: dict[str, int]
    baseline: str
    compare: tuple[tuple[str, str], ...]
    tune: Tuning | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    ensembles: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def seeds_of(self, arm: str) -> int:
        return self.seeds[arm] if arm in self.seeds else self.seeds["default"]

    def control_of(self, arm: str) -> str:
        """What an arm's gain is measured against: its first partner in ``compare``, or else the baseline."""
        return next((other for one, other in self.compare if one == arm), self.baseline)


@dataclass(frozen=True)
class Member:
    """One network of an ensemble: the last stage of an arm's run, or an earlier ``stage``; ``offset`` is added to the seed."""

    arm: str
    stage: str | None = None
    offset: int = 0

    @classmethod
    def read(cls, text: str) -> Member:
        """``ARM``, ``ARM:STAGE`` or ``ARM+N``."""
        arm, _, stage = text.partition(":")
        arm, _, offset = arm.partition("+")
        return cls(arm, stage or None, int(offset or 0))


@dataclass(frozen=True)
class Cell:
    """One run of a study. ``value`` is what its tuned key is set to; ``held_out`` scores it on the held-out identities instead of the test split."""

    arm: str
    seed: int
    value: float | None
    held_out: bool

    @property
    def name(self) -> str:
        value = "" if self.value is None else f"-{self.value:g}"
        return f"{self.arm}{value}-s{self.seed}{'-tune' if self.held_out else ''}"


Found = dict[Cell, dict[str, Any]]
"""Finished cells, each with the record that ``records`` keeps of it."""


def studies_folder() -> Path:
    return Path(str(importlib.resources.files("reid_srdl.configs"))) / "studies"


def names() -> list[str]:
    """Names of the installed studies."""
    return sorted(path.stem for path in studies_folder().glob("*.yaml"))


def read(name: str) -> Study:
    """A study: an installed one by its name, or one in a YAML file. Raises ``UserError`` where there is none, or where it is incomplete or wrong."""
    import yaml

    from ..config.recipes import NOT_YAML

    path = Path(name) if name.endswith((".yaml", ".yml")) else studies_folder() / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"there is no study {name!r}", f"There are: {', '.join(names())}.")
    try:
        values = yaml.safe_load(path.read_text())
        known = {f.name: f for f in dataclasses.fields(Study) if f.name != "name"}
        needed = [name for name, f in known.items() if f.default is f.default_factory is dataclasses.MISSING]
        for name, wrong in (*((name, "has no") for name in needed if name not in values), *((name, "knows no") for name in values if name not in known)):
            raise ValueError(f"it {wrong} {name}; it may have: {', '.join(known)}")
        _check_types(Study, values)
        tune = values.pop("tune", None)
        if tune is not None:
            _check_types(Tuning, tune, "tune.")
            tune = Tuning(**{**tune, "values": tuple(float(value) for value in tune["values"])})
        values["compare"] = tuple((one, other) for one, other in values["compare"])
        study = Study(name=path.stem, tune=tune, **values)
        lists = {**({"tune.values": tune.values} if tune else {}), **{f"ensembles.{arm}": members for arm, members in study.ensembles.items()}}
        if empty := [name for name, some in lists.items() if not some]:
            raise ValueError(f"{empty[0]} is empty")
        if none := [f"seeds.{arm} is {count!r}" for arm, count in study.seeds.items() if not isinstance(count, int) or not 1 <= count <= MOST_SEEDS]:
            raise ValueError(f"{none[0]}, which is no number of seeds (1 to {MOST_SEEDS:,})")
        if bare := [arm for arm, own in study.arms.items() if not isinstance(own, dict)]:
            raise ValueError(f"arm {bare[0]} has no flags (write {{}} where it has none of its own)")
        if "default" not in study.seeds and (left := (set(study.arms) | set(study.ensembles)) - set(study.seeds)):
            raise ValueError(f"seeds says nothing of {min(left)}, and has no default")
        spoken_of = {arm for pair in study.compare for arm in pair} | {study.baseline} | set(study.seeds) - {"default"}
        members = {member.arm for arm in study.ensembles for member in members_of(study, arm)}
        if missing := (spoken_of - set(study.ensembles) | members) - set(study.arms):
            raise ValueError(f"it speaks of {', '.join(sorted(missing))}, which are no arms of it")
    except (*NOT_YAML, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"the study {path} is not whole: {error}", f"{studies_folder()} holds examples.") from None
    return study


def _check_types(kind: type, values: Mapping[str, Any], before: str = "") -> None:
    """Raises ``ValueError`` for a value of the wrong type, and so for a key without a value, which YAML reads as null and not as the default."""
    for name, hint in typing.get_type_hints(kind).items():
        wanted, called = _IN_YAML.get(typing.get_origin(hint) or hint, (None, ""))
        if wanted is not None and name in values and type(values[name]) is not wanted:
            raise ValueError(f"{before}{name} is {reprlib.repr(values[name])}, and not {called}")


def best_value(study: Study, arm: str, found: Found) -> float | None:
    """The tuned value of an arm, once all its tries are finished; none before that, or where nothing is tuned."""
    if study.tune is None or pending_tries(study, arm, found):
        return None
    return _best(tries(study, arm, found))


def tries(study: Study, arm: str, found: Found) -> dict[float, dict[str, Any]]:
    """The values that were tried for an arm, each with its record: those that the study asks for as it is now, at its seed."""
    return {
        cell.value: record
        for cell, record in found.items()
        if cell.arm == arm and cell.held_out and cell.value is not None and cell.seed == study.tune.seed and _asked_for(study.tune, cell.value)
    }


def _asked_for(tune: Tuning, value: float) -> bool:
    """Whether a value is listed, or lies beyond an end of the list, by halving or doubling."""
    if value in tune.values:
        return True
    beyond = value / max(tune.values) if value > max(tune.values) else min(tune.values) / value
    return beyond >= 2 and math.log2(beyond).is_integer()


def _best(tried: dict[float, dict[str, Any]]) -> float:
    """The value with the highest mAP on the held-out identities."""
    return max(tried, key=lambda value: tried[value]["scores"]["mAP"])


def pending_tries(study: Study, arm: str, found: Found) -> list[Cell]:
    """The tries that an arm still needs: first the listed values; then, where the best is at an end of them, the next one beyond that end."""
    if study.tune is None:
        return []
    tried = tries(study, arm, found)
    wanted = [value for value in study.tune.values if value not in tried]
    if not wanted and len(tried) < len(study.tune.values) + FURTHER:
        best = _best(tried)
        if best == min(tried):
            wanted = [best / 2] if best else []  # half of nothing has been tried
        elif best == max(tried):
            wanted = [best * 2]
    return [Cell(arm, study.tune.seed, value, held_out=True) for value in wanted]


def pending(study: Study, found: Found, arms: Iterable[str] | None = None, seeds: Container[int] | None = None) -> list[Cell]:
    """The cells that can be run now; running them may make others pending.

    Args:
        study: what is wanted.
        found: what is finished.
        arms: only these and, of ensembles among them, the runs that they are made of; none for all.
        seeds: only these of each arm; none for all. Tries for a rate always have the seed of ``study.tune``.
    """
    chosen = [*study.arms, *study.ensembles] if arms is None else list(arms)
    trained, joined = [arm for arm in chosen if arm in study.arms], [arm for arm in chosen if arm in study.ensembles]
    seeds_of = {arm: [seed for seed in range(study.seeds_of(arm)) if seeds is None or seed in seeds] for arm in chosen}
    wanted = {(arm, seed) for arm in trained for seed in seeds_of[arm]}
    members = {(member.arm, seed + member.offset) for arm in joined for member in members_of(study, arm) for seed in seeds_of[arm]}
    trained += sorted({arm for arm, _ in members} - set(trained))
    left_to_try = [pending_tries(study, arm, found) for arm in trained]
    # One try of each arm in turn, so that all arms are equally far at any moment.
    cells = [row[i] for i in range(max(map(len, left_to_try), default=0)) for row in left_to_try if i < len(row)]
    tuned = {arm: best_value(study, arm, found) for arm, left in zip(trained, left_to_try, strict=True) if not left}
    asked_for = wanted | members
    for seed in sorted({seed for _, seed in asked_for}):
        for arm in trained:
            if (arm, seed) in asked_for and arm in tuned:
                cell = Cell(arm, seed, tuned[arm], held_out=False)
                if cell not in found:
                    cells.append(cell)
    for arm in joined:
        for seed in seeds_of[arm]:
            parts = [member_cell(study, member, seed, found) for member in members_of(study, arm)]
            cell = Cell(arm, seed, None, held_out=False)
            if cell not in found and all(part in found for part in parts):
                cells.append(cell)
    return cells


def members_of(study: Study, arm: str) -> list[Member]:
    return [Member.read(text) for text in study.ensembles[arm]]


def member_cell(study: Study, member: Member, seed: int, found: Found) -> Cell:
    """The run that a member of an ensemble comes from."""
    return Cell(member.arm, seed + member.offset, best_value(study, member.arm, found), held_out=False)


def flags(study: Study, cell: Cell) -> list[str]:
    """Flags of ``reid-srdl train`` for a cell, without its output folder."""
    words = ["--config", study.recipe, "--seed", str(cell.seed)]
    settings = study.settings | study.arms[cell.arm]
    if study.tune is not None:
        settings[study.tune.key] = cell.value
    if cell.held_out:
        settings["data.holdout_identities"] = study.tune.holdout_identities
    for key, value in settings.items():
        words += [f"--{key}", _word(value)]
    return words


def _word(value: Any) -> str:
    """A value as it is written in YAML and on the command line."""
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
