"""Check a data set before training, or verify it against its own ground truth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from .. import config, files
from ..config import MOST_THREADS
from ..errors import UserError, shown
from ..ranges import number
from ..shell import command

if TYPE_CHECKING:
    from ..data.doctor import Diagnosis
    from ..data.records import ClassData, ReIDData

USAGE = """usage: data check DATASET [--data_root DIR] [--output DIR] [--ignore_camera]
       data verify DATASET [--data_root DIR]

check   looks at labels, cameras and every image, and says in plain words what is wrong; exit code 1 when training or
        scoring would be wrong. Writes findings.json and a contact sheet.
verify  compares the computed matches with the data set's gt_query files; exit code 1 when they differ.

data check DATASET --help lists the options."""


@dataclass(frozen=True)
class CheckOptions:
    """Look at a data set before an hour is lost in training.

    Args:
        data_root: folder of the data sets (of ``csv``: the file); null means ``$REID_DATA``, or else ``datasets``.
        output: folder for findings.json and the contact sheet; null means ``runs/check-DATASET``.
        ignore_camera: images of a query's person by the query's own camera are matches too.
        workers: threads that decode.
    """

    data_root: Optional[str] = None
    output: Optional[str] = None
    ignore_camera: bool = False
    workers: int = number(4, above=0, most=MOST_THREADS)


@dataclass(frozen=True)
class VerifyOptions:
    """Compare the computed matches with the data set's own ground truth.

    Args:
        data_root: folder of the data sets; null means ``$REID_DATA``, or else ``datasets``.
    """

    data_root: Optional[str] = None


def run(argv: list[str]) -> int:
    """``check DATASET`` or ``verify DATASET``, and their options."""
    verbs = {"check": (check, CheckOptions), "verify": (verify, VerifyOptions)}
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] not in verbs:
        raise UserError(f"data does not know {argv[0]!r}", "It knows: data check DATASET, data verify DATASET.")
    function, options = verbs[argv[0]]
    words = argv[1:]
    if words and words[0] in ("-h", "--help"):
        config.parse(options, words[:1], prog=f"data {argv[0]} DATASET")
    if not words or words[0].startswith("-"):
        raise UserError(
            f"data {argv[0]} needs the name of a data set first", f"For instance: data {argv[0]} market1501"
        )
    return function(words[0], config.parse(options, words[1:], prog=f"data {argv[0]} {words[0]}"))


def check(dataset: str, options: CheckOptions) -> int:
    """Prints the doctor's findings; 1 when training or scoring would be wrong."""
    from ..data import doctor, reader
    from ..data.records import ReIDData
    from ..data.sheet import sheet
    from ..progress import tracked

    data = reader(dataset)(config.data_root(options.data_root))
    output = Path(options.output or f"runs/check-{dataset}")
    diagnosis, seen = doctor.examine(
        data, same_camera=options.ignore_camera, workers=options.workers, track=tracked(f"looking at {data.name}")
    )
    root = data.train.root
    files.write_json(
        output / "findings.json", {"dataset": data.name, "folder": str(root), **dataclasses.asdict(diagnosis)}
    )
    tile = (160, 80) if isinstance(data, ReIDData) else (112, 112)
    files.write_bytes(output / "contact_sheet.png", sheet(doctor.splits_of(data), seen, tile=tile))
    _print(data.name, root, diagnosis)
    print(f"\nSee {output / 'contact_sheet.png'}; {output / 'findings.json'} lists all images that are spoken of.")
    if diagnosis.stops:
        return 1
    root_words = ["--data_root", options.data_root] if options.data_root else []
    scored = not options.ignore_camera or _is_scored(data)
    print("Next, train on it:", command("train", "--dataset", dataset, *root_words, *([] if scored else ["--evaluate", "none"])))
    if not scored:
        print("Then score it:", command("eval", "--checkpoint", "RUN", "--ignore_camera"))
    return 0


def _is_scored(data: ReIDData | ClassData) -> bool:
    """Whether ``train`` can score on this set: it never counts images by the query's own camera as matches."""
    from .kinds import kind_of

    try:
        kind_of(data).scored(data, "test")
    except UserError:
        return False
    return True


def verify(dataset: str, options: VerifyOptions) -> int:
    """Prints how the computed matches agree with the published ones; 1 when they do not."""
    from ..data import parts_of, read
    from ..data.records import ReIDData
    from ..data.verify import verify as compare
    from ..progress import tracked

    data = read(dataset, config.data_root(options.data_root))
    if not isinstance(data, ReIDData):
        raise UserError(
            f"{dataset} is a classification set: it has no queries", "Only re-identification sets can be verified."
        )
    agree = True
    for part in parts_of(data):
        found = compare(part, tracked(f"verifying {part.name}"))
        print(
            f"{part.name}: {found.queries:,} queries, {found.good:,} good matches and {found.ignored:,} same-camera "
            f"images in {found.source}; "
            f"{found.computed:,} good matches computed"
        )
        for what, lines in (("queries without ground truth", found.missing), ("queries that differ", found.differing)):
            if lines:
                print(f"{len(lines):,} {what}, such as:", *lines[:5], sep="\n  ")
        print("They agree for every query." if found.agrees else "They do not agree: unpack the data set again, all of it.")
        agree &= found.agrees
    return 0 if agree else 1


def _print(name: str, root: Path, diagnosis: Diagnosis) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from ..progress import terminal

    table = Table(title=escape(f"{name} in {root}"), title_justify="left")
    columns = [field.name for field in dataclasses.fields(diagnosis.counts[0])][1:]
    table.add_column("split")
    for column in columns:
        table.add_column("people" if column == "identities" else column, justify="right")
    for row in diagnosis.counts:
        table.add_row(row.name, *(f"{getattr(row, column):,}" for column in columns))
    console = terminal()
    console.print(table)
    words = {"stop": ("STOP", "bold red"), "warn": ("look", "bold yellow"), "note": ("note", "dim")}
    for finding in diagnosis.findings:
        word, style = words[finding.severity]
        sentence = f"{finding.what[:1].upper()}{finding.what[1:].rstrip('.')}. {finding.do}".rstrip()
        line = Text.assemble((f"{word}  ", style), shown(sentence))
        console.print(line, soft_wrap=not console.is_terminal)
        if finding.images and not any(image in finding.what for image in finding.images[:1]):
            console.print(
                Text(shown(f"      {', '.join(finding.images[:3])}{', …' if len(finding.images) > 3 else ''}"), style="dim"),
                soft_wrap=True,
            )
    stops = sum(finding.severity == "stop" for finding in diagnosis.findings)
    console.print(
        f"\n{stops} finding{'s' if stops > 1 else ''} would make training or scoring wrong."
        if stops
        else "\nNothing stands in the way of training and scoring."
    )
