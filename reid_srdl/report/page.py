"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from .. import __version__, files, runs
from ..data.records import ReIDData
from ..embeddings import Embeddings, load_pair
from ..errors import UserError
from ..evaluation import RankResult, rank
from ..pictures import FRAMES
from . import details, lists, plots, words
from .words import count

SCORES = {
    "rank1": ("Rank-1", "the nearest image shows the person"),
    "rank5": ("Rank-5", "one of the nearest 5 does"),
    "rank10": ("Rank-10", "one of the nearest 10 does"),
    "rank20": ("Rank-20", "one of the nearest 20 does"),
    "mAP": ("mAP", "mean average precision"),
    "mAP_trapezoid": ("mAP, trapezoid", "by the rule of Market-1501's own code"),
    "mINP": ("mINP", "how early the last match comes"),
}
CLASS_SCORES = {
    "top1": ("Top-1", "the first guess is right"),
    "top5": ("Top-5", "one of the first 5 is"),
    "loss": ("Loss", "cross-entropy"),
    "ece": ("ECE", "expected calibration error"),
}
KINDS = {"single": "Single query", "multi": "Multi-query", "ensemble": "Ensemble of stages", "classification": "Test images"}
CMC_DEPTH = 50
"""Ranks of the curve."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What ``eval/DATASET`` of a run holds.

    Args:
        dataset: its name.
        metrics: ``metrics.json``.
        ranked: query, gallery and how the one ranks the other; none where their embeddings were not kept.
    """

    dataset: str
    metrics: dict[str, Any]
    ranked: tuple[Embeddings, Embeddings, RankResult] | None

    @property
    def protocol(self) -> dict[str, Any]:
        return self.metrics.get("protocol") or {}

    @property
    def classifies(self) -> bool:
        return "classification" in self.metrics


def write(run: files.Pathlike, *, data: ReIDData | None = None, dataset: str | None = None, output: files.Pathlike | None = None) -> Path:
    """Writes the report of a run folder, from what is there; a part that lacks its data says which command fills it.

    Args:
        run: the run folder.
        data: the data set that was scored on, for its pictures.
        dataset: whose evaluation is shown; that of ``data``, or else of the run's own data set, if not given.
        output: the file; ``report.html`` in the run folder by default.

    Returns:
        the file.

    Raises:
        UserError: this is no run folder, or a file in it is damaged.
    """
    run = Path(run)
    if not (run / runs.FACTS).is_file():
        raise UserError(f"{run} is no run folder", "A run folder holds run.json and stages/; tools/train.py makes one.")
    facts = runs.read_facts(run)
    wanted = dataset or (data.name if data is not None else facts["dataset"])
    evaluated = evaluation_of(run, wanted)
    parts = [_scores(run, wanted, evaluated), _training(run, facts), _ranked_lists(run, evaluated, data, facts["seed"]), _section("The run", details.stage_table(facts), details.facts_table(facts)), _configuration(run)]
    target = Path(output) if output else run / runs.REPORT
    files.write_text(target, _page(run, _header(run, facts, evaluated), parts))
    return target


def evaluation_of(run: Path, dataset: str) -> Evaluated | None:
    """The evaluation on a data set, if there is one."""
    folder = run / "eval" / dataset
    if not (folder / "metrics.json").is_file():
        return None
    metrics = files.read_json(folder / "metrics.json")
    pair = [folder / "query.npz", folder / "gallery.npz"]
    if not all(path.is_file() for path in pair):
        return Evaluated(dataset, metrics, None)
    query, gallery = load_pair(pair)
    if query.labels is None or gallery.labels is None:
        return Evaluated(dataset, metrics, None)
    return Evaluated(dataset, metrics, (query, gallery, rank(query, gallery, **how_ranked(metrics.get("protocol") or {}))))


def how_ranked(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """``metric`` and ``same_camera`` of ``rank``, from a protocol stamp."""
    return {"metric": protocol.get("metric", "euclidean"), "same_camera": bool(protocol.get("same_camera", False))}


def stage_logs(run: Path, facts: Mapping[str, Any]) -> list[plots.StageLog]:
    """The logs of the run's stages in order, whether they have begun or not."""
    return [plots.StageLog(stage["name"], int(stage["epochs"]), runs.read_log(run / "stages" / stage["folder"])) for stage in facts["stages"]]


# --- the page ----------------------------------------------------------------------------------------------------


def _page(run: Path, header: str, sections: Iterable[str]) -> str:
    name = escape(run.resolve().name)
    css = importlib.resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    made = time.strftime("%d %B %Y, %H:%M", time.gmtime()).lstrip("0")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{name} – reid_srdl</title>\n<style>\n{_colours()}{css}</style>\n</head>\n<body>\n{header}\n<main>\n"
        + "\n".join(filter(None, sections))
        + f"\n</main>\n<footer>Written by reid_srdl {escape(__version__)} on {made} UTC.</footer>\n</body>\n</html>\n"
    )


