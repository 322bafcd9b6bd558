"""The paper's tables as data: a table has rows (a data set and a network) and arms, and each row is a study.

A row is named after what all its runs share, so that a run that two tables need is trained once.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import IDENTITY_READERS
from ..errors import UserError
from .study import MOST_SEEDS, Study

SEEDS = 5
"""Seeds of each arm, as many as in the paper."""
SCORINGS = 10
"""How often a network is scored during training: enough to tell the best epoch from the last, few enough to cost little."""


@dataclass(frozen=True)
class Row:
    """A data set and a network; ``paper`` gives the paper's value in percent for each arm that has one in ``configs/tables/tables.yaml``."""

    dataset: str
    network: str
    paper: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """A table of the paper, or one beyond it.

    Args:
        name: as ``--table`` takes it.
        title: for the reader.
        rows: what it compares on.
        arms: what it compares; the first is what the others are measured against.
        epochs: the budgets of a grid; empty for a table with one budget.
        train_per_class: the sizes of a grid, in training images of each class; empty for a table with one size.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    arms: tuple[str, ...]
    epochs: tuple[int, ...] = ()
    train_per_class: tuple[int, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a user wants changed in a table; null leaves a part as it is.

    Args:
        datasets, networks: only the rows with these.
        arms: these, instead of the table's; ``ARM:N`` has N seeds of its own.
        seeds: of every arm.
        epochs: in all, one or (of a grid) several.
        train_per_class: training images of each class (of a grid, several).
        flags: further flags of every run.
    """

    datasets: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    arms: Sequence[str] | None = None
    seeds: int = SEEDS
    epochs: Sequence[int] | None = None
    train_per_class: Sequence[int] | None = None
    flags: Mapping[str, Any] | None = None


def _folder() -> Path:
    return Path(str(importlib.resources.files("reid_srdl.configs"))) / "tables"


@functools.cache
def stated(name: str) -> dict[str, Any]:
    """What a file of ``configs/tables`` says."""
    import yaml

    return yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8"))


def names() -> list[str]:
    """Names of the tables."""
    return list(stated("tables")["tables"])


def arms() -> dict[str, dict[str, Any]]:
    """Name to ``flags`` of an arm that trains, or ``members`` of an ensemble, and ``about``."""
    return stated("arms")


def read(name: str) -> Table:
    """A table by name. Raises ``UserError`` where there is none."""
    everything = stated("tables")
    if name not in everything["tables"]:
        raise UserError(f"there is no table {name!r}", f"There are: {', '.join(names())}, fig3, cost.")
    found = everything["tables"][name]
    rows = tuple(Row(dataset, network, everything["paper"].get(f"{dataset} {network}", {})) for dataset, network in found["rows"])
    return Table(name, found["title"], rows, tuple(found["arms"]), tuple(found.get("epochs", ())), tuple(found.get("train_per_class", ())))


def training_images(dataset: str, train_per_class: int | None) -> int | None:
    """The number of training images: of the official set, or with ``train_per_class`` of each class; none for a data set that no table has."""
    data = stated("tables")
    if train_per_class is not None and dataset in data["classes"]:
        return train_per_class * data["classes"][dataset]
    return data["images"].get(dataset)


def classes(dataset: str) -> int:
    return stated("tables")["classes"][dataset]


def studies(table: Table, asked: Asked = Asked()) -> list[tuple[Row, Study]]:
    """A study for each row (and, of a grid, each budget and size).

    Raises:
        UserError: a data set, network or arm that the table does not have.
    """
    rows = _chosen_rows(table, asked)
    wanted, seeds = _chosen_arms(asked.arms or table.arms, asked.seeds)
    budgets = tuple(asked.epochs or table.epochs) or (None,)
    sizes = tuple(asked.train_per_class or table.train_per_class) or (None,)
    if not table.epochs and len(budgets) > 1:
        raise UserError(f"table {table.name} has one budget", "Give one number to --epochs; --table map takes several.")
    if not table.train_per_class and len(sizes) > 1:
        raise UserError(f"table {table.name} has one size of training set", "Give one number to --train_per_class; --table map takes several.")
    if people := [row.dataset for row in rows if asked.train_per_class and row.dataset in IDENTITY_READERS]:
        raise UserError(f"--train_per_class is for classes, and {people[0]} has people", "Leave it out; --dataset chooses rows.")
    return [(row, _study(row, wanted, seeds, budget, size, asked.flags or {})) for row in rows for size in sizes for budget in budgets]


def _chosen_rows(table: Table, asked: Asked) -> list[Row]:
    for kind, given, there in (
        ("data set", asked.datasets, [row.dataset for row in table.rows]),
        ("network", asked.networks, [row.network for row in table.rows]),
    ):
        for name in given or ():
            if name not in there:
                raise UserError(f"table {table.name} of the paper has no {kind} {name!r}", f"It has: {', '.join(dict.fromkeys(there))}.")
    rows = [row for row in table.rows if row.dataset in (asked.datasets or [row.dataset]) and row.network in (asked.networks or [row.network])]
    if not rows:
        raise UserError(f"table {table.name} has no row with that data set and that network", "Leave one of --dataset and --network out.")
    return rows


