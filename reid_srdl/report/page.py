"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from .. import files, runs
from ..data.records import ClassData, ReIDData, Split
from ..errors import UserError
from ..evaluation import calibration
from ..shell import command
from . import adopted, details, plots
from .again import reporting
from .attention import attention_section
from .browse import QUERIES, script
from .camera_pairs import camera_pairs_section
from .classes import classes_section
from .document import document
from .embedding_map import map_section
from .evaluated import Evaluated, evaluation_of
from .found import Track, browse_section, chosen, found_section
from .html import figure, figures, missing, section
from .scores import scores_section, tiles
from .soft_targets import soft_targets_section
from .verification import verification_section
from .words import count

LARGEST = 20_000_000
"""Bytes of a page at most: what a browser on a phone opens, and a mail takes."""


@dataclass(frozen=True)
class Extras:
    """Parts of the page that take time to make, or many bytes of pictures.

    Args:
        browse: queries to look through, fewer where the page would grow beyond ``LARGEST``; 0 for none.
        map: a map of the embeddings of some people.
        attention: for the best and the worst queries, which places in the images make their nearest image alike.
    """

    browse: int = 0
    map: bool = False
    attention: bool = False


NONE = Extras()
ALL = Extras(browse=QUERIES, map=True, attention=True)


def write(
    run: files.Pathlike,
    *,
    data: ReIDData | ClassData | None = None,
    dataset: str | None = None,
    output: files.Pathlike | None = None,
    extras: Extras = NONE,
    track: Track = iter,
    data_root: str | None = None,
) -> Path:
    """Writes the report of a run folder from its files; a part whose data is missing names the command that makes it.

    Args:
        run: the run folder.
        data: the data set that was scored on, for its pictures.
        dataset: the one whose evaluation is shown; by default that of ``data``, or else the run's own.
        output: the file; ``report.html`` in the run folder by default.
        extras: the parts that take time.
        track: wraps the iteration over queries to look through, for a progress bar.
        data_root: the folder that was given for ``data``, for the commands on the page; none where none was needed.

    Returns:
        the file.

    Raises:
        UserError: this is no run folder, or a file in it is damaged.
    """
    run = Path(run)
    if not (run / runs.FACTS).is_file():
        raise UserError(f"{run} is no run folder", "A run folder holds run.json and stages/; the command train makes one.")
    target = Path(output) if output else run / runs.REPORT
    files.check_writable(target)
    facts = runs.read_facts(run)
    wanted = dataset or (data.name if data is not None else facts["dataset"])
    evaluated = evaluation_of(run, wanted, facts["stages"])
    roots = list(dict.fromkeys(split.root for split in vars(data).values() if isinstance(split, Split))) if data is not None else []
    seed, last = facts["seed"], facts["stages"][-1]
    before = [
        scores_section(run, wanted, evaluated),
        soft_targets_section(run, facts),
        _training(run, facts),
        verification_section(run, runs.classifies(facts), calibration.of_run(run), last.get("model")),
        camera_pairs_section(evaluated),
        found_section(run, evaluated, roots, seed, data_root),
    ]
    after = [
        _attention(run, evaluated, roots, facts, wanted) if extras.attention else "",
        _map(evaluated, seed) if extras.map else "",
        _left_out(evaluated, extras, reporting(run, wanted, data_root)),
        classes_section(run, evaluated, roots),
        section("The run", details.stage_table(facts), details.facts_table(facts, _labels(facts))),
        _configuration(run),
    ]
    header = _header(run, facts, evaluated)
    room = LARGEST - len(files.utf8(_page(run, header, [*before, *after])))
    browse = browse_section(evaluated, roots, seed, queries=extras.browse, budget=room, track=track) if extras.browse else ""
    files.write_text(target, _page(run, header, [*before, browse, *after]))
    return target


def stage_logs(run: Path, facts: Mapping[str, Any]) -> list[plots.StageLog]:
    """The logs of all stages of the run in order, also of those that have not begun."""
    return [plots.StageLog(stage["name"], int(stage["epochs"]), runs.read_log(run / "stages" / stage["folder"])) for stage in facts["stages"]]


# --- the page ----------------------------------------------------------------------------------------------------


def _page(run: Path, header: str, sections: Iterable[str]) -> str:
    made = time.strftime("%d %B %Y, %H:%M", time.gmtime()).lstrip("0")
    return document(run.resolve().name, header, sections, footer=f" on {made} UTC.", scripts=True)


