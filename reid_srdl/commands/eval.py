"""Score a trained network, or anybody's embeddings, the way the field scores."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config as configuration
from .. import devices, embeddings, files, ranks
from ..errors import UserError
from ..models.exported import is_exported, is_from_elsewhere
from ..runs.layout import METRICS
from ..shell import command
from . import sets
from .eval_options import EvalOptions, rules
from .options import given

if TYPE_CHECKING:
    from ..data.records import ClassData, ReIDData
    from ..evaluation.scored import Scored, Track
    from ..runs import Trained

WORDS = ("", "query", "tested on")
"""Columns of words in the tables of scores; the others are figures."""
LEFT_OUT = ("Rank-20", "mAP (trapezoid)")
"""Columns that the table of several sets has no room for."""


def run(argv: list[str]) -> int:
    """``--checkpoint RUN [--dataset NAME]`` or ``--embeddings QUERY GALLERY``, and their options."""
    options = configuration.parse(EvalOptions, argv, prog="eval")
    if (options.checkpoint is None) == (options.embeddings is None):
        raise UserError("eval takes either --checkpoint or --embeddings", "For instance: --checkpoint runs/demo, or --embeddings query.npz gallery.npz")
    score = _score_network if options.embeddings is None else _score_files
    if options.checkpoint is None or not is_exported(options.checkpoint):
        options = dataclasses.replace(options, device=devices.own_device(options.device))
    ranks.join()
    with contextlib.ExitStack() as stack:
        stack.callback(ranks.leave)
        stack.enter_context(ranks.among_others())
        if not _is_first():
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        return score(options)


def _is_first() -> bool:
    """Of several processes only the first speaks and writes."""
    return ranks.own()[0] == 0


def _tracks(title: str) -> Track:
    from ..progress import tracked

    return tracked(title) if _is_first() else iter


_OF_A_NETWORK = ("dataset", "data_root", "split", "query", "flip", "ensemble", "members", "no_save", "input")
"""Options that mean nothing for embeddings that are there already."""


def _score_files(options: EvalOptions) -> int:
    from ..data.loader import share
    from ..evaluation.protocol import score

    idle = given(options, _OF_A_NETWORK)
    if idle:
        raise UserError(f"--{idle[0]} means nothing for embeddings that are there already", "Leave it out, or score a network with --checkpoint.")
    paths = options.embeddings or ()
    place = devices.Place(devices.choose(options.device), "fp32", *ranks.own())
    query, gallery = embeddings.load_pair(paths, lambda count: share(count, place.rank, place.world))
    output = Path(options.output) if options.output else _beside(paths, options)
    found = score(query, gallery, rules(options), track=_tracks("re-ranking"), place=place)
    found.metrics["protocol"]["files"] = list(map(os.path.abspath, paths))
    show(found, " and ".join(paths) if len(paths) < 3 else f"{paths[0]} and the {len(paths) - 1} parts of a gallery, {paths[1]} to {paths[-1]}")
    if _is_first():
        files.write_json(output / METRICS, found.metrics)
    print(f"The scores and how they were reached are in {output / METRICS}.")
    return 0


def _beside(paths: Sequence[str], options: EvalOptions) -> Path:
    """``scores/QUERY-GALLERY`` beside the first file, and not in ``eval``, which belongs to runs."""
    usual = "euclidean"
    parts = [f"{len(paths) - 1}parts"] if len(paths) > 2 else []
    name = "-".join([*(Path(path).stem for path in paths[:2]), *parts]) + _variant(dataclasses.replace(options, metric=options.metric or usual), usual)
    return _not_of_others(Path(paths[0]).parent / "scores" / name, "files", paths)


def _not_of_others(output: Path, key: str, own: Sequence[files.Pathlike]) -> Path:
    """``output``, a folder that the user did not name. Raises ``UserError`` where it holds scores of files or images of the same name in another place."""
    if not (output / METRICS).is_file():
        return output
    content = files.read_json(output / METRICS)
    protocol = content.get("protocol") if isinstance(content, dict) else None
    there = protocol.get(key, own) if isinstance(protocol, dict) else []
    there = [str(one) for one in there] if isinstance(there, (list, tuple)) else [str(there)]
    if list(map(os.path.realpath, there)) != list(map(os.path.realpath, own)):
        raise UserError(f"{output} holds scores of {' and '.join(there) or 'something else'}", "Choose another folder with --output, or move it.")
    return output


def _score_network(options: EvalOptions) -> int:
    members = _named_members(options)
    foreign = _from_elsewhere([options.checkpoint, *members], options)
    trained = _loaded(options.checkpoint, options, foreign)
    asked = sets.asked(trained, options.dataset, options.data_root, options.split)
    for data in asked.sets.values():
        _accept(trained, data, options)
    options = dataclasses.replace(options, metric=options.metric or trained.distance)
    others = _others(trained, options, {path: _loaded(path, options, foreign) for path in members})
    tables = {}
    for name, data in asked.sets.items():
        root = asked.roots[name]
        output = _output(trained, name, root, options, several=len(asked.sets) > 1)
        found = _scored(trained, name, data, root, options, others, output)
        show(found, f"{options.checkpoint} on {name}")
        print(f"The scores and how they were reached are in {output / METRICS}{'' if options.no_save else ', what they are of beside it'}.")
        tables[name] = found.table()
    if len(tables) > 1:
        show_together(tables, f"Trained on {trained.config.dataset}" if trained.config else str(options.checkpoint))
    for name, why in asked.absent.items():
        print(f"Not there: {name} ({why})")
    if trained.folder is not None and output.parent == trained.folder / "eval":
        print("Next, see what it finds:", command("report", trained.folder, "--dataset", output.name, *(["--data_root", options.data_root] if options.data_root else [])))
    return 0


def _accept(trained: Trained, data: ReIDData | ClassData, options: EvalOptions) -> None:
    """Raises ``UserError``, before anything is computed, where the network cannot be scored on this set with these options."""
    from ..data.records import ClassData
    from .kinds import kind_of

    kind_of(data).accept(data, options)
    if isinstance(data, ClassData) and is_exported(options.checkpoint) and not len(trained.labels):
        raise UserError(f"{options.checkpoint} holds no classifier, so it cannot be scored on {data.name}", "Export the network with --logits.")


def _output(trained: Trained, name: str, root: Path, options: EvalOptions, *, several: bool) -> Path:
    if options.output is None:
        place = sets.elsewhere(trained.config, name, root)
        output = default_output(Path(options.checkpoint), trained, name, options.split, _variant(options, trained.distance) + place)
        return _not_of_others(output, "data_root", [root]) if place else output
    return Path(options.output) / name if several else Path(options.output)


def _scored(trained: Trained, name: str, data: ReIDData | ClassData, root: Path, options: EvalOptions, others: list[Trained], output: Path) -> Scored:
    """Scores one set and writes what was found."""
    from .kinds import kind_of

    found = kind_of(data).evaluate(trained, data, options, others, _tracks)
    if sets.elsewhere(trained.config, name, root):
        found.metrics["protocol"]["data_root"] = os.path.realpath(root)
    if trained.facts is not None:  # a rounded file has a hash of its own; this tells the network that it was exported from
        found.metrics["protocol"] |= {"source": trained.facts.source, "precision": trained.facts.precision}
    found.save(output, details=not options.no_save)
    return found


def _from_elsewhere(checkpoints: Sequence[str], options: EvalOptions) -> list[str]:
    """The checkpoints that ``--input.…`` is for: those that need it, or else the first, whose loading then refuses it with the reason."""
    if options.input == EvalOptions().input:
        return []
    return [path for path in checkpoints if is_from_elsewhere(path)] or [checkpoints[0]]


def _loaded(path: str, options: EvalOptions, foreign: Sequence[str]) -> Trained:
    from .. import runs

    return runs.load(path, options.device, input=options.input if path in foreign else None)


def _others(trained: Trained, options: EvalOptions, members: Mapping[str, Trained]) -> list[Trained]:
    """The networks that are scored together with the first, each once; ``members`` are those of ``--members`` by their paths."""
    from .. import runs

    others: list[Trained] = []
    for folder in _stages(trained) if options.ensemble else []:
        stage = runs.load(folder, options.device)
        if not _is_among(stage, [trained, *others]):
            others.append(stage)
    if options.ensemble and not others:
        raise UserError(f"{trained.folder} has one stage only, which makes no ensemble", "Train with --plan.name srdl, or name other networks with --members.")
    for path, member in members.items():
        if _is_among(member, [trained]):
            raise UserError(f"{path} is the same network as {options.checkpoint}", "An ensemble wants another one.")
        if not _is_among(member, others):
            others.append(member)
    return others


def _is_among(one: Trained, others: Sequence[Trained]) -> bool:
    """Whether its embeddings are those of one of the others: as the same weights, or as their full-precision export."""
    return any(one.same_as & other.same_as for other in others)


def _stages(trained: Trained) -> list[Path]:
    from .. import runs

    if trained.folder is None:
        raise UserError("--ensemble needs a run folder", "A single file has no other stages; --members takes further files.")
    return runs.finished_stages(trained.folder)


def _named_members(options: EvalOptions) -> tuple[str, ...]:
    if options.members is not None and not options.members:
        raise UserError("--members names no network", "For instance: --members runs/one runs/other")
    return options.members or ()


def _variant(options: EvalOptions, distance: str) -> str:
    """The end of the folder's name: all options but the field's usual ones and the run's own distance, so that usual scores are not overwritten."""
    unusual = {
        options.query: options.query != "both",
        "flip": options.flip,
        str(options.metric): options.metric != distance,
        "ignore_camera": options.ignore_camera,
        "max": options.multi_query == "max",
        options.engine: options.engine != "exact",
        f"expand{options.expand}": options.expand > 0,
        "rerank": options.rerank,
        f"k1_{options.rerank_k1}": options.rerank_k1 != EvalOptions.rerank_k1,
        f"k2_{options.rerank_k2}": options.rerank_k2 != EvalOptions.rerank_k2,
        f"weight_{options.rerank_weight:g}": options.rerank_weight != EvalOptions.rerank_weight,
    }
    return "".join(f"-{name}" for name, chosen in unusual.items() if chosen)


