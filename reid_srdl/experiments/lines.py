"""One line for each arm: what its seeds scored, its difference from the baseline, and what it cost. Tables, CSV and pictures are views of these."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .statistics import Difference, Summary, paired, summary
from .study import Found, Study, best_value, members_of

SCORES: dict[str, str] = {"rank1": "Rank-1", "mAP": "mAP", "top1": "Top-1", "top5": "Top-5"}
"""The scores that are compared, with their usual names; a record has the first two (re-identification) or the last two (classification)."""


@dataclass(frozen=True)
class Line:
    """An arm of a study, on the test split. Scores are fractions.

    Args:
        arm: its name.
        seeds: those that are finished, in order.
        values: score to its value for each seed, last epoch.
        summaries: score to n, mean and standard deviation.
        differences: score to the paired difference to the baseline; none for the baseline itself, or without a seed in common.
        best: the highest first score among the epochs that were scored, for each seed; empty where none was.
        multi: Rank-1 of multi-query for each seed; empty where there is none.
        cross_entropy: on the training images, in the last epoch or the one that was kept, mean over seeds; none for an ensemble.
        macs: forward multiply-accumulates of training, of one seed; none where it is not known.
        seconds: of training, mean over seeds.
    """

    arm: str
    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    summaries: dict[str, Summary]
    differences: dict[str, Difference]
    best: tuple[float, ...]
    multi: tuple[float, ...]
    cross_entropy: float | None
    macs: int | None
    seconds: float


def finished(study: Study, found: Found, arm: str) -> dict[int, dict[str, Any]]:
    """Seed to record of an arm on the test split, at its own tuned value; runs that only serve as members of an ensemble are left out."""
    members = {
        seed + member.offset for name in study.ensembles for seed in range(study.seeds_of(name)) for member in members_of(study, name) if member.arm == arm
    } - set(range(study.seeds_of(arm)))
    value = best_value(study, arm, found)
    cells = [cell for cell in found if cell.arm == arm and not cell.held_out and cell.value == value and cell.seed not in members]
    cells.sort(key=lambda cell: cell.seed)
    return {cell.seed: found[cell] for cell in cells}


def of(study: Study, found: Found, arms: Sequence[str] | None = None) -> list[Line]:
    """The lines of a study's arms that have finished runs, the losing ones too."""
    base = finished(study, found, study.baseline)
    lines = []
    for arm in arms or [*study.arms, *study.ensembles]:
        runs = finished(study, found, arm)
        if runs:
            lines.append(_line(arm, runs, {} if arm == study.baseline else base))
    return lines


def difference(one: Mapping[int, dict[str, Any]], other: Mapping[int, dict[str, Any]]) -> dict[str, Difference]:
    """Score to the paired difference over the seeds that both have; empty where they share none."""
    seeds = sorted(set(one) & set(other))
    if not seeds:
        return {}
    names = [name for name in SCORES if all(name in part[seed]["scores"] for part in (one, other) for seed in seeds)]
    return {name: paired([one[seed]["scores"][name] for seed in seeds], [other[seed]["scores"][name] for seed in seeds]) for name in names}


def _line(arm: str, runs: Mapping[int, dict[str, Any]], base: Mapping[int, dict[str, Any]]) -> Line:
    records = list(runs.values())
    names = [name for name in SCORES if all(name in record["scores"] for record in records)]
    values = {name: tuple(record["scores"][name] for record in records) for name in names}
    entropies = [record["cross_entropy"] for record in records if record.get("cross_entropy") is not None]
    return Line(
        arm=arm,
        seeds=tuple(runs),
        values=values,
        summaries={name: summary(values[name]) for name in names},
        differences=difference(runs, base),
        best=tuple(record["best"]["value"] for record in records if record.get("best")),
        multi=tuple(record["multi"]["rank1"] for record in records if record.get("multi")),
        cross_entropy=summary(entropies).mean if entropies else None,
        macs=records[0].get("macs"),
        seconds=summary([sum(stage["seconds"] for stage in record["stages"]) for record in records]).mean,
    )


def as_csv(parts: Sequence[tuple[str, Sequence[Line], Mapping[str, float]]]) -> str:
    """Lines as CSV, scores in percent: a row for each study, arm and score.

    Args:
        parts: (title of the study, its lines, the paper's values in percent by arm).
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["study", "arm", "score", "n", "mean", "sd", "seeds", "difference", "low", "high", "pairs", "best_epoch", "cross_entropy", "paper", "macs", "seconds"]
    )
    for title, lines, paper in parts:
        for line in lines:
            for number, (name, one) in enumerate(line.summaries.items()):
                gain = line.differences.get(name)
                writer.writerow(
                    [
                        title, line.arm, name, one.n, *_percent(one.mean, one.sd), " ".join(_percent(*line.values[name])),
                        *(_percent(gain.mean, gain.low, gain.high) if gain else ("", "", "")), gain.n if gain else "",
                        _percent(summary(line.best).mean)[0] if line.best and not number else "",
                        "" if line.cross_entropy is None else f"{line.cross_entropy:.4f}", paper.get(line.arm, "") if not number else "",
                        "" if line.macs is None else line.macs, f"{line.seconds:.0f}",
                    ]
                )  # fmt: skip
    return out.getvalue()


def _percent(*values: float) -> tuple[str, ...]:
    return tuple("" if value != value else f"{100 * value:.3f}" for value in values)
