"""A user's own list of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data import csv_file, read
from reid_srdl.data.csv_file import read_csv
from reid_srdl.errors import UserError

LINES = (
    "b.jpg,anna,1,train",
    "a.jpg,bert,2,train",
    "q.jpg,carl,1,query",
    "g.jpg,carl,2,gallery",
    "m.jpg,carl,1,multi_query",
)


def listed(folder: Path, *lines: str, header: str = "path,label,camera,split") -> Path:
    for name in ("a", "b", "q", "g", "m"):
        (folder / f"{name}.jpg").touch()
    path = folder / "own.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_list_is_read(tmp_path: Path):
    data = read("csv", listed(tmp_path, *LINES))
    assert data.train.paths == ("a.jpg", "b.jpg")
    assert data.train.files == [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert data.train.labels.tolist() == [2, 1]
    assert data.train.cameras.tolist() == [2, 1]
    assert data.query.label_names == ("anna", "bert", "carl")
    assert data.multi_query.labels.tolist() == data.gallery.labels.tolist() == [3]


def test_without_multi_query(tmp_path: Path):
    assert read_csv(listed(tmp_path, *LINES[:4])).multi_query is None


def test_numbers_stay_and_further_columns_and_marks_do_no_harm(tmp_path: Path):
    path = listed(
        tmp_path,
        "x,a.jpg,7,1,train",
        "x,b.jpg,9,1,train",
        "x,q.jpg,3,1,query",
        "x,g.jpg,3,2,gallery",
        header="\ufeffnote,Path, LABEL ,camera,split",
    )
    data = read_csv(path)
    assert data.train.labels.tolist() == [7, 9]
    assert data.train.label_names is None


def test_absolute_paths(tmp_path: Path):
    (tmp_path / "lists").mkdir()
    listed(tmp_path)
    (tmp_path / "lists/own.csv").write_text(
        "path,label,camera,split\n" + "\n".join(f"{tmp_path}/{line}" for line in LINES)
    )
    assert read_csv(tmp_path / "lists/own.csv").train.files == [tmp_path / "a.jpg", tmp_path / "b.jpg"]


def test_cameras_may_be_words(tmp_path: Path):
    path = listed(tmp_path, "a.jpg,1,hall,train", "b.jpg,2,door,train", "q.jpg,3,hall,query", "g.jpg,3,door,gallery")
    data = read_csv(path)
    assert data.train.cameras.tolist() == [2, 1]
    assert data.query.cameras.tolist() == [2]
    assert data.gallery.cameras.tolist() == [1]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((LINES[0], "a.jpg,,1,train"), "own.csv, line 3: label empty"),
        ((LINES[0], "a.jpg,anna,,train"), "line 3: camera empty.*write 0"),
        ((LINES[0], "a.jpg,anna"), "line 3: camera and split empty"),
        ((LINES[0], "a.jpg,anna,1,test"), "line 3: there is no split 'test'.*train, query, gallery, multi_query"),
        ((LINES[0], "none.jpg,anna,1,train"), "line 3: there is no file .*none.jpg"),
        ((*LINES, "a.jpg,anna,1,train"), r"line 7: a.jpg is in train already \(line 3\)"),
        ((*LINES, "./a.jpg,anna,1,train"), r"line 7: ./a.jpg is in train already \(line 3\)"),
        ((LINES[0], f"{'x' * 300}.jpg,anna,1,train"), "line 3: there is no file .*xxx.jpg"),
        (LINES[:3], "split gallery is empty: no line of .*own.csv says gallery"),
        ((), "lists no images"),
        ((*LINES, "m.jpg,-5,1,train"), "own.csv: the label -5 is negative"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: tuple[str, ...], words: str):
    with pytest.raises(UserError, match=words):
        read_csv(listed(tmp_path, *lines))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("path,label,split", r"has no column camera \(it has: path, label, split\)"),
        ("path;label;camera;split", "semicolons"),
        ("", "has no column path and no column label"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, header: str, words: str):
    with pytest.raises(UserError, match=words):
        read_csv(listed(tmp_path, *LINES, header=header))


def test_what_is_no_list(tmp_path: Path):
    with pytest.raises(UserError, match="there is no file .*none.csv"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is a folder.*--data_root FILE.csv"):
        read_csv(tmp_path)
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0path,label\n")
    with pytest.raises(UserError, match="not readable as CSV"):
        read_csv(tmp_path / "image.csv")


def test_a_camera_that_is_no_number_that_can_be_held_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="too large a number"):
        csv_file._cameras(["1", "9" * 5000])