def default_output(checkpoint: Path, trained: Trained, dataset: str, split: str = "test", variant: str = "") -> Path:
    """``RUN/eval/DATASET``; for an earlier stage, the last or averaged weights, the held-out people or another way of scoring, a folder of its own beside it.

    For a file outside of a run folder ``eval/DATASET-FILE`` beside it, or ``eval/DATASET`` where it has the usual name of weights.
    """
    from .. import runs

    name = (dataset if split == "test" else f"{dataset}-{split}") + variant
    file = checkpoint if is_exported(checkpoint) else runs.checkpoint_file(checkpoint)
    if trained.folder is None:
        return file.parent / "eval" / (name if file.name == runs.MODEL else f"{name}-{file.name}")
    planned = [part["folder"] for part in runs.read_facts(trained.folder)["stages"]]
    if file.parent.name in planned[:-1]:
        name += f"-{file.parent.name}"
    if file.name in (runs.LAST, runs.AVERAGED):
        name += f"-{file.stem}"
    return trained.folder / "eval" / name


def show(found: Scored, title: str) -> None:
    """Prints the scores as a table, and what was scored."""
    _print(found.table(), title)
    print(*found.remarks(), sep="\n")


def show_together(tables: Mapping[str, Sequence[tuple[str, ...]]], title: str) -> None:
    """Prints the scores on several data sets as one table; ``tables`` are those of each, by its name."""
    lines = [("tested on", *next(iter(tables.values()))[0])]
    lines += [(name if place == 0 else "", *row) for name, (_, *rows) in tables.items() for place, row in enumerate(rows)]
    shown = [place for place, column in enumerate(lines[0]) if column not in LEFT_OUT]
    _print([tuple(line[place] for place in shown) for line in lines], title)


def _print(lines: Sequence[tuple[str, ...]], title: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ..progress import terminal

    header, *rows = lines
    table = Table(title=escape(title), title_justify="left")
    for column in header:
        table.add_column(column, justify="left" if column in WORDS else "right", no_wrap=column in WORDS)
    for row in rows:
        table.add_row(*row)
    terminal().print(table)
