"""Which images are embedded, and whom they show."""

from __future__ import annotations

import os

import pytest

from reid_srdl.commands import image_list
from reid_srdl.errors import UserError


def test_each_image_of_a_folder_is_found_once_or_said(people, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    (photos / "deep" / "im[1].png").write_bytes(people.query.files[0].read_bytes())
    (photos / "again").symlink_to(photos)
    assert image_list.list_images(str(photos)).paths == ["deep/im[1].png"]
    assert len(image_list.list_images(str(photos / "deep" / "im[1].png"))) == 1  # a file, whatever a pattern would mean

    def walk(folder, followlinks, onerror):
        onerror(PermissionError(13, "Permission denied", str(photos / "deep")))
        yield from ()

    monkeypatch.setattr(image_list.os, "walk", walk)  # root may look everywhere
    with pytest.raises(UserError, match="cannot look into .*deep: Permission denied"):
        image_list.list_images(str(photos))


def test_hidden_folders_are_no_part_of_a_folder_and_kinds_that_are_not_read_are_told_of(tmp_path, capsys):
    _made(tmp_path, "a_c1_1.jpg", ".Trash-1000/files/gone_c1_1.jpg", "deep/.ipynb_checkpoints/a_c1_1.jpg", "deep/b_c1_1.jfif", "deep/c.HEIC")
    assert image_list.list_images(str(tmp_path)).paths == ["a_c1_1.jpg", "deep/b_c1_1.jfif"]
    assert capsys.readouterr().err.count("warning: an image is left out, of a kind that is not read (such as") == 1


def test_a_name_in_two_forms_of_an_accented_letter_is_one_label(tmp_path):
    _made(tmp_path / "a", "jos\u00e9_c1_1.jpg")
    _made(tmp_path / "b", "jose\u0301_c2_1.jpg")
    one, other = (image_list.list_images(str(tmp_path / name)) for name in "ab")
    assert one.labels.tolist() == other.labels.tolist() and one.names == other.names


def _made(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"an image")
    return root


def test_folders_are_people_where_that_is_said(tmp_path):
    photos = _made(tmp_path / "photos", "anna/c1_1.png", "anna/c2_1.png", "7/c1_1.png")
    for where in (str(photos), str(photos / "*" / "*.png")):
        listed = image_list.list_images(where, "folders")
        assert listed.labels[0] == 7 and listed.labels[1] == listed.labels[2] > 7 and listed.cameras.tolist() == [1, 1, 2]
        assert dict(listed.names) == {int(listed.labels[1]): "anna"}
    by_name = image_list.list_images(str(photos))
    assert by_name.labels is None and image_list.other_people_by_folders(by_name)
    assert not image_list.other_people_by_folders(image_list.list_images(str(photos / "anna")))
    assert not image_list.other_people_by_folders(image_list.list_images(str(photos), "folders"))


def test_names_that_tell_of_others_than_the_folders_do(tmp_path):
    for first, second, other in (("img_c1_1.png", "img_c2_1.png", True), ("anna_c1_1.png", "bert_c2_1.png", False)):
        photos = _made(tmp_path / first, f"anna/{first}", f"bert/{second}")
        assert image_list.other_people_by_folders(image_list.list_images(str(photos))) is other


def test_a_pattern_makes_no_one_person_of_two_folders(tmp_path, monkeypatch):
    photos = _made(tmp_path / "photos", "anna/2021/1.png", "bert/2021/1.png", "carl/1.png")
    with pytest.raises(UserError, match="anna/2021 would be one person|bert/2021 would be one person"):
        image_list.list_images(str(photos / "*" / "2021" / "*.png"), "folders")
    monkeypatch.chdir(photos / "anna")
    assert list(image_list.list_images("../carl/*.png", "folders").names.values()) == ["carl"]
    monkeypatch.chdir(photos / "carl")
    assert list(image_list.list_images("../carl/../carl/*.png", "folders").names.values()) == ["carl"]


def test_odd_names_of_folders_and_cameras_are_no_traceback(tmp_path):
    odd = os.fsdecode(b"ann\xe9")
    listed = image_list.list_images(str(_made(tmp_path / "some", f"{odd}/1.png", "bert/1.png")), "folders")
    assert sorted(listed.names.values()) == sorted([odd, "bert"])
    with pytest.raises(UserError, match="camera"):
        image_list.list_images(str(_made(tmp_path / "far", "anna/c20261129003000123456_1.png", "bert/c1_1.png")), "folders")


def test_an_image_in_no_folder_of_a_person_is_refused_and_cameras_are_known_of_all_or_none(tmp_path):
    assert image_list.list_images(str(_made(tmp_path / "some", "anna/c1_1.png", "bert/1.png")), "folders").cameras is None
    for name in ("1.png", "anna/deep/1.png"):
        with pytest.raises(UserError, match=f"{name} does not lie in a folder of one person"):
            image_list.list_images(str(_made(tmp_path / name.replace("/", "-"), "anna/1.png", name)), "folders")
    (tmp_path / "list.csv").write_text("path,label\na.png,anna\n")
    with pytest.raises(UserError, match="says itself whom"):
        image_list.list_images(str(tmp_path / "list.csv"), "folders")


def test_the_folder_of_a_list_is_known_where_all_of_it_lies_in_it(tmp_path):
    for name, folder in (("a.png", tmp_path), ("../a.png", None), ("/a.png", None)):
        (tmp_path / "list.csv").write_text(f"path\n{name}\n")
        assert image_list.list_images(str(tmp_path / "list.csv")).folder == folder
