"""Score a trained network, or anybody's embeddings, the way the field scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

from .. import config as configuration
from .. import embeddings, files
from ..errors import UserError

if TYPE_CHECKING:
    from ..evaluation.protocol import Evaluation, Rules
    from ..runs import Trained

METRICS = "metrics.json"


@dataclass(frozen=True)
class EvalOptions:
    """Score a trained network on a data set (--checkpoint), or embeddings that are there already (--embeddings).

    Args:
        checkpoint: a run folder, a stage folder in it, or a ``model.safetensors``.
        embeddings: two files, of query and gallery (.npz or .parquet with vectors, labels, cameras), or one .mat result file.
        dataset: name of a reader, such as ``market1501`` or ``folder``; null means the one that the run was trained on.
        data_root: folder of the data sets (of ``csv``: the file); null means where the run found them, ``$REID_DATA``, or else ``datasets``.
        split: ``test``, or ``val`` for the training people that the run held out.
        query: ``single`` queries, ``multi``, or ``both`` (single alone where the data set has no multi-query images).
        flip: average the embeddings of the image and its mirror.
        metric: ``euclidean`` (squared, as in faiss) or ``cosine``.
        ignore_camera: images of a query's own camera count like all others.
        multi_query: how the images of a person and camera become one query.
        engine: ``exact``, or ``faiss``: a flat index, on the GPU where faiss has one.
        ensemble: score the embeddings of all stages of the run side by side, too, at the cost of all of them.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        output: folder for metrics.json and the embeddings; null means the run's ``eval/DATASET``.
        no_save: keep metrics.json only, not the embeddings.
    """

    checkpoint: Optional[str] = None
    embeddings: Optional[tuple[str, ...]] = None
    dataset: Optional[str] = None
    data_root: Optional[str] = None
    split: Literal["test", "val"] = "test"
    query: Literal["single", "multi", "both"] = "both"
    flip: bool = False
    metric: Literal["euclidean", "cosine"] = "euclidean"
    ignore_camera: bool = False
    multi_query: Literal["mean", "max"] = "mean"
    engine: Literal["exact", "faiss"] = "exact"
    ensemble: bool = False
    device: str = "auto"
    output: Optional[str] = None
    no_save: bool = False


def run(argv: list[str]) -> int:
    """``--checkpoint RUN [--dataset NAME]`` or ``--embeddings QUERY GALLERY``, and their options."""
    options = configuration.parse(EvalOptions, _joined(argv), prog="eval")
    if (options.checkpoint is None) == (options.embeddings is None):
        raise UserError("eval takes either --checkpoint or --embeddings", "For instance: --checkpoint runs/demo, or --embeddings query.npz gallery.npz")
    return _score_files(options) if options.embeddings is not None else _score_network(options)


def _joined(argv: list[str]) -> list[str]:
    """``--embeddings Q G`` as the one word that a list is to the parser."""
    if "--embeddings" not in argv:
        return argv
    start = argv.index("--embeddings")
    stop = next((at for at in range(start + 1, len(argv)) if argv[at].startswith("--")), len(argv))
    return [*argv[:start], f"--embeddings={json.dumps(argv[start + 1 : stop])}", *argv[stop:]]


def rules(options: EvalOptions) -> Rules:
    """The choices that concern scoring."""
    from ..evaluation.protocol import Rules

    return Rules(options.metric, options.ignore_camera, options.engine, options.multi_query, options.device)


def _score_files(options: EvalOptions) -> int:
    from ..evaluation.protocol import score

    paths = options.embeddings or ()
    found = score(*embeddings.load_pair(paths), rules(options))
    output = Path(options.output or f"runs/eval-{Path(paths[0]).stem}")
    found.metrics["protocol"]["files"] = list(paths)
    files.write_json(output / METRICS, found.metrics)
    show(found, " and ".join(paths))
    print(f"The scores and how they were reached are in {output / METRICS}.")
    return 0


def _score_network(options: EvalOptions) -> int:
    from .. import runs
    from ..data import read
    from ..data.records import ReIDData, limit_identities
    from ..evaluation.flat_index import load_faiss
    from ..evaluation.protocol import evaluate
    from ..progress import tracked

    if options.engine == "faiss":
        load_faiss()  # before minutes of embedding
    trained = runs.load(options.checkpoint, options.device)
    dataset = options.dataset or (trained.config.dataset if trained.config else None)
    if dataset is None:
        raise UserError(f"{options.checkpoint} stands alone and names no data set", "Name one with --dataset.")
    own = trained.config is not None and trained.config.dataset == dataset
    root = options.data_root or (trained.config.data_root if own else None)
    data = read(dataset, configuration.data_root(root))
    if own and isinstance(data, ReIDData):
        data = limit_identities(data, train=trained.config.data.train_identities, holdout=trained.config.data.holdout_identities)
    others = _other_stages(trained, options) if options.ensemble else []
    found = evaluate(
        trained, data, query=options.query, flip=options.flip, rules=rules(options), split=options.split, ensemble=others, tracks=tracked
    )
    output = Path(options.output) if options.output else default_output(Path(options.checkpoint), trained, dataset, options.split)
    save(found, output, vectors=not options.no_save)
    show(found, f"{options.checkpoint} on {dataset}")
    print(f"The scores and how they were reached are in {output / METRICS}{'' if options.no_save else ', the embeddings beside it'}.")
    if trained.folder is not None and output == trained.folder / "eval" / dataset:
        print(f"Next, see what it finds: tools/report.py {trained.folder} --dataset {dataset}")
    return 0


def _other_stages(trained: Trained, options: EvalOptions) -> list[Any]:
    from .. import runs

    if trained.folder is None:
        raise UserError("--ensemble needs a run folder", "A single file has no other stages.")
    stages = (runs.load(folder, options.device) for folder in runs.finished_stages(trained.folder))
    others = [stage for stage in stages if stage.model_hash != trained.model_hash]
    if not others:
        raise UserError(f"{trained.folder} has one stage only, which makes no ensemble", "Train with --plan.name srdl.")
    return others


def default_output(checkpoint: Path, trained: Trained, dataset: str, split: str = "test") -> Path:
    """``RUN/eval/DATASET``; for an earlier stage, or the held-out people, a folder of their own beside it."""
    from .. import runs

    name = dataset if split == "test" else f"{dataset}-{split}"
    if trained.folder is None:
        return runs.checkpoint_file(checkpoint).parent / "eval" / name
    stage = runs.checkpoint_file(checkpoint).parent.name
    planned = [part["folder"] for part in runs.read_facts(trained.folder)["stages"]]
    if stage in planned[:-1]:
        name += f"-{stage}"
    return trained.folder / "eval" / name


def save(found: Evaluation, folder: Path, *, vectors: bool = True) -> None:
    """Writes ``metrics.json`` and, unless told otherwise, ``query.npz`` and ``gallery.npz``, which it is of."""
    # The scores come last: whoever finds them finds the embeddings that they are of.
    for name, part in (("query", found.query), ("gallery", found.gallery)):
        if vectors:
            embeddings.save(part, folder / f"{name}.npz")
        else:
            (folder / f"{name}.npz").unlink(missing_ok=True)
    files.write_json(folder / METRICS, found.metrics)


def show(found: Evaluation, title: str) -> None:
    """Prints the scores as a table, and what was scored."""
    from rich.console import Console
    from rich.table import Table

    columns = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "rank20": "Rank-20", "mAP": "mAP", "mAP_trapezoid": "mAP (trapezoid)", "mINP": "mINP"}
    table = Table(title=title, title_justify="left")
    table.add_column("query")
    for column in columns.values():
        table.add_column(column, justify="right")
    for name, result in found.results.items():
        scores = result.scores()
        table.add_row(name, *(f"{100 * scores[key]:.2f}" for key in columns))
    console = Console(highlight=False)
    console.print(table)
    stamp = found.metrics["protocol"]
    print(
        f"{stamp['queries']:,} queries, {stamp['gallery']:,} gallery images ({stamp['distractors']:,} distractors; "
        f"{stamp['junk_removed']:,} of junk left out), {stamp['metric']} distance."
    )
    if found.remark:
        print(f"{found.remark}. They are left out of the means.")
