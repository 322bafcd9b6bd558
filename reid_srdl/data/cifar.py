"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 60,000 images of 32 x 32 pixels, from the published archives or as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import UserError
from .cifar_files import Binary, Pickled, Published, Read, from_archive, from_folder, write_tree
from .class_tree import class_data, class_images
from .counts import compare_counts
from .listing import folder_names
from .records import ClassData
from .telling import meanwhile
from .unpacking import candidates, unpacked


@dataclass(frozen=True)
class Cifar:
    """One of the two sets.

    Args:
        name: by which users ask for it.
        title: its name in messages.
        classes: number of classes.
        binary, pickled: the forms that it is published in.
    """

    name: str
    title: str
    classes: int
    binary: Binary
    pickled: Pickled


_TEN = tuple(f"data_batch_{number}" for number in range(1, 6))

CIFAR10 = Cifar(
    "cifar10",
    "CIFAR-10",
    10,
    Binary(
        "cifar-10-binary.tar.gz", "cifar-10-batches-bin", "c32a1d4ab5d03f1284b67883e8d87530",
        tuple(f"{name}.bin" for name in _TEN), ("test_batch.bin",), "batches.meta.txt",
    ),
    Pickled("cifar-10-python.tar.gz", "cifar-10-batches-py", "c58f30108f718f92721af3b95e74349a", _TEN, ("test_batch",), "batches.meta"),
)  # fmt: skip

CIFAR100 = Cifar(
    "cifar100",
    "CIFAR-100",
    100,
    # The first of the two label bytes is the superclass.
    Binary(
        "cifar-100-binary.tar.gz", "cifar-100-binary", "03b5dce01913d631647c71ecec9e9cb8",
        ("train.bin",), ("test.bin",), "fine_label_names.txt", label_bytes=2,
    ),
    Pickled(
        "cifar-100-python.tar.gz", "cifar-100-python", "eb9058c3a382ffc7106e4002c42a8d85",
        ("train",), ("test",), "meta", labels="fine_labels", words="fine_label_names",
    ),
)  # fmt: skip


def read_cifar10(root: Path) -> ClassData:
    """CIFAR-10; see ``read_cifar``."""
    return read_cifar(Path(root), CIFAR10)


def read_cifar100(root: Path) -> ClassData:
    """CIFAR-100 by its 100 fine classes; see ``read_cifar``."""
    return read_cifar(Path(root), CIFAR100)


def read_cifar(root: Path, which: Cifar) -> ClassData:
    """CIFAR-10 or CIFAR-100 from a data root.

    It is read from a tree ``{train,test}/CLASS/*.png``; a published archive is unpacked to such a tree once. Labels count the classes in
    ascending order of their names, which is the official order of both sets.

    Raises:
        UserError: the set is not there, an archive is not the published one, there are only pickled files outside an archive, or a class is
            missing from a split.
    """
    folder = _tree(root, which)
    data = class_data(which.name, folder, {split: class_images(folder, split) for split in ("train", "test")})
    compare_counts(data, folder, {"training images": 50_000, "test images": 10_000, "classes": which.classes})
    return data


def _tree(root: Path, which: Cifar) -> Path:
    # Other sets, too, have folders train and test. So the root itself is tried last, and is this set only if the number of classes is right.
    for folder in candidates(root, (which.name,))[1:]:
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    places = (root, root / which.name)
    for form, name, opened in (
        (which.binary, which.binary.archive, from_archive),
        (which.binary, which.binary.folder, from_folder),
        (which.pickled, which.pickled.archive, from_archive),
    ):
        for source in (place / name for place in places):
            if source.exists():
                return unpacked(source, which.name, partial(_unpack, form, opened, source))
    if (root / "train").is_dir() and (root / "test").is_dir() and len(folder_names(root / "train")) == which.classes:
        return root
    for folder in (place / which.pickled.folder for place in places):
        if folder.is_dir():
            raise UserError(
                f"{folder} holds pickles, which can run any program when they are opened, so they are not",
                f"Put the archive {which.pickled.archive}, whose checksum is known, beside it; or {which.binary.archive}, which holds none.",
            )
    raise UserError(
        f"{which.title} is not in {root}",
        f"Get {which.binary.archive} or {which.pickled.archive} from Alex Krizhevsky's page (www.cs.toronto.edu/~kriz/cifar.html) and put it "
        f"there as it is, or PNG files as {root / which.name}/{{train,test}}/CLASS/*.png. {meanwhile()}",
    )


def _unpack(form: Published, opened: Callable[[Path, Published], Read], source: Path, folder: Path) -> Path:
    return write_tree(form, opened(source, form), source, folder)
