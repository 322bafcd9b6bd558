"""VeRi-776, vehicles (Liu et al. 2016): names such as ``0002_c002_00030600_0.jpg`` (vehicle 2, camera 2)."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .counts import compare_counts
from .market1501 import read_layout
from .records import ReIDData
from .telling import meanwhile
from .unpacking import find_folder

FOLDERS = {"train": "image_train", "query": "image_query", "gallery": "image_test"}

OFFICIAL = {
    "training images": 37_778,
    "query images": 1_678,
    "query identities": 200,
    "gallery images": 11_579,
}


def read_veri776(root: Path) -> ReIDData:
    """VeRi-776. Its query images are in the gallery too; a query's own image there is ignored, since it is by the query's own camera.

    Raises:
        UserError: the set is not there, or a split of it is missing or empty.
    """
    folder = find_folder(
        Path(root),
        ("veri776", "VeRi", "veri", "VeRi-776", "VeRi_776"),
        ("VeRi.zip", "VeRi-776.zip", "veri776.zip"),
        lambda folder: all((folder / inner).is_dir() for inner in FOLDERS.values()),
        lambda: UserError(
            f"VeRi-776 is not in {root}",
            f"Ask its authors for it (https://vehiclereid.github.io/VeRi/) and put it there as {Path(root) / 'VeRi'} with the folders "
            f"{', '.join(FOLDERS.values())} inside, or as VeRi.zip. {meanwhile()}",
        ),
    )
    data = read_layout(folder, "veri776", FOLDERS)
    compare_counts(data, folder, OFFICIAL)
    return data
