"""Decoding every file once: sizes, equal pictures, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import pixels
from reid_srdl.data.pixels import Scan, file_findings
from reid_srdl.data.records import Split


def picture(path: Path, seed: int, size: tuple[int, int] = (8, 4)) -> Path:
    values = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def findings(sizes: list[tuple[int, int]], errors: dict[int, str] | None = None):
    """What is found about images of these sizes (height, width)."""
    number = len(sizes)
    split = Split("train", Path("."), tuple(f"{row:04}.jpg" for row in range(number)), np.ones(number), np.ones(number))
    groups = np.array([-1 if row in (errors or {}) else row for row in range(number)])
    return file_findings([split], Scan(np.array(sizes), groups, errors or {}))


def test_equal_pixels_are_one_group_whatever_the_file(tmp_path: Path):
    files = [
        picture(tmp_path / "a.png", 0),
        picture(tmp_path / "b.png", 1),
        picture(tmp_path / "c.bmp", 0),
        picture(tmp_path / "d.png", 0, (4, 8)),
    ]
    seen = pixels.scan(files)
    assert seen.groups[0] == seen.groups[2]
    assert len(set(seen.groups.tolist())) == 3
    assert seen.sizes.tolist() == [[8, 4], [8, 4], [8, 4], [4, 8]]
    assert seen.errors == {}


def test_bad_images_are_kept_apart(tmp_path: Path):
    good = picture(tmp_path / "good.jpg", 0, (64, 32))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-300])
    (tmp_path / "text.jpg").write_text("no image")
    files = [tmp_path / name for name in ("empty.jpg", "good.jpg", "cut.jpg", "text.jpg", "none.jpg")]
    seen = pixels.scan(files, workers=3)
    assert sorted(seen.errors) == [0, 2, 3, 4]
    assert "0 bytes" in seen.errors[0]
    assert "cut.jpg" in seen.errors[2]
    assert seen.groups.tolist() == [-1, 0, -1, -1, -1]


def test_results_stay_in_order_with_more_files_than_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pixels, "_WAITING", 3)
    files = [picture(tmp_path / f"{row}.png", row, (row + 1, 2)) for row in range(10)]
    counted = []
    seen = pixels.scan(files, track=lambda rows: (counted.append(row) or row for row in rows))
    assert seen.sizes[:, 0].tolist() == list(range(1, 11))
    assert counted == list(range(10))


def test_unreadable_images_stop():
    found = findings([(128, 64), (0, 0), (128, 64)], {1: "cannot read image x.jpg: it is empty (0 bytes)"})
    assert [finding.severity for finding in found] == ["stop", "note"]
    assert "1 image cannot be read: cannot read image x.jpg: it is empty (0 bytes)" in found[0].what
    assert found[0].images == ("0001.jpg",)


def test_images_of_one_size_are_as_they_should_be():
    (finding,) = findings([(128, 64)] * 5)
    assert (finding.severity, finding.what) == (
        "note",
        "all 5 images can be read and are 64 x 128 pixels (width x height)",
    )


def test_an_odd_size_among_equal_ones_is_worth_a_look():
    (finding,) = findings([(128, 64)] * 30 + [(200, 90)])
    assert finding.severity == "warn"
    assert finding.images == ("0030.jpg",)


def test_sizes_of_all_kinds_are_normal():
    (finding,) = findings([(100 + row, 50) for row in range(20)])
    assert finding.severity == "note"
    assert "20 sizes" in finding.what


@pytest.mark.parametrize(
    ("size", "words"), [((20, 12), "smaller than"), ((4000, 1500), "larger than"), ((64, 128), "wider than tall")]
)
def test_what_is_hardly_a_crop_of_a_person(size: tuple[int, int], words: str):
    found = [finding for finding in findings([(100 + row, 50) for row in range(20)] + [size]) if words in finding.what]
    assert [(finding.severity, finding.images) for finding in found] == [("warn", ("0020.jpg",))]


def test_images_of_classes_may_have_any_shape():
    split = Split("train", Path("."), ("a", "b", "c"), np.ones(3), np.ones(3))
    seen = Scan(np.array([(20, 12), (4000, 1500), (64, 128)]), np.arange(3), {})
    assert [finding.severity for finding in file_findings([split], seen, people=False)] == ["note"]


def test_the_way_out_of_unreadable_images_is_one_that_training_takes():
    def found(row: int) -> str:
        splits = [Split(name, Path("."), (f"{name}.jpg",), np.ones(1), np.ones(1)) for name in ("train", "query", "gallery")]
        return file_findings(splits, Scan(np.full((3, 2), 9), np.where(np.arange(3) == row, -1, 0), {row: "cannot be read"}))[0].do

    assert found(0).endswith("unless --data.skip_corrupt leaves them out.")
    assert "--data.skip_corrupt leaves out training images only; --evaluate none" in found(2)
