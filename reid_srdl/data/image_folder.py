"""A user's own classes: one folder of images per class, in ``train`` and in ``val`` or ``test``."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .class_tree import class_data, class_images
from .listing import folder_names, image_names
from .records import ClassData

LAYOUT = (
    "Wanted: the folders train and test (or val), each with a folder of images a class, such as train/cat/1.jpg. With val and test, "
    "val is for choosing and test for the score; one of them alone is the test split."
)


def read_image_folder(root: Path) -> ClassData:
    """The classes of a folder, labelled in the order of their names; images may have any size, and grey ones become RGB.

    Raises:
        UserError: no such folder, a split without classes, an empty class, or a class that is missing from a split.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"there is no folder {root}", f"Name it with --data_root. {LAYOUT}")
    there = [split for split in ("train", "val", "test") if (root / split).is_dir()]
    if "train" not in there or len(there) == 1:
        raise _incomplete(root, there)
    folders = {"test": "val", **{split: split for split in there}} if "test" in there else {"train": "train", "test": "val"}
    return class_data("image-folder", root, {split: class_images(root, folder) for split, folder in folders.items()})


def _incomplete(root: Path, there: list[str]) -> UserError:
    if there:
        lacking = "neither val nor test" if there == ["train"] else "no train"
        return UserError(f"{root} has the folder {' and the folder '.join(there)}, but {lacking}", LAYOUT)
    classes = [name for name in folder_names(root) if image_names(root / name)]
    if classes:
        shown = ", ".join(classes[:3])
        return UserError(f"{root} holds {len(classes):,} folders of images ({shown}, …) but does not say what trains and what tests", LAYOUT)
    return UserError(f"{root} has no folders train and test", LAYOUT)
