"""The commands that make a page and its scores anew: with the same network, images and rules, as far as the scores record them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import runs
from ..shell import command
from .evaluated import Evaluated


def scoring(run: Path, evaluated: Evaluated) -> str:
    """The command ``eval`` for the network that the scores are of: the run's last one, that of a stage, or a file of a stage."""
    return command("eval", "--checkpoint", _network(run, evaluated.dataset), *flags(evaluated))


def _network(run: Path, folder: str) -> Path:
    stages = runs.finished_stages(run)
    named = [(f"-{stage.name}", stage) for stage in stages]
    # The folder's name ends with the stage (unless it is the last one), then with the file where that is not the stage's model.
    kept = [(f"{ending}-{Path(file).stem}", stage / file) for ending, stage in [*named, *(("", last) for last in stages[-1:])] for file in (runs.LAST, runs.AVERAGED)]
    return next((path for ending, path in [*kept, *named] if folder.endswith(ending) and path.exists()), run)


def reporting(run: Path, dataset: str, data_root: str | None = None) -> str:
    """The command ``report`` for the run on a data set; ``data_root`` is where the images are, where that has to be said."""
    return command("report", run, "--dataset", dataset, *(["--data_root", data_root] if data_root else []))


def flags(evaluated: Evaluated) -> list[str]:
    """The flags of ``eval``: the data set, of which the folder's name may be a variant, and whatever differs from the usual scoring."""
    stamp = evaluated.protocol
    dataset = stamp.get("dataset", evaluated.dataset)
    variant = evaluated.dataset.removeprefix(dataset)
    if not variant:
        return ["--dataset", dataset]
    rerank = stamp.get("rerank") or {}
    values: dict[str, Any] = {
        "dataset": dataset,
        "data_root": stamp.get("data_root"),
        "split": "val" if stamp.get("split") == "val" else None,
        "query": next((kind for kind in ("single", "multi") if f"-{kind}" in variant), None),
        "flip": bool(stamp.get("flip")),
        "metric": stamp.get("metric"),
        "ignore_camera": bool(stamp.get("same_camera")),
        "multi_query": "max" if (stamp.get("multi_query") or {}).get("pooling") == "max" else None,
        "engine": "faiss" if str(stamp.get("engine")).startswith("faiss") else None,
        "expand": stamp.get("expand") or None,
        "rerank": bool(rerank),
        **{f"rerank_{name}": value for name, value in rerank.items()},
    }
    return [word for name, value in values.items() if value is not None and value is not False for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])]
