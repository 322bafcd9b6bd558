"""Embed images: vectors with paths, for a search of your own."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from .. import config as configuration
from .. import devices, embeddings
from ..embeddings import Embeddings
from ..errors import UserError
from ..models.exported import InputOptions, is_exported
from ..shell import command

if TYPE_CHECKING:
    from ..runs import Trained

SKIPPED = 1


@dataclass(frozen=True)
class EmbedOptions:
    """Embed images with a trained network.

    Args:
        checkpoint: a run folder, a stage folder in it, a ``model.safetensors``, or an exported file (``.onnx``, OpenVINO's ``.xml``, ``.pt2``).
        images: a folder (with all folders in it), a pattern such as ``'photos/*.jpg'``, or a CSV file with a column path and perhaps label and camera.
        output: the file to write, ``.npz`` or ``.parquet``; several processes write ``NAME-1-of-N`` each.
        flip: average the embeddings of the image and its mirror.
        batch: images at a time.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; exported files run on the CPU.
        input: what an exported file from elsewhere takes.
    """

    checkpoint: Optional[str] = None
    images: Optional[str] = None
    output: Optional[str] = None
    flip: bool = False
    batch: int = 64
    device: str = "auto"
    input: InputOptions = InputOptions()


@dataclass(frozen=True, eq=False)
class Listed:
    """N images to embed.

    Args:
        files: where they are.
        paths: how they are called in the output.
        labels, cameras: ``(N,)``, where they are known of every image.
    """

    files: list[Path]
    paths: list[str]
    labels: np.ndarray | None = None
    cameras: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, start: int, stop: int) -> Listed:
        """Those from ``start`` to before ``stop``."""
        labels = None if self.labels is None else self.labels[start:stop]
        cameras = None if self.cameras is None else self.cameras[start:stop]
        return Listed(self.files[start:stop], self.paths[start:stop], labels, cameras)


def run(argv: list[str]) -> int:
    """``--checkpoint RUN --images WHERE --output FILE``; 1 where an image was skipped."""
    options = configuration.parse(EmbedOptions, argv, prog="embed")
    for name in ("checkpoint", "images", "output"):
        if getattr(options, name) is None:
            raise UserError(f"embed needs --{name}", "For instance: embed --checkpoint runs/demo --images photos --output photos.npz")
    if options.batch < 1:
        raise UserError(f"batch is {options.batch}", "It must be above 0.")
    embeddings.check_suffix(options.output)
    listed = list_images(options.images)

    from .. import runs
    from ..data.loader import share
    from ..progress import tracked

    number, processes = devices.processes()
    device = options.device if is_exported(options.checkpoint) else devices.own_device(options.device)
    trained = runs.load(options.checkpoint, device, input=options.input)
    size = stored_size(listed.files, trained.size) if trained.crop == "none" else trained.size
    if processes > len(listed):
        raise UserError(f"{processes} processes share {len(listed)} images", f"Start no more than {len(listed)}.")
    listed = listed.rows(*share(len(listed), number, processes))
    outputs = _parts(Path(options.output), processes)
    output = outputs[number]
    skipped: list[str] = []
    track = tracked("embedding") if number == 0 else iter
    batches = embed_in_batches(trained, listed, size, skipped, flip=options.flip, batch=options.batch, track=track)
    try:
        count = embeddings.write(output, batches)
    except UserError as error:
        if len(skipped) < len(listed):
            raise
        raise UserError(f"none of the {len(listed):,} images can be read, such as: {skipped[0]}", "The command data check says more of a data set.") from error
    print(f"{count:,} images as vectors of {trained.dimension:,} numbers are in {output}.")
    devices.wait_for_all()
    if not skipped:
        if number == 0:
            cosine = ["--metric", "cosine"] if trained.distance == "cosine" else []
            print(f"Next, search among them: {command('index', '--embeddings', *outputs, '--output', 'gallery.index', *cosine)}")
        if processes == 1 and listed.labels is not None:
            print(f"Or score them as queries or gallery: {command('eval', '--embeddings', 'QUERY', 'GALLERY')}")
        return 0
    print(f"{len(skipped):,} images could not be read and were skipped:", *skipped, sep="\n  ")
    return SKIPPED


def _parts(output: Path, processes: int) -> list[Path]:
    """The files that so many processes write."""
    if processes == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}-of-{processes}") for number in range(1, processes + 1)]


def stored_size(images: Sequence[Path], size: tuple[int, int]) -> tuple[int, int]:
    """The size that ``open_source`` would decode these to, whatever images among them are unreadable.

    So the vectors are those of ``Trained.embed``, however the images are shared out.
    """
    from ..data.images import image_size, storage_size

    stored = None
    for file in images:
        try:
            own = image_size(file)
            stored = stored or storage_size([file], size)
        except UserError:
            continue  # it is skipped, and named, when its turn comes
        if own != stored:
            return size
    return stored or size


def embed_in_batches(
    trained: Trained,
    listed: Listed,
    size: tuple[int, int],
    skipped: list[str],
    *,
    flip: bool = False,
    batch: int = 64,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Iterator[Embeddings]:
    """Embeddings a batch at a time; why an image was left out goes to the end of ``skipped``.

    Args:
        trained: the network.
        listed: the images.
        size: (height, width) that they are decoded to.
        skipped: is added to.
        flip: average with the mirror image.
        batch: images at a time.
        track: wraps the starts of the batches, for a progress bar.
    """
    from ..data import crops
    from ..data.images import MemoryImages, decode
    from ..inference import embed

    crop = crops.clean(trained.crop, trained.size)

    def decoded(file: Path) -> np.ndarray | str:
        try:
            return decode(file, size, crop)
        except UserError as error:
            return error.message

    workers = trained.config.data.workers if trained.config else 2
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in track(range(0, len(listed), batch)):
            some = listed.rows(start, start + batch)
            images = list(pool.map(decoded, some.files))
            good = [row for row, image in enumerate(images) if not isinstance(image, str)]
            skipped += [image for image in images if isinstance(image, str)]
            if not good:
                continue
            source = MemoryImages.of(np.stack([images[row] for row in good]))
            vectors = embed(trained.network, source, size=trained.size, place=_alone(trained.place), flip=flip, batch=batch)
            yield Embeddings(
                vectors=vectors,
                paths=tuple(some.paths[row] for row in good),
                labels=None if some.labels is None else some.labels[good],
                cameras=None if some.cameras is None else some.cameras[good],
                model=trained.model_hash,
            )


# --- which images ------------------------------------------------------------------------------------------------


def list_images(where: str) -> Listed:
    """The images of a folder, a pattern or a CSV file, in ascending order of path (of a CSV file: in its order).

    Raises:
        UserError: nothing is there, or there are no images.
    """
    path = Path(where).expanduser()
    if path.suffix.lower() == ".csv":
        return _from_csv(path)
    if path.is_dir():
        return _with_names(_in_folder(path), path)
    found = [path] if path.is_file() else sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())
    if not found:
        raise UserError(f"there are no images {where}", "Name a folder, a pattern in quotes such as 'photos/*.jpg', or a CSV file.")
    return _with_names(found, None)


def _in_folder(folder: Path) -> list[Path]:
    from ..data.listing import is_image

    found, seen = [], set()

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot look into {error.filename}: {error.strerror}", "Give yourself the right to read it, or name a folder without it.") from None

    for inner, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        known = os.stat(inner)
        if (known.st_dev, known.st_ino) in seen:  # a link leads back to it
            folders.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        folders.sort()  # so that of two ways to a folder the same is taken everywhere
        found += [Path(inner) / name for name in names if is_image(name)]
    found.sort()
    if not found:
        raise UserError(f"there are no images in {folder}", "Name the folder that they or their folders are in.")
    return found


def _with_names(found: Sequence[Path], folder: Path | None) -> Listed:
    """Labels and cameras from names such as Market-1501's (``0002_c1s1_000451_03.jpg``, ``anna_c2_017.jpg``), where every image has one."""
    from ..data import folder as own
    from ..data import market1501
    from ..data.listing import whole

    paths = [(file.relative_to(folder) if folder else file).as_posix() for file in found]
    for parse in (market1501.parse_name, own.parse_name):
        parsed = [parse(file.name) for file in found]
        if None not in parsed:
            labels, cameras = zip(*parsed, strict=True)
            return Listed(list(found), paths, _numbers([str(label) for label in labels]), whole(cameras, "camera"))
    return Listed(list(found), paths)


def _from_csv(path: Path) -> Listed:
    columns: dict[str, list[str]] = {"path": [], "label": [], "camera": []}
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or []]
            if "path" not in reader.fieldnames:
                raise UserError(f"{path} has no column path (it has: {', '.join(reader.fieldnames) or 'none'})", "Its first line names the columns: path,label,camera.")
            for row in reader:
                for name, values in columns.items():
                    values.append((row.get(name) or "").strip())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as CSV in UTF-8: {error}") from None
    if not columns["path"]:
        raise UserError(f"{path} lists no images", "Give each a line.")
    if "" in columns["path"]:
        raise UserError(f"{path}: line {columns['path'].index('') + 2} names no path", "Give each image a line.")
    return Listed([path.parent / name for name in columns["path"]], columns["path"], _numbers(columns["label"]), _numbers(columns["camera"]))


def _numbers(words: list[str]) -> np.ndarray | None:
    """None where a word is missing. A number stays what it is and another word gets one from itself, so that they are the same in every file."""
    from ..data.listing import as_number, numbered

    if "" in words:
        return None
    values, names = numbered(words)
    if names is None:
        return values
    # Above all labels that data sets use, and below 2^53, which a page's numbers end at; two words meet by chance once in 2^52.
    own = {word: int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") >> 12 | 1 << 52 for word in set(words)}
    own |= {word: number for word in own if (number := as_number(word)) is not None}
    return np.array([own[word] for word in words], dtype=np.int64)


def _alone(place: devices.Place) -> devices.Place:
    """Each process embeds its own shard, so that there is nothing to share or to gather."""
    return devices.Place(place.device, place.precision)