def _header(run: Path, facts: Mapping[str, Any], evaluated: Evaluated | None) -> str:
    lead = adopted.origin(facts, _labels(facts)) if runs.is_adopted(facts) else _trained(facts, _labels(facts))
    unfinished = "" if facts["finished"] else missing("Training is not finished. It goes on with", command("train", "--resume", run))
    name = escape(run.resolve().name)
    return f'<header>\n<p class="kind">Report of a run</p>\n<h1>{name}</h1>\n<p class="lead">{escape(lead)}</p>\n{unfinished}{tiles(evaluated)}</header>'


def _trained(facts: Mapping[str, Any], labels: str) -> str:
    epochs = count(sum(int(stage["epochs"]) for stage in facts["stages"]), "epoch")
    return (
        f"Trained on {count(facts['images'], 'image')} of {labels} from {facts['dataset']}, by the plan {facts['plan']}: "
        f"{epochs} in {count(len(facts['stages']), 'stage')}, seed {facts['seed']}."
    )


def _labels(facts: Mapping[str, Any]) -> str:
    """The number of people or classes trained on, in words."""
    return count(facts["identities"], *(("class", "classes") if runs.classifies(facts) else ("person", "people")))


# --- its sections ------------------------------------------------------------------------------------------------


def _training(run: Path, facts: Mapping[str, Any]) -> str:
    if runs.is_adopted(facts):
        return ""
    logs = stage_logs(run, facts)
    if not any(log.rows for log in logs):
        return section("Training", missing("No epoch has been finished yet. Training goes on with", command("train", "--resume", run)))
    kinds = (
        ("Loss", "What is minimised, and the cross-entropy in it", {"loss": "loss", "cross_entropy": "cross-entropy"}, {}),
        ("Learning rate", "Of each epoch, on a logarithmic scale", {"rate": "learning rate"}, {"scale": "log", "held": True}),
        ("Imitation", "Divergence from the beliefs that are imitated, before its weight", {"imitation": "KL divergence"}, {}),
        ("Accuracy", "On the training batches, augmented", {"accuracy": "right answers"}, {"scale": "percent"}),
        ("Scores during training", _which_epoch(facts), {"val_rank1": "Rank-1", "val_mAP": "mAP", "val_top1": "top-1"}, {"scale": "percent"}),
        ("Loss during training", "Cross-entropy on images that are no part of training", {"val_loss": "cross-entropy"}, {}),
    )
    drawn = [(plots.training(logs, columns, label=title, **how), title, caption) for title, caption, columns, how in kinds]
    return section(
        "Training",
        f'<p class="note">{_about_stages(logs)}</p>',
        figures(figure(svg, title, caption) for svg, title, caption in drawn if svg is not None),
    )


def _which_epoch(facts: Mapping[str, Any]) -> str:
    kept = facts["stages"][-1].get("kept")
    if kept is None:
        return "For the curve only: the result is the last epoch’s"
    return f"The result is that of epoch {int(kept['epoch']) + 1} of the last stage, which scored highest here"


def _about_stages(logs: Sequence[plots.StageLog]) -> str:
    named = [f"{escape(log.name)} ({count(log.epochs, 'epoch')})" for log in logs]
    if len(named) == 1:
        return f"One stage, {named[0]}."
    return f"{len(named)} stages one after the other: {', then '.join(named)}. A dotted line marks where a new one begins."


def _attention(run: Path, evaluated: Evaluated | None, roots: Sequence[Path], facts: Mapping[str, Any], dataset: str) -> str:
    return attention_section(run, evaluated, chosen(evaluated, facts["seed"]), roots, facts["stages"], reporting(run, dataset, "DIR"))


def _map(evaluated: Evaluated | None, seed: int) -> str:
    made = map_section(evaluated, seed=seed)
    return made + script("embedding_map.js") if made else ""


def _left_out(evaluated: Evaluated | None, extras: Extras, again: str) -> str:
    """The note on extra parts that this page lacks; empty where nothing is ranked or no part is missing."""
    if evaluated is None or evaluated.ranked is None:
        return ""
    parts = {"many more queries to look through": extras.browse, "where likeness comes from in the images": extras.attention, "a map of the embeddings": extras.map}
    without = [name for name, there in parts.items() if not there]
    return section("Further parts", missing(f"Left out here, since they take longer: {'; '.join(without)}. All of them are made by", again)) if without else ""


def _configuration(run: Path) -> str:
    path = run / runs.CONFIG
    if not path.is_file():
        return ""
    return f"<details>\n<summary>The whole configuration</summary>\n<pre>{escape(path.read_text(encoding='utf-8'))}</pre>\n</details>"
