"""``docs/results.md``: written from the records of the studies, never by hand."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

from . import records, study
from .statistics import paired, summary
from .study import Cell, Found, Study

SCORES = {"rank1": "Rank-1", "mAP": "mAP"}


def page(folder: Path, names: list[str]) -> str:
    """The page of results as Markdown; a study without records is listed with the command that fills it.

    Args:
        folder: of the records, a file ``NAME.json`` a study.
        names: of the studies.
    """
    parts = [
        "# Results",
        "Written by `tools/study.py --write` from the records beside this page. Scores are those of the last epoch, in percent, single-query, with the "
        "exact protocol of `tools/eval.py`; ± is the standard deviation over seeds; a difference is paired by seed, with its 95% interval (Student's t). "
        "Wall times are of the machine named with them and only tell what to expect.",
    ]
    for name in names:
        plan = study.read(name)
        parts += _study(plan, records.read(folder / f"{name}.json"))
    return "\n\n".join(parts) + "\n"


def _study(plan: Study, found: Found) -> list[str]:
    parts = [f"## {plan.title}", plan.about.strip(), f"Command: `tools/study.py {plan.name}`"]
    left = study.pending(plan, found)
    if left:
        parts.append(f"**Not finished**: at least {len(left)} runs are still to be done; the command above goes on with them.")
    if plan.tune is not None and any(cell.held_out for cell in found):
        parts += ["Chosen rates (mAP on the held-out identities, one seed):", _tries_table(plan, found)]
    if any(not cell.held_out for cell in found):
        parts += ["On the test split:", _scores_table(plan, found), *_differences(plan, found), _facts(found), _commands(plan, found)]
    return parts


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def _tries_table(plan: Study, found: Found) -> str:
    values = sorted({cell.value for cell in found if cell.held_out})
    rows = []
    for arm in plan.arms:
        tries = {cell.value: record["scores"] for cell, record in found.items() if cell.held_out and cell.arm == arm}
        chosen = study.best_value(plan, arm, found)
        cells = [f"{_percent(tries[value]['mAP'])}{' **chosen**' if value == chosen else ''}" if value in tries else "" for value in values]
        rows.append([arm, *cells])
    return _table([f"{plan.tune.key}", *(f"{value:g}" for value in values)], rows)


def _of(found: Found, arm: str) -> dict[int, dict[str, Any]]:
    """Seed to record, on the test split."""
    return {cell.seed: record for cell, record in sorted(found.items(), key=lambda item: item[0].seed) if cell.arm == arm and not cell.held_out}


def _scores_table(plan: Study, found: Found) -> str:
    rows = []
    for arm in plan.arms:
        runs = _of(found, arm)
        if not runs:
            continue
        cells = [arm, str(len(runs))]
        for name in SCORES:
            values = [record["scores"][name] for record in runs.values()]
            one = summary(values)
            spread = f" ± {_percent(one.sd)}" if one.n > 1 else ""
            cells.append(f"{_percent(one.mean)}{spread}" + (f" ({', '.join(map(_percent, values))})" if one.n > 1 else ""))
        multi = [record["multi"]["rank1"] for record in runs.values() if record.get("multi")]
        cells.append(_percent(summary(multi).mean) if multi else "–")
        cells.append(f"{summary([record['cross_entropy'] for record in runs.values()]).mean:.3f}")
        cells.append(f"{summary([sum(stage['seconds'] for stage in record['stages']) for record in runs.values()]).mean / 60:.0f}")
        rows.append(cells)
    return _table(["arm", "n", *(f"{name} (each seed)" for name in SCORES.values()), "Rank-1, multi-query", "final cross-entropy", "minutes a run"], rows)


def _differences(plan: Study, found: Found) -> list[str]:
    rows = []
    for one, other in plan.compare:
        a, b = _of(found, one), _of(found, other)
        seeds = sorted(set(a) & set(b))
        if not seeds:
            continue
        cells = [f"{one} − {other}", str(len(seeds))]
        for name in SCORES:
            difference = paired([a[seed]["scores"][name] for seed in seeds], [b[seed]["scores"][name] for seed in seeds])
            interval = "" if math.isnan(difference.low) else f" [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
            cells.append(f"{100 * difference.mean:+.1f}{interval}")
        rows.append(cells)
    if not rows:
        return []
    note = "One seed tells nothing of chance: such a difference has no interval." if any(row[1] == "1" for row in rows) else ""
    return [_table(["difference", "pairs", *SCORES.values()], rows), *([note] if note else [])]


def _facts(found: Found) -> str:
    """What the runs share, and where they do not."""
    rows = [record for cell, record in found.items() if not cell.held_out]
    machines = sorted({f"{record['hardware']['processor']}, {record['threads']} thread{'s' * (record['threads'] > 1)}, {record['precision']}" for record in rows})
    data = sorted({f"{record['images']:,} training images of {record['identities']} identities" for record in rows})
    dates = sorted({record["date"] for record in rows})
    torch = sorted({record["versions"]["torch"] for record in rows})
    return f"{'; '.join(data)}. Machine: {'; '.join(machines)}. torch {', '.join(torch)}. {dates[0]}{' to ' + dates[-1] if len(dates) > 1 else ''}."


def _commands(plan: Study, found: Found) -> str:
    lines = []
    for arm in plan.arms:
        cell = next((cell for cell in found if cell.arm == arm and not cell.held_out), None)
        if cell is not None:
            lines.append("tools/train.py " + shlex.join(study.flags(plan, Cell(arm, 0, cell.value, held_out=False))))
    return "Each run alone (other seeds likewise):\n\n```bash\n" + "\n".join(lines) + "\n```"
