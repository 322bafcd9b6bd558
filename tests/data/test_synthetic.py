"""The embedded data set: its layout, its people, and the same bytes for the same seed."""

from __future__ import annotations

import collections
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_srdl.data import synthetic
from reid_srdl.data.records import DISTRACTOR, JUNK
from reid_srdl.data.synthetic import Spec, read_synthetic, render, shots
from reid_srdl.data.synthetic import write as writing
from reid_srdl.data.synthetic.camera import develop, light
from reid_srdl.data.synthetic.draw import TILE, fill, limb, points
from reid_srdl.data.synthetic.figure import body_box, draw_person
from reid_srdl.data.synthetic.pose import View
from reid_srdl.data.synthetic.scene import CANVAS, GROUND
from reid_srdl.data.synthetic.shots import SIZE, Place
from reid_srdl.errors import UserError

TINY = Spec(train_identities=3, test_identities=4, cameras=2, shots=2, multi_query=2, distractors=5, junk=4, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    render(root / "synthetic", TINY)
    return root


@pytest.fixture(scope="module")
def place() -> Place:
    return Place(dataclasses.replace(TINY, train_identities=30, test_identities=30))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_one_seed_gives_the_same_bytes_and_another_gives_others(root, tmp_path):
    first = _bytes(root / "synthetic")
    render(tmp_path / "again", TINY)
    assert _bytes(tmp_path / "again") == first
    render(tmp_path / "other", dataclasses.replace(TINY, seed=4))
    pictures = {data for name, data in first.items() if name.endswith(".jpg")}
    assert not pictures & set(_bytes(tmp_path / "other").values())


def test_more_people_later_do_not_change_a_shot(place):
    again = Place(place.spec)
    who, visit = place.person(7), place.visit(1, 7)
    place.shot(place.person(2), 2, place.visit(0, 2), 0, "detected")
    here, there = (each.shot(who, 7, visit, 1, "detected")[0] for each in (place, again))
    assert np.array_equal(here, there)


def test_counts_and_labels(root):
    data = read_synthetic(root)
    training, testing = TINY.identities()
    assert data.train.identities.tolist() == training
    assert data.query.identities.tolist() == data.gallery.identities.tolist() == testing
    assert not set(training) & set(testing)
    assert len(data.query) == TINY.test_identities * TINY.cameras
    assert (data.gallery.labels == DISTRACTOR).sum() == TINY.distractors
    assert (data.gallery.labels == JUNK).sum() == TINY.junk
    assert data.multi_query is not None
    assert len(data.multi_query) == len(data.query) * TINY.multi_query
    for split in (data.train, data.query, data.gallery):
        assert len(np.unique(split.cameras)) == TINY.cameras
    counts = collections.Counter(zip(data.train.labels.tolist(), data.train.cameras.tolist(), strict=True))
    assert set(counts.values()) <= {1, 2, 3}


def test_every_query_has_a_match_in_another_camera(root):
    data = read_synthetic(root)
    for label, camera in zip(data.query.labels, data.query.cameras, strict=True):
        assert ((data.gallery.labels == label) & (data.gallery.cameras != camera)).any()


def test_names_follow_market1501_and_pictures_are_64_by_128(root):
    files = [*(root / "synthetic").glob("*/*.jpg")]
    assert all(cv2.imread(str(file)).shape == (*SIZE, 3) for file in files)
    names = [file.name for file in files if file.parent.name == "bounding_box_test"]
    assert any(name.startswith("0000_c1s1_") for name in names)
    assert any(name.startswith("-1_c2s1_") for name in names)


def test_default_size_is_what_the_documentation_says():
    spec = Spec()
    training, testing = spec.identities()
    assert len(training) == len(testing) == 60
    assert sorted(training + testing) == list(range(1, 121))


def test_people_share_clothes_but_are_not_the_same(place):
    people = [place.person(label) for label in range(1, 61)]
    tops = collections.Counter(who.outfit_numbers[0] for who in people)
    outfits = collections.Counter(who.outfit_numbers for who in people)
    assert max(tops.values()) >= 3
    assert max(outfits.values()) >= 2, "uniforms"
    assert len({(who.outfit_numbers, who.hair, who.bag, who.shoes, who.build) for who in people}) == 60


def test_cameras_disagree_about_a_colour_and_agree_with_themselves(place):
    grey = np.full((*SIZE, 4), 128, dtype=np.uint8)
    means = []
    for number, lens in enumerate(place.cameras):
        seen = [develop(lens, light(np.random.default_rng(1)), grey, SIZE, np.random.default_rng(k)) for k in range(3)]
        assert np.ptp([picture.mean() for picture in seen]) < 20, number
        means.append(np.mean(seen, axis=(0, 1, 2)))
    assert np.abs(means[0] - means[1]).max() > 15


@pytest.mark.parametrize("yaw", np.linspace(0, 2 * np.pi, 8, endpoint=False))
def test_the_body_lies_in_its_box(place, yaw):
    view = View(yaw=float(yaw), pitch=0.2, size=220.0, foot=complex(CANVAS[1] / 2, GROUND), phase=1.0, swing=1.0)
    left, top, right, bottom = body_box(view)
    for label in range(1, 9):
        canvas = np.zeros((*CANVAS, 4), dtype=np.uint8)
        draw_person(canvas, dataclasses.replace(place.person(label), hat=None, bag=None), view)
        drawn = np.argwhere(canvas[..., 3] > 127)
        (first_row, first_column), (last_row, last_column) = drawn.min(axis=0), drawn.max(axis=0)
        assert abs(first_row - top) < 12 and abs(last_row - bottom) < 16
        assert first_column > left - 30 and last_column < right + 30


def test_front_and_back_differ_and_a_backpack_shows_from_behind(place):
    who = dataclasses.replace(place.person(5), bag="backpack", bag_colour=(250, 0, 250), bag_size=1.0)
    seen = []
    for yaw in (0.0, np.pi):
        canvas = np.zeros((*CANVAS, 4), dtype=np.uint8)
        draw_person(canvas, who, View(yaw, 0.2, 220.0, complex(CANVAS[1] / 2, GROUND), 0.5, 1.0))
        seen.append(int((canvas[..., :3] == (250, 0, 250)).all(axis=2).sum()))
    assert seen[0] * 5 < seen[1]


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared)


