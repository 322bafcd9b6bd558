"""Export a trained network to ONNX, OpenVINO or torch.export, checked against PyTorch."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

from .. import __version__, files
from .. import config as configuration
from ..errors import UserError
from ..ranges import number
from ..shell import command
from .options import require

if TYPE_CHECKING:
    from ..data.records import ClassData, ReIDData
    from ..export import Wanted
    from ..runs import Trained


MOST_IMAGES = 10_000
"""Images at most: they are held in memory at once."""


@dataclass(frozen=True)
class ExportOptions:
    """Export a trained network to a file for other programs, and check the file against the network.

    The file takes uint8 images (B, 3, H, W) in RGB of the size of the network, any number of them, and normalises them itself.

    Args:
        checkpoint: a run folder, a stage folder in it, or a ``model.safetensors``.
        format: ``onnx``, ``openvino``, or ``torch`` for the file of ``torch.export``.
        output: the file to write: ``.onnx``, ``.xml`` (with ``.bin`` beside it) or ``.pt2``; how it was checked is written to ``FILE.json``.
        precision: ``fp32``; of openvino also ``bf16`` or ``int8``, whose ranges are taken from training images.
        tolerance: how far the file may be off: in fp32 the largest difference in parts of the largest number of the embeddings (null: 0.0001), else
            1 - the lowest cosine between the two embeddings of an image (null: 0.01 in bf16, 0.1 in int8).
        logits: the training classes as a second output.
        metric: by which the embeddings are meant to be compared, ``euclidean`` or ``cosine``, which the file says; null means as the run compares them.
        images: how many the file is checked on.
        calibration: how many training images int8 takes its ranges from.
        seed: of the choice of images.
        dataset: that the images are of; null means the one that the run was trained on.
        data_root: folder of the data sets; null means where the run found them, ``$REID_DATA``, or else ``datasets``.
        no_score: do not measure what bf16 or int8 cost in mAP on the test split.
    """

    checkpoint: Optional[str] = None
    format: Literal["onnx", "openvino", "torch"] = "onnx"
    output: Optional[str] = None
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    tolerance: Optional[float] = number(None, least=0)
    logits: bool = False
    metric: Optional[Literal["euclidean", "cosine"]] = None
    images: int = number(200, above=0, most=MOST_IMAGES)
    calibration: int = number(300, above=0, most=MOST_IMAGES)
    seed: int = 0
    dataset: Optional[str] = None
    data_root: Optional[str] = None
    no_score: bool = False


def run(argv: list[str]) -> int:
    """``--checkpoint RUN --format NAME --output FILE`` and their options."""
    options = configuration.parse(ExportOptions, argv, prog="export")
    require(options, ("checkpoint", "output"), "export", "For instance: export --checkpoint runs/demo --format onnx --output model.onnx")

    from .. import runs
    from ..export import Wanted, check_wanted

    output = Path(options.output)
    check_wanted(Wanted(options.format, options.precision), output)
    trained = runs.load(options.checkpoint, "cpu", precision="fp32")
    options = dataclasses.replace(options, metric=options.metric or trained.distance)
    wanted = Wanted(options.format, options.precision, options.logits, options.metric)
    data, why_none = _data(trained, options)
    record = _export(trained, wanted, output, data, options, why_none)
    files.write_json(output.with_name(f"{output.name}.json"), record)
    size = " x ".join(map(str, trained.size))
    print(f"{output} is {trained.model.backbone} in {options.precision}: uint8 images of {size} to vectors of {trained.dimension:,} numbers.")
    for name, parity in record["parity"].items():
        print(f"Beside PyTorch, {record['checked_on']}: {name} {parity['said']}. Allowed: {_allowed(record['tolerance'], options.precision)}.")
    exported = runs.load(output)
    if options.precision != "fp32":
        _score(trained, exported, data, record, options)
        files.write_json(output.with_name(f"{output.name}.json"), record)
    print(f"How it was checked is in {output}.json.")
    for line in _calibrated(trained, exported, options):
        print(line)
    print("Next, embed with it:", command("embed", "--checkpoint", output, "--images", "DIR", "--output", "embeddings.npz"))
    return 0


def _data(trained: Trained, options: ExportOptions) -> tuple[ReIDData | ClassData | None, str]:
    """The data set, or none and why. Raises ``UserError`` where it cannot be read but was asked for, or where int8 needs it."""
    from . import sets
    from .kinds import kind_of

    name = options.dataset or (trained.config.dataset if trained.config else None)
    if name is None and options.precision == "int8":
        raise UserError("int8 needs training images to find the range of its numbers by", "Name them with --dataset and --data_root.")
    if name is None:
        return None, "no data set was named"
    try:
        root, data = sets.found_set(trained.config, name, options.data_root)
    except UserError as error:
        if options.dataset or options.data_root or options.precision == "int8":
            raise
        return None, error.message
    # Only int8 uses training images; nobody was held out of those in another place than the run's.
    limits = options.precision == "int8" and sets.is_own(trained.config, name) and not sets.elsewhere(trained.config, name, root)
    return (kind_of(data).limited(data, trained.config) if limits else data), ""


def _export(trained: Trained, wanted: Wanted, output: Path, data: ReIDData | ClassData | None, options: ExportOptions, why_none: str) -> dict[str, Any]:
    """Writes the file into a folder beside its place, checks it there, and moves it; returns the content of ``FILE.json``."""
    from .. import runs
    from ..data.records import ReIDData
    from ..export import FORMATS, parity, samples, write
    from ..progress import says, tracked

    if data is None:
        says(f"There are no real images to check it on ({why_none}): random pictures are taken.")
        pixels, checked_on = samples.random_pictures(trained.size, options.images, seed=options.seed), f"on {options.images} random pictures"
    else:
        test = data.gallery.without_junk() if isinstance(data, ReIDData) else data.test
        pixels = samples.pixels(trained, test, options.images, seed=options.seed, purpose="check")
        checked_on = f"on {len(pixels)} images of {data.name}'s {test.name}"
    calibration = []
    if wanted.precision == "int8" and data is not None:
        calibration = [image[None].numpy() for image in samples.pixels(trained, data.train, options.calibration, seed=options.seed, purpose="calibration")]
    with _beside(output) as folder:
        written = folder / output.name
        says(f"Writing {output} ({wanted.format}, {wanted.precision}) …")
        write(trained, wanted, written, calibration)
        exported = runs.load(written)
        found = parity.measure(trained, exported, pixels, logits=wanted.logits, track=tracked("checking"))
        # An image's label may depend on the last decimals of its logits, so these have the same tolerance as embeddings.
        allowed = [parity.check(each, wanted.precision, options.tolerance, name) for name, each in found.items()][0]
        for suffix in reversed(FORMATS[wanted.format].suffixes):  # the file that gets loaded is moved last, so that whoever finds it finds all
            with files.writing(output.with_suffix(suffix)) as temporary:
                os.replace(written.with_suffix(suffix), temporary)
    return {
        "file": output.name,
        "hash": exported.model_hash,
        "source": trained.model_hash,
        "format": wanted.format,
        "precision": wanted.precision,
        "size": list(trained.size),
        "dimension": trained.dimension,
        "metric": wanted.metric,
        "checked_on": checked_on,
        "tolerance": allowed,
        "parity": {name: {**dataclasses.asdict(each), "said": str(each)} for name, each in found.items()},
        "calibration": {"images": len(calibration), "of": f"{data.name}'s {data.train.name}", "seed": options.seed} if calibration and data else None,
        "version": __version__,
    }


def _beside(output: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return _Folder(prefix=".export-", dir=output.parent)
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}", "Choose another folder with --output.") from None


class _Folder(tempfile.TemporaryDirectory):
    def __enter__(self) -> Path:
        return Path(super().__enter__())


def _allowed(tolerance: float, precision: str) -> str:
    return f"{tolerance:g} of the largest number" if precision == "fp32" else f"a cosine of {1 - tolerance:g}"


def _calibrated(trained: Trained, exported: Trained, options: ExportOptions) -> list[str]:
    """Copies the run's calibration where the file's distances are those of the network, and deletes one of an earlier file; returns lines on both."""
    from ..evaluation import calibration

    try:
        found, former = (calibration.of_network(network) for network in (trained, exported))
    except UserError as error:
        return [f"No calibration was passed on: {error.message}."]
    lines = []
    if former is not None and not calibration.fits(former, exported):
        exported.calibration_file.unlink()
        lines.append(f"The calibration in {exported.calibration_file} was of the network that was in this file before, and is gone.")
    if found is None or not calibration.fits(found, trained):
        return lines
    if not exported.same_as & trained.same_as:
        own = trained.config
        words = ["--dataset", options.dataset or (own.dataset if own is not None else "NAME")]
        root = options.data_root or (own.data_root if own is not None else None)
        words += ["--data_root", root] if root else []
        return [*lines, f"Its distances are not those that the run's calibration was fitted on: {command('calibrate', exported.file, *words)} makes one of its own."]
    dataclasses.replace(found, model=exported.model_hash).save(exported.calibration_file)
    return [f"Its calibration, by which verify, search and serve give probabilities, is in {exported.calibration_file}."]


def _score(trained: Trained, exported: Trained, data: ReIDData | ClassData | None, record: dict[str, Any], options: ExportOptions) -> None:
    """Measures what rounding costs in mAP, where it can; writes it into ``record``, and prints it."""
    from ..data.records import ReIDData
    from ..export.scores import mean_average_precision
    from ..progress import tracked

    record["score"] = None
    if options.no_score or not isinstance(data, ReIDData):
        print("What it costs in mAP was not measured" + (": --no_score." if options.no_score else ": there is no re-identification set at hand."))
        return
    before, after = (
        mean_average_precision(network, data, metric=options.metric, tracks=lambda title, name=name: tracked(f"{title} in {name}"))
        for network, name in ((trained, "PyTorch"), (exported, options.precision))
    )
    record["score"] = {"dataset": data.name, "query": "single", "metric": options.metric, "mAP": after, "mAP_source": before}
    values = f"{100 * before:.2f} in PyTorch, {100 * after:.2f} in {options.precision}; lost: {100 * (before - after):.2f}"
    print(f"mAP on {data.name} (single query, {options.metric}): {values}.")
