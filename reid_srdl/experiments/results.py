"""``docs/results.md`` and the tables of ``tools/reproduce.py``: written from the records of the studies, never by hand."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from ..data.listing import natural_key
from . import budget_map, lines, published, records, settings, soft_targets, spending, study, tables
from .lines import SCORES, Line
from .markdown import gain, percent, table
from .spending import Spent
from .statistics import Difference, summary
from .study import Cell, Found, Study

INTRODUCTION = (
    "Written by `python tools/study.py --write` from the records beside this page. Scores are those of the last epoch (of an arm that stops early, of the epoch that it keeps), in percent, by the exact protocol of "
    "`tools/eval.py` (re-identification: single-query); ± is the standard deviation over seeds; a difference is paired by seed, with its 95% interval "
    "(Student's t). Wall times are of the machine named with them and only tell what to expect. What is finished is never run again, so the commands below only "
    "write this page anew. To repeat a study, keep its runs and records elsewhere: `python tools/study.py NAME --runs runs/again --records runs/again/records --output runs/again.md` (of `tools/reproduce.py` "
    "leave `--records` out, and give another `--output`); `--dry_run` lists the runs."
)

NOT_REPRODUCED = (
    "No run has been made yet with all training images and all epochs of the paper, so its numbers are neither confirmed nor refuted here. One command "
    "does it, best on a GPU: `python tools/reproduce.py --table 1 --dataset cifar100 --network resnet32 --records docs/results` (the paper: 69.02 vanilla, 71.63 SRDL); "
    "`--table 4` and `--table 5` then add only the arms that they have more."
)


def page(folder: Path, names: list[str], costs: Mapping[tuple[str, str], Spent] | None = None, *, place: Path | None = None) -> str:
    """The page of results as Markdown; an installed study without records is listed with the command that fills it.

    Args:
        folder: of the records, a file ``NAME.json`` a study.
        names: of installed studies, and files of others, as ``study.read`` takes them; of two studies with the same name the last one is shown.
        costs: of the paper's tables; with them the page is the project's own, and speaks of the paper and of published systems too.
        place: path of the page, for the links to its pictures; none where it lies beside the folder.
    """
    parts = ["# Results", INTRODUCTION]
    plans = {(plan := study.read(name)).name: (name, plan) for name in names}
    installed = {called: (plan, records.read(folder / f"{called}.json")) for called, (_, plan) in plans.items()}
    for name, plan in plans.values():
        _, found = installed[plan.name]
        settings.check_records(folder / f"{plan.name}.json", plan, found)
        elsewhere = "" if costs is not None or name == plan.name else f" --records {shlex.quote(str(folder))}"
        parts += _study(plan, found, f"{shlex.quote(name)}{elsewhere}")
    described = [(records.read_study(path), records.read(path)) for path in sorted(folder.glob("*.json"), key=lambda path: natural_key(path.stem)) if path.stem not in installed]
    rows = [(plan, found) for plan, found in described if plan is not None]
    whole = {plan.name for _, plan in tables.studies(tables.read("1"))}
    if costs is not None and not any(plan.name in whole and found for plan, found in rows):
        parts += ["## The paper's own budget", NOT_REPRODUCED]
    if rows:
        parts += [
            "## Rows of the paper's tables",
            "By `tools/reproduce.py`. Each row has all its arms in one place, whichever of the paper's tables they stand in; the images are fewer, and the epochs too, "
            "where a title says so, and such a row repeats the question and not the paper's number.",
        ]
        for plan, found in rows:
            parts += [*row_section(plan, found, {}), f"Command: `python tools/reproduce.py {shlex.join([*tables.words(plan), '--records', str(folder)])}`"]
        parts += _map(rows)
    parts += _flatness(folder, folder.parent if place is None else place.parent)
    if costs is not None:
        parts += [f"## {spending.TITLE}", *spending.section(costs), *published.section(installed)]
    return "\n\n".join(parts) + "\n"


def _flatness(folder: Path, beside: Path) -> list[str]:
    """The part on Fig. 4, for a page in the folder ``beside``; empty where the figure is not in the folder of the records."""
    drawn = folder / "fig4-flatness.md"
    if not drawn.is_file():
        return []
    pictures = [f"![{path.stem.removeprefix('fig4-')}]({Path(os.path.relpath(path, beside)).as_posix()})" for path in sorted(folder.glob("fig4-*.png"))]
    return [f"#{drawn.read_text(encoding='utf-8').strip()}", *pictures]


def _map(rows: Sequence[tuple[Study, Found]]) -> list[str]:
    """The gains by budget and number of training images, for each grid with more than one cell."""
    grids: dict[str, list[tuple[Study, Found]]] = {}
    for plan, found in rows:
        grids.setdefault(plan.name.rpartition("-e")[0], []).append((plan, found))
    parts = []
    for name, some in grids.items():
        cells = budget_map.cells(some)
        if len(cells) > 1:
            parts += [f"### When does it pay? {name}", "Gains in percentage points, by `python tools/reproduce.py --table map`.", budget_map.markdown(cells)]
    return parts


def row_section(plan: Study, found: Found, paper: Mapping[str, float], arms: Sequence[str] | None = None) -> list[str]:
    """A row of a table: scores, differences to the baseline, cost; ``paper`` has the paper's values in percent by arm."""
    shown = lines.of(plan, found, arms)
    parts = [f"### {plan.title}"]
    if not shown:
        return [*parts, "No run is finished yet."]
    left = study.pending(plan, found, arms)
    if left:
        parts.append(f"{_unfinished(len(left))}.")
    parts += [scores_table(shown, paper), *_against(plan, shown), *soft_targets.section(plan, found, shown), _arms(shown), _facts(found)]
    return parts


