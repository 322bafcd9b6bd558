"""Tiny ImageNet (Stanford CS231n): 200 classes of ImageNet at 64 x 64 pixels, in a layout of its own."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .class_tree import class_data, class_images
from .counts import compare_counts
from .listing import image_names
from .records import ClassData
from .telling import meanwhile, warn
from .unpacking import find_folder

ANNOTATIONS = "val/val_annotations.txt"

OFFICIAL = {"training images": 100_000, "validation images": 10_000, "classes": 200}


def read_tiny_imagenet(root: Path) -> ClassData:
    """Tiny ImageNet: ``train/SYNSET/images``, and ``val/images`` sorted into classes by ``val_annotations.txt``.

    The official validation set (10,000 images, 50 per class) is the test split, since the official test set has no labels. The paper writes
    of 100,000 training and 1,000 test images; here, the latter is taken to mean these 10,000.

    Raises:
        UserError: the set is not there, a synset is missing from a split, or a line of the annotations is malformed or names no image.
    """
    root = Path(root)
    folder = find_folder(root, ("tiny-imagenet", "tiny-imagenet-200"), ("tiny-imagenet-200.zip",), _holds, lambda: _missing(root))
    data = class_data("tiny-imagenet", folder, {"train": class_images(folder, "train", "images"), "test": _annotated(folder)})
    compare_counts(data, folder, OFFICIAL)
    return data


def _holds(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / ANNOTATIONS).is_file()


def _annotated(folder: Path) -> dict[str, list[str]]:
    """The validation images of each class. A line of the list is a file name, a synset and a box, with tabs between."""
    file = folder / ANNOTATIONS
    there = set(image_names(folder / "val/images"))
    listed: dict[str, list[str]] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}", "Unpack the set again.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, tab, rest = line.partition("\t")
        synset = rest.split("\t")[0].strip()
        if not tab or not synset:
            raise UserError(f"{file}, line {number}: {line[:80]!r} names no image and class", "Wanted: val_0.JPEG, a tab, n03444034.")
        if name not in there:
            raise UserError(f"{file}, line {number}: there is no image {folder / 'val/images' / name}", "Unpack all of the set; an image stands in the list once.")
        there.remove(name)
        listed.setdefault(synset, []).append(f"val/images/{name}")
    if there:
        warn(f"{len(there):,} images in {folder / 'val/images'} have no line in {file.name} and are left out")
    return listed


def _missing(root: Path) -> UserError:
    return UserError(
        f"Tiny ImageNet is not in {root}",
        f"Get tiny-imagenet-200.zip from the Stanford course CS231n (cs231n.stanford.edu/tiny-imagenet-200.zip) and put it there, or its folder "
        f"{root / 'tiny-imagenet-200'} with train/SYNSET/images, val/images and {ANNOTATIONS}. {meanwhile()}",
    )