def _chosen_arms(given: Iterable[str], seeds: int) -> tuple[list[str], dict[str, int]]:
    """The names of arms, and how many seeds each has (``default`` for those without a number of their own)."""
    known, chosen, counts = arms(), [], {"default": seeds}
    for text in given:
        name, _, own = text.partition(":")
        if name not in known:
            raise UserError(f"there is no arm {name!r}", f"Arms: {', '.join(known)}.")
        if name in chosen:
            raise UserError(f"the arm {name} is named twice", "Name it once; ARM:N says how many seeds it has.")
        if own and not (is_count(own) and int(own) <= MOST_SEEDS):
            raise UserError(f"{text!r} does not say how many seeds", "Write ARM:N, for instance kd_resnet110:1.")
        chosen.append(name)
        if own:
            counts[name] = int(own)
    return chosen, counts


def is_count(word: str) -> bool:
    """Whether a word is a number above 0, of so many digits as seeds, epochs and images have at most."""
    return word.isdecimal() and len(word) < 10 and int(word) > 0


def _study(row: Row, wanted: list[str], seeds: dict[str, int], epochs: int | None, train_per_class: int | None, flags: Mapping[str, Any]) -> Study:
    known, data = arms(), stated("tables")
    ensembles = {name: tuple(known[name]["members"]) for name in wanted if "members" in known[name]}
    members = [member.partition(":")[0].partition("+")[0] for some in ensembles.values() for member in some]
    trained = dict.fromkeys([*(name for name in wanted if "flags" in known[name]), *members])
    budget = epochs or _papers_epochs(row)
    settings = {
        "log.eval_every": max(1, round(budget / SCORINGS)),
        "log.eval_split": "test",
        **data["networks"][row.network],
        "plan.epochs": budget,
        **({"data.train_per_class": train_per_class} if train_per_class else {}),
        **flags,
    }
    name = f"{row.dataset}-{row.network}-e{budget}" + (f"-n{train_per_class}" if train_per_class else "")
    size = f", {train_per_class} training images of each class" if train_per_class else ""
    baseline = wanted[0]
    return Study(
        name=name,
        title=f"{row.dataset}, {row.network}, {budget} epochs{size}",
        about="",
        recipe=row.dataset,
        arms={arm: {**known[arm]["flags"], **_held_out(known[arm], row.dataset, train_per_class)} for arm in trained},
        seeds=seeds,
        baseline=baseline,
        compare=tuple((arm, baseline) for arm in wanted if arm != baseline),
        settings=settings,
        ensembles=ensembles,
    )


def words(study: Study, table: str | None = None) -> list[str]:
    """The arguments of ``reproduce`` that ask for the study of a row, from ``table`` or else from the first table with that row."""
    data = stated("tables")
    network = next(name for name, flags in data["networks"].items() if flags["model.backbone"] == study.settings["model.backbone"])
    known, arms_wanted = arms(), [study.baseline, *(arm for arm in [*study.arms, *study.ensembles] if arm != study.baseline)]
    table = table or next(name for name, one in data["tables"].items() if [study.recipe, network] in one["rows"])
    seeds = [f"{arm}:{study.seeds[arm]}" if arm in study.seeds else arm for arm in arms_wanted if arm in known]
    found = ["--table", table, "--dataset", study.recipe, "--network", network, "--arms", ",".join(seeds), "--seeds", str(study.seeds["default"])]
    own = data["networks"][network]
    for key, flag in (("plan.epochs", "--epochs"), ("data.train_per_class", "--train_per_class"), ("model.weights", "--weights"), ("precision", "--precision")):
        if key in study.settings and study.settings[key] != own.get(key):
            found += [flag, str(study.settings[key])]
    return found


def has_the_papers_budget(row: Row, study: Study) -> bool:
    """Whether a study of a row has all epochs and all training images of the paper, so that its value may stand in one picture with the paper's."""
    return study.name == f"{row.dataset}-{row.network}-e{_papers_epochs(row)}"


def _held_out(arm: Mapping[str, Any], dataset: str, train_per_class: int | None) -> dict[str, int]:
    """The flags that hold out an arm's share (``holdout``) of the training images, as images of each class, taken from those that all arms have."""
    if "holdout" not in arm:
        return {}
    each = (training_images(dataset, train_per_class) or 0) / classes(dataset)
    held = max(1, round(arm["holdout"] * each))
    return {"data.holdout_per_class": held, **({"data.train_per_class": train_per_class - held} if train_per_class else {})}


def _papers_epochs(row: Row) -> int:
    """The paper's epochs, over all stages, for the row's network on its data set; the recipe's where the tables give none."""
    from .. import config as configuration

    known = stated("tables")["epochs"].get(f"{row.dataset} {row.network}")
    return known or configuration.parse(configuration.Config, ["--config", row.dataset], recipes=True).plan.epochs