def _unfinished(left: int) -> str:
    return f"**Not finished**: at least {left:,} {'run is' if left == 1 else 'runs are'} still to be done"


def _arms(shown: Sequence[Line]) -> str:
    known = tables.arms()
    return " ".join(f"`{line.arm}`: {known[line.arm]['about']}." for line in shown if line.arm in known)


def _study(plan: Study, found: Found, words: str) -> list[str]:
    """The section of a study; ``words`` are the arguments of ``tools/study.py`` that ask for it."""
    parts = [f"## {plan.title}", plan.about.strip(), f"Command: `python tools/study.py {words}`"]
    left = study.pending(plan, found)
    if left:
        parts.append(f"{_unfinished(len(left))}; the command above goes on from there.")
    if plan.tune is not None and any(cell.held_out for cell in found):
        parts += ["Chosen rates (mAP on the held-out identities, one seed):", _tries_table(plan, found)]
    shown = lines.of(plan, found)
    if shown:
        parts += ["On the test split:", scores_table(shown, {}), *_compared(plan, found), *soft_targets.section(plan, found, shown), _facts(found), _commands(plan, found)]
    return parts


# --- tables ------------------------------------------------------------------------------------------------------


def _tries_table(plan: Study, found: Found) -> str:
    tried = {arm: study.tries(plan, arm, found) for arm in plan.arms}
    values, rows = sorted({value for some in tried.values() for value in some}), []
    for arm, some in tried.items():
        told = {value: "diverged" if "diverged" in record else percent(record["scores"]["mAP"]) for value, record in some.items()}
        chosen = study.best_value(plan, arm, found)
        rows.append([arm, *(f"{told[value]}{' **chosen**' if value == chosen else ''}" if value in told else "" for value in values)])
    return table([f"{plan.tune.key}", *(f"{value:g}" for value in values)], rows)


def scores_table(shown: Sequence[Line], paper: Mapping[str, float]) -> str:
    """A row an arm; columns that no arm has anything for are left out."""
    names = [name for name in SCORES if any(name in line.values for line in shown)]
    first = names[0]
    columns: dict[str, list[str]] = {"arm": [line.arm for line in shown], "n": [str(len(line.seeds)) for line in shown]}
    for name in names:
        columns[f"{SCORES[name]} (each seed)"] = [_spread(line, name) for line in shown]
    columns["Rank-1, multi-query"] = [percent(summary(line.multi).mean) if line.multi else "" for line in shown]
    columns[f"best epoch, {SCORES[first]}"] = [percent(summary(line.best).mean) if line.best else "" for line in shown]
    columns["final cross-entropy"] = ["" if line.cross_entropy is None else f"{line.cross_entropy:.3f}" for line in shown]
    columns[f"the paper's {SCORES[first]}, at its own budget"] = [f"{paper[line.arm]:.2f}" if line.arm in paper else "" for line in shown]
    columns["10¹² MACs"] = ["" if line.macs is None else _rounded(line.macs / 1e12) for line in shown]
    columns["minutes a run"] = [f"{line.seconds / 60:.0f}" if line.seconds else "" for line in shown]
    filled = {head: cells for head, cells in columns.items() if any(cells)}
    return table(list(filled), [list(row) for row in zip(*filled.values(), strict=True)])


