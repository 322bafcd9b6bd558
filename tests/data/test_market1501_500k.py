"""Market-1501 with distractors, on a fabricated tree."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from reid_srdl.data import market1501_500k, read
from reid_srdl.errors import UserError

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/0001_c2s1_000301_01.jpg",
    "bounding_box_test/0000_c6s3_094992_05.jpg",
    "bounding_box_test/-1_c4s6_022316_04.jpg",
)
EXTRA = ("images/0000_c2s1_000001_01.jpg", "images/0000_c5s2_000002_01.jpg", "images/-1_c1s1_000003_01.jpg", "images/1400_c3s1_000004_01.jpg")


def plant(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    plant(tmp_path / "Market-1501-v15.09.15", MARKET)
    return tmp_path


def zipped(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as opened:
        for name in EXTRA:
            opened.writestr(name, b"x")


def test_distractors_join_the_gallery_under_their_cameras(root, capsys):
    plant(root / "Market-1501-v15.09.15", (*EXTRA, "images/Thumbs.db"))
    data, plain = read("market1501_500k", root), read("market1501", root)
    assert data.name == "market1501_500k" and len(data.train) == len(plain.train) and data.query.paths == plain.query.paths
    # Whatever their names say, they are nobody whom a query asks for; junk stays junk. The gallery's own rows stay the first.
    assert data.gallery.labels.tolist() == [-1, 0, 1, -1, 0, 0, 0] and data.gallery.cameras.tolist() == [4, 6, 2, 1, 2, 5, 3]
    assert data.gallery.paths[:3] == plain.gallery.paths and list(data.gallery.paths) == sorted(data.gallery.paths)
    assert all(file.is_file() for file in data.gallery.files)
    assert "3 distractors (official: more than 500,000)" in capsys.readouterr().err


def test_the_published_number_is_not_warned_of(root, capsys, monkeypatch):
    plant(root / "Market-1501-v15.09.15", EXTRA)
    monkeypatch.setattr(market1501_500k, "PUBLISHED", 3)
    read("market1501_500k", root)
    assert "official: more than" not in capsys.readouterr().err


@pytest.mark.parametrize("place", [".", "Market-1501-v15.09.15"])
def test_their_archive_is_unpacked_into_the_set(root, place, capsys):
    zipped(root / place / "distractors_500k.zip")
    for _ in range(2):
        assert len(read("market1501_500k", root).gallery) == 7
    assert capsys.readouterr().err.count("unpacking") == 1
    assert sorted(path.name for path in (root / "Market-1501-v15.09.15" / "images").iterdir()) == sorted(name[7:] for name in EXTRA)


def test_a_read_only_set_is_not_written_to(root):
    zipped(root / "distractors_500k.zip")
    folder = root / "Market-1501-v15.09.15"
    folder.chmod(0o555)
    try:
        with pytest.raises(UserError, match="cannot be unpacked, since .* is read-only"):
            read("market1501_500k", root)
    finally:
        folder.chmod(0o755)
    assert not (folder / "images").exists()


def test_missing_distractors_say_where_from(root):
    with pytest.raises(UserError, match=r"distractors of Market-1501 are not in .*distractors_500k\.zip.*https://.*images"):
        read("market1501_500k", root)
    shutil.rmtree(root / "Market-1501-v15.09.15")
    with pytest.raises(UserError, match="Market-1501 is not in"):
        read("market1501_500k", root)
