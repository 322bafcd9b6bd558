"""ImageNet, ILSVRC 2012 (Russakovsky et al. 2015): ``{train,val}/SYNSET/*.JPEG``."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UserError
from .class_tree import class_data, class_images
from .counts import compare_counts
from .listing import folder_names
from .records import ClassData
from .telling import meanwhile
from .unpacking import find_folder

OFFICIAL = {"training images": 1_281_167, "validation images": 50_000, "classes": 1_000}

_SYNSET = re.compile(r"n\d{8}", re.ASCII)


def read_imagenet(root: Path) -> ClassData:
    """ImageNet; the official validation set is the test split, since labels of the official test set are not public.

    Classes are synsets such as ``n01440764``, and labels count them in ascending order, as torchvision's networks do.

    Raises:
        UserError: the set is not there, or a synset is missing from a split.
    """
    root = Path(root)
    folder = find_folder(
        root, ("imagenet", "ILSVRC2012", "ImageNet", "ILSVRC/Data/CLS-LOC"), (), _holds, lambda: _missing(root)
    )
    if not folder_names(folder / "val"):
        raise UserError(
            f"the images in {folder / 'val'} are not sorted into synsets",
            f"Move each into the folder of its class, as {folder / 'val'}/n01440764/ILSVRC2012_val_00000293.JPEG; the development kit says which is which.",
        )
    data = class_data("imagenet", folder, {"train": class_images(folder, "train"), "test": class_images(folder, "val")})
    compare_counts(data, folder, OFFICIAL)
    return data


def _holds(folder: Path) -> bool:
    if not ((folder / "train").is_dir() and (folder / "val").is_dir()):
        return False
    return any(_SYNSET.fullmatch(name) for name in folder_names(folder / "train"))


def _missing(root: Path) -> UserError:
    return UserError(
        f"ImageNet is not in {root}",
        f"Get ILSVRC 2012 from https://www.image-net.org (after signing its terms) and put it there as {root / 'imagenet'} with train/SYNSET/*.JPEG and "
        f"val/SYNSET/*.JPEG. {meanwhile()}",
    )