def _rounded(value: float) -> str:
    """Three significant digits, or all digits before the point where there are more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _spread(line: Line, name: str) -> str:
    if name not in line.summaries:
        return ""
    one = line.summaries[name]
    spread = f" ± {percent(one.sd)} ({', '.join(map(percent, line.values[name]))})" if one.n > 1 else ""
    return f"{percent(one.mean)}{spread}"


def _differences(rows: Sequence[tuple[str, Mapping[str, Difference]]]) -> list[str]:
    rows = [(title, found) for title, found in rows if found]
    if not rows:
        return []
    names = [name for name in SCORES if any(name in found for _, found in rows)]
    cells = [[title, str(next(iter(found.values())).n), *(gain(found[name]) if name in found else "" for name in names)] for title, found in rows]
    note = "One seed tells nothing of chance: such a difference has no interval." if any(row[1] == "1" for row in cells) else ""
    return [table(["difference", "pairs", *(SCORES[name] for name in names)], cells), *([note] if note else [])]


def _compared(plan: Study, found: Found) -> list[str]:
    """The pairs that a study asks about."""
    return _differences([(f"{one} − {other}", lines.difference(lines.finished(plan, found, one), lines.finished(plan, found, other))) for one, other in plan.compare])


def _against(plan: Study, shown: Sequence[Line]) -> list[str]:
    """Every arm against the baseline."""
    return _differences([(f"{line.arm} − {plan.baseline}", line.differences) for line in shown])


# --- what the runs were ------------------------------------------------------------------------------------------


def _facts(found: Found) -> str:
    """Training images, machines, version of torch and dates of the runs; where runs differ, all values."""
    rows = [record for cell, record in found.items() if not cell.held_out and record.get("hardware")]
    data = sorted({f"{record['images']:,} training images of {record['identities']:,} {record.get('kind', 'identities')}" for record in rows})
    dates = sorted({record["date"] for record in rows})
    torch = sorted({record["versions"]["torch"] for record in rows})
    return f"{'; '.join(data)}. Machine: {_machines(found)}. torch {', '.join(torch)}. {dates[0]}{' to ' + dates[-1] if len(dates) > 1 else ''}."


def _machines(found: Found) -> str:
    """The machines of the runs on the test split; where there are several, with the arms that each ran, and of arms that it shared, the seeds."""
    seeds: dict[str, dict[str, set[int]]] = {}
    for cell, record in found.items():
        if not cell.held_out and record.get("hardware"):
            machine = f"{record['hardware'].get('gpu') or record['hardware']['processor']}, {record['threads']} thread{'s' * (record['threads'] > 1)}, {record['precision']}"
            seeds.setdefault(machine, {}).setdefault(cell.arm, set()).add(cell.seed)
    if len(seeds) == 1:
        return next(iter(seeds))
    shared = {arm for arm in chain(*seeds.values()) if sum(arm in arms for arms in seeds.values()) > 1}

    def named(arm: str, of: set[int]) -> str:
        return f"{arm} of seed{'s' * (len(of) > 1)} {', '.join(map(str, sorted(of)))}" if arm in shared else arm

    return "; ".join(f"{machine} ({', '.join(named(arm, of) for arm, of in sorted(arms.items()))})" for machine, arms in sorted(seeds.items()))


def _commands(plan: Study, found: Found) -> str:
    out = []
    for arm in plan.arms:
        record = next(iter(lines.finished(plan, found, arm).values()), None)
        if record is not None:
            cell = Cell(arm, 0, study.best_value(plan, arm, found), held_out=False)
            # Not the default folder, which is named after the plan: several arms may share one.
            words = [*study.flags(plan, cell), *settings.weights_file(record), "--output", f"runs/{plan.name}-{cell.name}"]
            out.append("python tools/train.py " + shlex.join(words))
    return "Each run alone (other seeds likewise, in other folders):\n\n```bash\n" + "\n".join(out) + "\n```"