def test_detected_boxes_hold_the_person_and_junk_boxes_do_not(place, monkeypatch):
    careful, used = [], []
    stage, cut = Place._stage, shots._cut
    monkeypatch.setattr(Place, "_stage", lambda *given: careful.append(staged := stage(*given)) or staged)
    monkeypatch.setattr(shots, "_cut", lambda canvas, box: used.append(box) or cut(canvas, box))
    who, visit = place.person(4), place.visit(0, 4)
    for number in range(12):
        place.shot(who, 4, visit, number, "detected")
    overlaps = [_overlap(box, staged[1]) for box, staged in zip(used, careful, strict=True)]
    assert min(overlaps) > 0.6 and max(overlaps) < 0.999
    careful.clear(), used.clear()
    for number in range(12):
        place.junk(who, number, number % 2)
    assert max(_overlap(box, staged[1]) for box, staged in zip(used, careful, strict=True)) < 0.5


def test_a_shot_has_as_many_pictures_as_boxes_all_different(place):
    careful, detected = place.shot(place.person(4), 4, place.visit(0, 4), 0, "careful", "detected")
    assert careful.shape == detected.shape == place.distractor(0, 0).shape == (*SIZE, 3)
    assert not np.array_equal(careful, detected)


def test_a_cloth_is_periodic_and_edges_blend():
    cloth = np.zeros((3 * TILE, 3 * TILE, 4), dtype=np.uint8)
    cloth[:, (np.arange(3 * TILE) % 8) < 4] = 255
    square = points((10, 10), (40.5, 10), (40.5, 40), (10, 40))
    canvases = [np.zeros((60, 60, 4), dtype=np.uint8) for _ in range(2)]
    for canvas, anchor in zip(canvases, (0j, 8 + 0j), strict=True):
        fill(canvas, square, cloth, anchor)
    assert np.array_equal(*canvases), "a whole period further is the same place"
    flat = np.zeros((60, 60, 4), dtype=np.uint8)
    fill(flat, square, (200, 100, 50))
    assert flat[25, 25].tolist() == [200, 100, 50, 255]
    assert 0 < flat[25, 41, 3] < 255 or 0 < flat[25, 40, 3] < 255
    assert len(limb(1 + 1j, 1 + 1j, 3, 3)) == 12, "a limb seen end-on is a disc"


def test_the_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    def fail(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "jpeg", fail)
    with pytest.raises(UserError, match="No space left"):
        render(tmp_path / "synthetic", TINY)
    assert list(tmp_path.iterdir()) == []


def test_the_quicker_of_two_processes_wins(root, tmp_path, monkeypatch):
    before = _bytes(root / "synthetic")
    render(root / "synthetic", TINY)
    assert _bytes(root / "synthetic") == before
    assert [entry.name for entry in root.iterdir()] == ["synthetic"]


def test_first_use_renders_and_later_uses_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(synthetic, "Spec", lambda: TINY)
    first = read_synthetic(tmp_path / "data")
    assert "rendering" in capsys.readouterr().err
    stamp = (tmp_path / "data/synthetic/synthetic.json").stat().st_mtime_ns
    second = read_synthetic(tmp_path / "data")
    assert (tmp_path / "data/synthetic/synthetic.json").stat().st_mtime_ns == stamp
    assert first.train.hash() == second.train.hash()
    assert "rendering" not in capsys.readouterr().err


def test_a_read_only_root_falls_back_to_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(synthetic, "Spec", lambda: TINY)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    blocked.chmod(0o555)  # which root too is to respect
    data = read_synthetic(blocked)
    blocked.chmod(0o755)
    assert data.train.root.is_relative_to(tmp_path / "cache" / "synthetic")
    assert list(blocked.iterdir()) == []


@pytest.mark.parametrize("record", ['{"version": 0}', "[]"])
def test_another_version_is_refused(tmp_path, record):
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / "synthetic.json").write_text(record)
    with pytest.raises(UserError, match=r"Delete .*synthetic"):
        read_synthetic(tmp_path)


def test_a_folder_without_its_record_is_refused(tmp_path):
    (tmp_path / "synthetic").mkdir()
    with pytest.raises(UserError, match=r"no synthetic.json.*Delete"):
        read_synthetic(tmp_path)


def test_the_record_holds_the_spec(root):
    record = json.loads((root / "synthetic" / "synthetic.json").read_text())
    assert Spec(**record["spec"]) == TINY


@pytest.mark.parametrize(
    "wrong", [{"cameras": 1}, {"cameras": 10}, {"shots": 1}, {"train_identities": 0}, {"junk": -1}, {"distractors": 9001}]
)
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Spec(**wrong)
