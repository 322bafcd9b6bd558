"""What the soft targets of a study were like, beside the gain that they brought: whether the diagnostics predict it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import diagnostics, files
from ..runs import finished_stages
from . import lines
from .lines import SCORES, Line
from .markdown import gain, table
from .statistics import Difference, summary
from .study import Found, Study

KEPT = ("temperature", "classes", "entropy_share", "agreement", "label", "ece")
"""The fields of ``diagnostics.SoftTargets`` that a record keeps."""


def of_run(run: Path) -> list[dict[str, Any]]:
    """For each stage of a run that wrote soft targets down: its name, what they were like, and how often the last network agrees with them."""
    found = []
    for folder in finished_stages(run):
        if not (folder / diagnostics.FILE).is_file():
            continue
        noted = files.read_json(folder / diagnostics.FILE)
        followed = noted["last_network"]["same"] if "last_network" in noted else None
        found.append({"stage": folder.name.partition("-")[2], **{key: noted["soft_targets"][key] for key in KEPT}, "followed": followed})
    return found


def section(plan: Study, found: Found, shown: Sequence[Line]) -> list[str]:
    """A table with a row for each arm that learnt from soft targets: means over its seeds, the rule of thumb's verdict, and the gain; empty where none did.

    Args:
        plan: of the study, which says what an arm's gain is measured against.
        found: its records.
        shown: the arms.
    """
    rows = []
    for line in shown:
        runs = lines.finished(plan, found, line.arm)
        last = [record["soft_targets"][-1] for record in runs.values() if record.get("soft_targets")]
        if last:
            control = plan.control_of(line.arm)
            rows.append([line.arm, str(len(last)), *_figures(last), _verdict(last), _gain(lines.difference(runs, lines.finished(plan, found, control))), control])
    if not rows:
        return []
    head = ["arm", "n", "entropy, % of the most possible", "right about the training images, %", "calibration error, %", "last network agrees, %", "rule of thumb", "gain", "over"]
    return ["What the last stage learnt from, as the diagnostics saw it before that stage began:", table(head, rows)]


def _figures(last: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for key in ("entropy_share", "agreement", "ece", "followed"):
        values = [one[key] for one in last if one[key] is not None]
        cells.append(f"{100 * summary(values).mean:.1f}" if values else "")
    return cells


def _verdict(last: Sequence[Mapping[str, Any]]) -> str:
    """The kinds of soft targets, in the order of the seeds, each named once."""
    return "; ".join(dict.fromkeys(diagnostics.kind(agreement=one["agreement"], entropy_share=one["entropy_share"]) for one in last))


def _gain(differences: Mapping[str, Difference]) -> str:
    name = next((name for name in SCORES if name in differences), None)
    return gain(differences[name]) if name else ""
