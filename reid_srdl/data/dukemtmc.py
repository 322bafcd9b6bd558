"""DukeMTMC-reID (Ristani et al. 2016; Zheng et al. 2017): names such as ``0001_c2_f0046182.jpg``."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .counts import compare_counts
from .market1501 import holds_layout, is_dukes, read_layout
from .records import ReIDData
from .telling import meanwhile
from .unpacking import find_folder

OFFICIAL = {
    "training images": 16_522,
    "training identities": 702,
    "query images": 2_228,
    "query identities": 702,
    "gallery images": 17_661,
    "gallery identities": 1_110,
}


def read_dukemtmc(root: Path) -> ReIDData:
    """DukeMTMC-reID. Its 408 distractor people keep their own labels; they are people that no query asks for.

    Raises:
        UserError: the set is not there, or a split of it is missing or empty.
    """
    folder = find_folder(
        Path(root),
        ("dukemtmc", "DukeMTMC-reID", "dukemtmcreid", "dukemtmc-reid"),
        ("DukeMTMC-reID.zip",),
        holds_layout,
        lambda: UserError(
            f"DukeMTMC-reID is not in {root}",
            f"Put it there as {Path(root) / 'DukeMTMC-reID'} with the folders bounding_box_train, query, "
            "bounding_box_test inside, or as "
            "DukeMTMC-reID.zip. Its publisher withdrew it in 2019, over how its people were filmed; it is not to be used without a reason. "
            f"{meanwhile()}",
        ),
        is_dukes,
    )
    data = read_layout(folder, "dukemtmc")
    compare_counts(data, folder, OFFICIAL)
    return data