def _colours() -> str:
    chosen = {"paper": ("#ffffff", "#14181e"), "rule": ("#d9dee5", "#39414d"), **plots.COLOURS}
    for frame in ("match", "mistake", "distractor"):
        colour = "#{:02x}{:02x}{:02x}".format(*FRAMES[frame])
        chosen[frame] = (colour, colour)
    light, dark = ("; ".join(f"--{name}: {colours[theme]}" for name, colours in chosen.items()) for theme in (0, 1))
    return f":root {{ color-scheme: light dark; {light}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}; }} }}\n"


def _section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(filter(None, parts)) + "\n</section>"


def _missing(what: str, command: str) -> str:
    return f'<p class="missing">{escape(what)}<code>{escape(command)}</code></p>'


def _figure(svg: bytes, title: str, words: str) -> str:
    return f"<figure>\n<figcaption><b>{escape(title)}</b>{escape(words)}</figcaption>\n{svg.decode()}\n</figure>"


def _header(run: Path, facts: Mapping[str, Any], evaluated: Evaluated | None) -> str:
    epochs = count(sum(int(stage["epochs"]) for stage in facts["stages"]), "epoch")
    people = count(facts["identities"], "class", "classes") if evaluated and evaluated.classifies else count(facts["identities"], "person", "people")
    lead = (
        f"Trained on {count(facts['images'], 'image')} of {people} from {facts['dataset']}, by the plan {facts['plan']}: "
        f"{epochs} in {count(len(facts['stages']), 'stage')}, seed {facts['seed']}."
    )
    unfinished = "" if facts["finished"] else _missing("Training is not finished. It goes on with", f"tools/train.py --resume {run}")
    name = escape(run.resolve().name)
    return f'<header>\n<p class="kind">Report of a run</p>\n<h1>{name}</h1>\n<p class="lead">{escape(lead)}</p>\n{unfinished}{_tiles(evaluated)}</header>'


def _tiles(evaluated: Evaluated | None) -> str:
    tiles = []
    for kind, names in (("single", ("rank1", "mAP")), ("multi", ("rank1", "mAP")), ("classification", ("top1", "top5"))):
        scores = (evaluated.metrics.get(kind) if evaluated else None) or {}
        for name in names:
            if scores.get(name) is not None:
                what = f"{(SCORES | CLASS_SCORES)[name][0]}, {KINDS[kind].lower()}"
                tiles.append(f'<div class="tile"><b>{100 * scores[name]:.1f}<small>%</small></b><span>{what}</span></div>')
    return f'<div class="tiles">{"".join(tiles)}</div>\n' if tiles else ""


# --- its sections ------------------------------------------------------------------------------------------------


def _scores(run: Path, dataset: str, evaluated: Evaluated | None) -> str:
    if evaluated is None:
        others = sorted(path.parent.name for path in (run / "eval").glob("*/metrics.json"))
        also = f" There are scores on {', '.join(others)}, which --dataset shows." if others else ""
        return _section("Scores", _missing(f"Not scored on {dataset} yet.{also} Scores come from", f"tools/eval.py --checkpoint {run} --dataset {dataset}"))
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in words.protocol(evaluated.protocol))
    return _section(
        f"Scores on {dataset}",
        f'<div class="beside">\n<div class="wide">{_score_table(evaluated)}</div>\n{_cmc(evaluated)}</div>',
        f'<h3>How this was measured</h3>\n<ul class="words">{sentences}</ul>' if sentences else "",
    )


