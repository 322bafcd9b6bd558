"""What the soft targets of a run were like, from the ``diagnostics.json`` of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from .. import config as configuration
from .. import diagnostics, files, runs
from ..config import ReferenceConfig
from ..diagnostics import SoftTargets
from . import plots
from .html import beside, figure, named, percent, section, table
from .words import count


def soft_targets_section(run: Path, facts: Mapping[str, Any]) -> str:
    """The section of soft targets: a part for each stage that made some, or was given a teacher's; empty where there are none."""
    noted = {stage["name"]: run / "stages" / stage["folder"] / diagnostics.FILE for stage in facts["stages"]}
    noted = {name: path for name, path in noted.items() if path.is_file()}
    if not noted:
        return ""
    how = _how(configuration.load(run / runs.CONFIG).reference)
    parts = []
    for name, path in noted.items():
        if len(noted) > 1:
            parts.append(f"<h3>In the folder of stage {escape(name)}</h3>")
        values = files.read_json(path)
        with files.reading(path):
            found = SoftTargets.of_json(values["soft_targets"])
        parts.append(_part(found, values.get("last_network"), how))
    return section("Soft targets", *parts)


def _how(made: ReferenceConfig) -> str:
    """How soft targets were written down, in words."""
    seen = f"averaged over {made.views} views of each, all but one augmented" if made.views > 1 else "without augmentation"
    parts = [seen, "and over its mirror image" if made.flip and made.views > 1 else "averaged over the image and its mirror image" if made.flip else ""]
    parts += [{"ema": "by its averaged weights", "last": "by its last weights"}.get(made.weights, ""), f"the {made.top_k} likeliest only" if made.top_k else ""]
    parts += ["the wrong ones shuffled, so that they know nothing (a control)" if made.shuffle else ""]
    return ", ".join(filter(None, parts))


def _part(found: SoftTargets, last: Mapping[str, Any] | None, how: str) -> str:
    about = f"What the imitated network believes of {count(found.images, 'training image')}, written down once: {how}; with running statistics. What is said of it goes by rules of thumb."
    drawn = [
        figure(
            plots.histogram(found.entropy_counts, across="entropy at T, share of the most possible", label="Entropy of the soft targets"),
            "How soft they are",
            "Training images by the entropy of their target: left, all on one class; right, all classes alike",
        ),
        figure(
            plots.histogram(found.label_counts, across="probability of the label at T = 1", label="Probability of the label"),
            "Belief in the label",
            "Training images by the probability that their label is given",
        ),
    ]
    return f'<p>{escape(diagnostics.verdict(found))}</p>\n<p class="note">{escape(about)}</p>\n{beside(_table(found, last), "".join(drawn))}'


def _table(found: SoftTargets, last: Mapping[str, Any] | None) -> str:
    at = f"at T = {found.temperature:g}, at which they are imitated"
    rows = [
        [named("Entropy", at), f"{found.entropy:.2f}<small> nats</small>"],
        [named("Share of the most possible", f"which is log {found.classes:,}, all classes alike"), percent(found.entropy_share)],
        [named("Label first", "how often the largest belief is the label"), percent(found.agreement)],
        [named("Probability of the label", "at T = 1"), f"{found.label:.3f}"],
        [named("Probability of the label", at), f"{found.label_softened:.3f}"],
        [named("Calibration error", f"of the beliefs about training images at T = 1, {diagnostics.BINS} bins"), percent(found.ece)],
    ]
    if last:
        on = f"on {count(last['images'], 'training image')}"
        rows += [
            [named("The last network agrees", f"how often its first class is the same, {on}"), percent(last["same"])],
            [named("Overlap with its beliefs", f"{at}; 1 where all are the same"), f"{last['overlap']:.3f}"],
        ]
    return table([], rows)
