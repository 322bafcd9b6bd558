"""The scores of a run: the large figures at the top, the table, and how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..diagnostics import reliability
from ..evaluation.classification import telling
from ..evaluation.protocol import CMC_DEPTH
from ..runs import METRICS
from ..shell import command
from . import plots, words
from .evaluated import Evaluated
from .html import beside, figure, missing, named, section, table

RANKING = {
    "rank1": ("Rank-1", "the nearest image shows the person"),
    "rank5": ("Rank-5", "one of the nearest 5 does"),
    "rank10": ("Rank-10", "one of the nearest 10 does"),
    "rank20": ("Rank-20", "one of the nearest 20 does"),
    "mAP": ("mAP", "mean average precision"),
    "mAP_trapezoid": ("mAP, trapezoid", "by the rule of Market-1501's own code"),
    "mINP": ("mINP", "how early the last match comes"),
}
CLASSIFICATION = {
    "top1": ("Top-1", "the first guess is right"),
    "top5": ("Top-5", "one of the first 5 is"),
    "loss": ("Loss", "cross-entropy"),
    "ece": ("ECE", "expected calibration error"),
}
KINDS = {"single": "Single query", "multi": "Multi-query", "classification": "The network", "ensemble": "Ensemble"}
TILES = {"single": ("rank1", "mAP"), "multi": ("rank1", "mAP"), "classification": ("top1", "top5", "ece")}


def figures(metrics: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The scores of ``metrics.json`` that are shown: key to name and meaning."""
    if "classification" not in metrics:
        return RANKING
    names = telling((metrics.get("protocol") or {}).get("classes"))
    return {name: said for name, said in CLASSIFICATION.items() if name in names}


def tiles(evaluated: Evaluated | None) -> str:
    """The main scores as large figures for the top of the page."""
    if evaluated is None:
        return ""
    shown, told = [], figures(evaluated.metrics)
    for kind, names in TILES.items():
        scores = evaluated.metrics.get(kind) or {}
        for name in names:
            if name in told and scores.get(name) is not None:
                images = "held-out images" if evaluated.protocol.get("split") == "val" else "test images"
                what = f"{told[name][0]}, {images if kind == 'classification' else KINDS[kind].lower()}"
                shown.append(f'<div class="tile"><b>{100 * scores[name]:.1f}<small>%</small></b><span>{what}</span></div>')
    return f'<div class="tiles">{"".join(shown)}</div>\n' if shown else ""


def scores_section(run: Path, dataset: str, evaluated: Evaluated | None) -> str:
    """The section of scores: the table, the curve (CMC or reliability), and the protocol in words."""
    if evaluated is None:
        others = sorted(path.parent.name for path in (run / "eval").glob(f"*/{METRICS}"))
        also = f" There are scores on {', '.join(others)}, which --dataset shows." if others else ""
        return section("Scores", missing(f"Not scored on {dataset} yet.{also} Scores come from", command("eval", "--checkpoint", run, "--dataset", dataset)))
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in words.protocol(evaluated.protocol))
    return section(
        f"Scores on {dataset}",
        beside(_table(evaluated), _reliability(evaluated) if evaluated.classifies else _cmc(evaluated)),
        f'<h3>How this was measured</h3>\n<ul class="words">{sentences}</ul>' if sentences else "",
    )


def _table(evaluated: Evaluated) -> str:
    columns = {f"{name.capitalize()} stage": one.metrics["classification"] for name, one in evaluated.earlier.items() if one.classifies}
    columns |= {KINDS[kind]: evaluated.metrics[kind] for kind in KINDS if evaluated.metrics.get(kind)}
    rows = []
    for name, said in figures(evaluated.metrics).items():
        values = [scores.get(name) for scores in columns.values()]
        if any(value is not None for value in values):
            rows.append([named(*said), *(_score(name, value) for value in values)])
    return table(["", *columns], rows)


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
    if KINDS["single"] in curves and evaluated.ranked is not None and evaluated.by_distance:
        depth = min(CMC_DEPTH, len(evaluated.ranked.gallery))
        curves[KINDS["single"]] = dict(enumerate(evaluated.ranked.result.cmc(depth).tolist(), start=1))
    if not curves:
        return ""
    return figure(plots.cmc(curves, label="CMC curve"), "CMC curve", "Share of queries with a match among so many nearest images")


def _reliability(evaluated: Evaluated) -> str:
    networks = {f"{name} stage": one.predictions for name, one in evaluated.earlier.items()} | {"the network": evaluated.predictions}
    curves = {name: reliability(said.confidence, said.right) for name, said in list(networks.items())[-2:] if said is not None}
    if not curves:
        return ""
    svg = plots.reliability(curves, label="Reliability diagram")
    return figure(svg, "Reliability", "How many of the images that it is so sure of are right; on the dotted line, as many as it says")