def _score_table(evaluated: Evaluated) -> str:
    columns = {kind: evaluated.metrics[kind] for kind in KINDS if evaluated.metrics.get(kind)}
    head = "".join(f'<th scope="col">{KINDS[kind]}</th>' for kind in columns)
    rows = []
    for name, (short, meaning) in (CLASS_SCORES if evaluated.classifies else SCORES).items():
        values = [scores.get(name) for scores in columns.values()]
        if any(value is not None for value in values):
            shown = "".join(f"<td>{_score(name, value)}</td>" for value in values)
            rows.append(f'<tr><th scope="row">{short}<small>{meaning}</small></th>{shown}</tr>')
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _score(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if name == "loss" else f"{100 * value:.2f}<small> %</small>"


def _cmc(evaluated: Evaluated) -> str:
    curves = {}
    for kind in ("single", "multi", "ensemble"):
        scores = evaluated.metrics.get(kind) or {}
        known = dict(enumerate(scores.get("cmc") or [], start=1))
        known = known or {place: scores[f"rank{place}"] for place in plots.TOLD if scores.get(f"rank{place}") is not None}
        if known:
            curves[KINDS[kind]] = known
    if KINDS["single"] in curves and evaluated.ranked is not None:
        depth = min(CMC_DEPTH, len(evaluated.ranked[1]))
        curves[KINDS["single"]] = dict(enumerate(evaluated.ranked[2].cmc(depth).tolist(), start=1))
    if not curves:
        return ""
    svg = plots.cmc(curves, label="CMC curve")
    return _figure(svg, "CMC curve", "Share of queries with a match among so many nearest images")


def _training(run: Path, facts: Mapping[str, Any]) -> str:
    logs = stage_logs(run, facts)
    if not any(log.rows for log in logs):
        return _section("Training", _missing("No epoch has been finished yet. Training goes on with", f"tools/train.py --resume {run}"))
    figures = (
        ("Loss", "What is minimised, and the cross-entropy in it", {"loss": "loss", "cross_entropy": "cross-entropy"}, {}),
        ("Learning rate", "Of each epoch, on a logarithmic scale", {"rate": "learning rate"}, {"scale": "log", "held": True}),
        ("Imitation", "Divergence from the beliefs that are imitated, before its weight", {"imitation": "KL divergence"}, {}),
        ("Accuracy", "On the training batches, augmented", {"accuracy": "right answers"}, {"scale": "percent"}),
        ("Scores during training", "For the curve only: the result is the last epoch’s", {"val_rank1": "Rank-1", "val_mAP": "mAP"}, {"scale": "percent"}),
    )
    drawn = [(plots.training(logs, columns, label=title, **how), title, caption) for title, caption, columns, how in figures]
    return _section(
        "Training",
        f'<p class="note">{_about_stages(logs)}</p>',
        '<div class="figures">\n' + "\n".join(_figure(*figure) for figure in drawn if figure[0] is not None) + "\n</div>",
    )


def _about_stages(logs: Sequence[plots.StageLog]) -> str:
    named = [f"{escape(log.name)} ({count(log.epochs, 'epoch')})" for log in logs]
    if len(named) == 1:
        return f"One stage, {named[0]}."
    return f"{len(named)} stages one after the other: {', then '.join(named)}. A dotted line marks where a new one begins."


def _ranked_lists(run: Path, evaluated: Evaluated | None, data: ReIDData | None, seed: int) -> str:
    title = "What was found"
    if evaluated is None or evaluated.classifies:
        return ""
    again = f"tools/eval.py --checkpoint {run} --dataset {evaluated.dataset}"
    if evaluated.ranked is None:
        return _section(title, _missing("The embeddings of queries and gallery were not kept. They come from", again))
    query, gallery, result = evaluated.ranked
    if query.paths is None or gallery.paths is None:
        return _section(title, _missing("The embeddings do not say which images they are of. Those of this project do:", again))
    chosen = lists.choose(result.ap, query.labels, seed=seed)
    groups = {
        "The best": ("Queries with the highest average precision", chosen.best),
        "Drawn by chance": ("What is usual: queries from among all others", chosen.drawn),
        "The worst": ("Queries with the lowest average precision", chosen.worst),
    }
    how = how_ranked(evaluated.protocol)
    try:
        ranked = {name: lists.ranked_lists(query, gallery, result, rows, **how) for name, (_, rows) in groups.items() if rows}
    except UserError as error:  # faiss is an extra
        return _section(title, _missing(f"{error} Then", f"tools/report.py {run} --dataset {evaluated.dataset}"))
    roots = [split.root for split in (data.query, data.gallery, data.train)] if data is not None else []
    pictures = lists.pictures_of((shown for some in ranked.values() for shown in some), roots)
    parts = [f'<p class="note">A query, and the nearest {lists.DEPTH} gallery images, nearest first: each with its distance and its camera.</p>', lists.LEGEND]
    if not pictures:
        command = f"tools/report.py {run} --dataset {evaluated.dataset} --data_root DIR"
        parts.append(_missing("The images are not where they were, so only their names are shown. Say where the data set is:", command))
    for name, some in ranked.items():
        parts.append(f'<h3>{name}</h3>\n<p class="note">{groups[name][0]}</p>')
        parts += [lists.as_html(shown, pictures) for shown in some]
    return _section(title, *parts)


def _configuration(run: Path) -> str:
    path = run / runs.CONFIG
    if not path.is_file():
        return ""
    return f"<details>\n<summary>The whole configuration</summary>\n<pre>{escape(path.read_text(encoding='utf-8'))}</pre>\n</details>"
