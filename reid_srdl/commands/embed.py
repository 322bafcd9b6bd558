"""Embed images: vectors with paths, for a search of your own."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from .. import config as configuration
from .. import devices, embeddings, files, ranks
from ..embeddings import Embeddings
from ..errors import UserError
from ..models.exported import InputOptions, is_exported
from ..ranges import number
from ..report.words import count
from ..shell import command
from ..training.termination import Termination
from .image_list import LabelsBy, Listed, list_images, other_people_by_folders
from .options import require

if TYPE_CHECKING:
    from ..runs import Trained

SKIPPED = 1
_DECODERS = 8
"""Threads that decode, where there are cores for so many."""
_LOOKED_AT = 4096
"""Files whose sizes are looked at, and kept, at a time."""


@dataclass(frozen=True)
class EmbedOptions:
    """Embed images with a trained network.

    Args:
        checkpoint: a run folder, a stage folder in it, a ``model.safetensors``, or an exported file (``.onnx``, OpenVINO's ``.xml``, ``.pt2``).
        images: a folder (with the folders in it, but for hidden ones) of JPEG, PNG, WebP, BMP or TIFF, a pattern such as ``'photos/*.jpg'``, or a CSV file with a column path and perhaps label and camera.
        output: the file to write, ``.npz`` or ``.parquet``; several processes write ``NAME-1-of-N`` each.
        labels: what tells whom an image shows: its name, such as ``0002_c1s1_000451_03.jpg`` or ``anna_c2_017.jpg`` (where all have one), or the
            ``folders`` of one person that it lies in.
        flip: average the embeddings of the image and its mirror.
        batch: images at a time.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; exported files run on the CPU.
        input: what an exported file from elsewhere takes.
    """

    checkpoint: Optional[str] = None
    images: Optional[str] = None
    output: Optional[str] = None
    labels: LabelsBy = "names"
    flip: bool = False
    batch: int = number(64, above=0)
    device: str = "auto"
    input: InputOptions = InputOptions()


def run(argv: list[str]) -> int:
    """``--checkpoint RUN --images WHERE --output FILE``; 1 where an image was skipped."""
    options = configuration.parse(EmbedOptions, argv, prog="embed")
    require(options, ("checkpoint", "images", "output"), "embed", "For instance: embed --checkpoint runs/demo --images photos --output photos.npz")
    embeddings.check_suffix(options.output)
    whole = list_images(options.images, options.labels)
    if Path(options.output).suffix.lower() == ".parquet" and (odd := embeddings.no_text(whole.paths)):
        raise UserError(f"the name {odd} is not UTF-8, and .parquet holds text", "Rename it; or write a .npz, of which no index can be built either.")
    names = _names_file(whole, options) if whole.names else None

    # On SIGTERM the process unwinds, and removes what it has half-written.
    with Termination(), contextlib.ExitStack() as stack:
        stack.callback(ranks.leave)
        ranks.join()
        stack.enter_context(ranks.among_others())
        return _embed(options, whole, names)


def _embed(options: EmbedOptions, whole: Listed, names: Path | None) -> int:
    from .. import runs
    from ..data.loader import share
    from ..progress import tracked

    number, processes = ranks.own()
    device = options.device if is_exported(options.checkpoint) else devices.own_device(options.device)
    trained = runs.load(options.checkpoint, device, input=options.input)
    if processes > len(whole):
        raise UserError(f"{processes} processes share {count(len(whole), 'image')}", f"Start no more than {len(whole)}.")
    listed = whole.rows(*share(len(whole), number, processes))
    workers = max(trained.config.data.workers if trained.config else 2, min(_DECODERS, devices.cores()))
    size = stored_size(listed.files, trained.size, workers, trained.place) if trained.crop == "none" else trained.size
    outputs = _parts(Path(options.output), processes)
    output = outputs[number]
    skipped: list[str] = []
    track = tracked("embedding") if number == 0 else iter
    batches = embed_in_batches(trained, listed, size, skipped, flip=options.flip, batch=options.batch, workers=workers, track=track)
    try:
        written = embeddings.write(output, batches)
    except UserError:
        if len(skipped) < len(listed):
            raise
        written = 0
    # A share without a readable image does not stop the others: a single process would have embedded their images, too.
    everywhere = trained.place.gathered(written)
    if not any(everywhere):
        raise UserError(f"of {count(len(whole), 'image')} none can be read, such as: {skipped[0]}", "The command data check says more of a data set.")
    if written:
        print(f"{count(written, 'image')} as vectors of {trained.dimension:,} numbers {'is' if written == 1 else 'are'} in {output}.")
    if number == 0 and names is not None:
        _write_names(whole, names)
    ranks.wait_for_all()
    if skipped:
        print(f"{count(len(skipped), 'image')} could not be read and {'was' if len(skipped) == 1 else 'were'} skipped:", *skipped, sep="\n  ")
    if number == 0:
        _next(whole, [path for path, rows in zip(outputs, everywhere, strict=True) if rows], names, trained.distance)
    return SKIPPED if skipped else 0


_NAMES = ("label", "name")


def _names_file(whole: Listed, options: EmbedOptions) -> Path:
    """The CSV file beside the embeddings that is to say which word each label stands for. Raises ``UserError`` where another kind of file has its name."""
    path = Path(options.output).with_suffix(".names.csv")
    if path.is_file() and path.read_bytes().splitlines()[:1] != [",".join(_NAMES).encode()]:
        raise UserError(f"{path} is there already, and the people's names would be written to it", "Choose another --output, or move that file.")
    return path


def _write_names(whole: Listed, path: Path) -> None:
    """Writes the words of the labels, in the form that ``index --names`` takes."""
    rows = io.StringIO()
    csv.writer(rows, lineterminator="\n").writerows([_NAMES, *sorted(whole.names.items(), key=lambda item: item[1])])
    files.write_bytes(path, rows.getvalue().encode(errors="replace"))  # a folder's name need not be UTF-8
    print(f"Labels are numbers of words, which are in {path}.")


def _next(whole: Listed, outputs: Sequence[Path], names: Path | None, distance: str) -> None:
    words = ["--embeddings", *outputs, "--output", "gallery.index"]
    words += ["--metric", "cosine"] if distance == "cosine" else []
    words += ["--images", whole.folder] if whole.folder is not None else []
    words += ["--names", names] if names is not None else []
    print("Next, search among them:", command("index", *words))
    if other_people_by_folders(whole):
        known = "is not known" if whole.labels is None else f"is told by their names ({count(len(set(whole.labels.tolist())), 'person', 'people')})"
        print(f"Whom they show {known}. If each folder is a person, --labels folders says so.")
    if whole.labels is not None:
        as_what, paths = ("queries or gallery", ["GALLERY"]) if len(outputs) == 1 else ("a gallery", outputs)
        camera = [] if whole.cameras is not None else ["--ignore_camera"]
        print(f"Or score them as {as_what}:", command("eval", "--embeddings", "QUERY", *paths, *camera))


def _parts(output: Path, processes: int) -> list[Path]:
    """The files that the processes write, one each."""
    if processes == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}-of-{processes}") for number in range(1, processes + 1)]


def stored_size(images: Sequence[Path], size: tuple[int, int], workers: int = 2, place: devices.Place = devices.ALONE) -> tuple[int, int]:
    """The size (height, width) that ``open_source`` would decode the images of all processes to, apart from unreadable ones.

    So vectors equal those of ``Trained.embed``, however images are divided among processes; ``images`` is this process's share.
    """
    from ..data.decoding import image_size
    from ..data.images import storage_size

    def own(file: Path) -> tuple[int, int] | None:
        try:
            return image_size(file)
        except UserError:
            return None  # it is skipped, and named, when its turn comes

    found: set[tuple[int, int]] = set()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(images), _LOOKED_AT):
            if len(found) < 2:
                found |= set(pool.map(own, images[start : start + _LOOKED_AT])) - {None}
    return storage_size(set().union(*place.gathered(found)), size)


def embed_in_batches(
    trained: Trained,
    listed: Listed,
    size: tuple[int, int],
    skipped: list[str],
    *,
    flip: bool = False,
    batch: int = 64,
    workers: int = 2,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Iterator[Embeddings]:
    """Embeddings, one batch at a time; the reason why an image was left out is appended to ``skipped``.

    Args:
        trained: the network.
        listed: the images.
        size: (height, width) that they are decoded to.
        skipped: list that reasons are appended to.
        flip: average with the mirror image.
        batch: images at a time.
        workers: threads that decode.
        track: wraps the starts of the batches, for a progress bar.
    """
    from ..data import crops
    from ..data.ahead import ahead_of, fetched
    from ..data.decoding import decode
    from ..data.images import MemoryImages

    crop = crops.clean(trained.crop, trained.size)

    def decoded(file: Path) -> np.ndarray | str:
        try:
            return decode(file, size, crop)
        except UserError as error:
            return error.message

    with ThreadPoolExecutor(max(1, workers)) as pool:
        starts = track(range(0, len(listed), batch))
        for start, images in fetched(lambda start: list(pool.map(decoded, listed.rows(start, start + batch).files)), starts, ahead_of(trained.place.device)):
            some = listed.rows(start, start + batch)
            good = [row for row, image in enumerate(images) if not isinstance(image, str)]
            skipped += [image for image in images if isinstance(image, str)]
            if not good:
                continue
            source = MemoryImages.of(np.stack([images[row] for row in good]))
            vectors = trained.vectors(source, flip=flip, batch=batch, place=_alone(trained.place))
            yield Embeddings(
                vectors=vectors,
                paths=tuple(some.paths[row] for row in good),
                labels=None if some.labels is None else some.labels[good],
                cameras=None if some.cameras is None else some.cameras[good],
                model=trained.embeds_as,
                flip=flip,
            )


def _alone(place: devices.Place) -> devices.Place:
    """The place of a process on its own: each embeds its own share, so that there is nothing to divide or to gather."""
    return devices.Place(place.device, place.precision)
