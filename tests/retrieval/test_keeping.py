"""One change at a time."""

from __future__ import annotations

import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import keeping


def test_only_one_changes_an_index_at_a_time(tmp_path):
    path = tmp_path / "g.index"
    with keeping.changing(path) as mine:
        assert mine
        with keeping.changing(path, wait=False) as also:
            assert not also
        with keeping.changing(tmp_path / "other.index", wait=False) as another:
            assert another
    with keeping.changing(path, wait=False) as mine:
        assert mine


def test_a_link_to_an_index_is_that_index(tmp_path):
    (tmp_path / "g.index").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.index").symlink_to(tmp_path / "g.index")
    with keeping.changing(tmp_path / "g.index"), keeping.changing(tmp_path / "elsewhere" / "link.index", wait=False) as also:
        assert not also


def test_what_a_killed_process_left_is_taken_away_and_nothing_else(tmp_path):
    neighbours = {".other.index.77.tmp.index", ".g[1].index.npz.77.tmp.npz", ".g[1].index.more.77.tmp.index"}
    for name in (".g[1].index.77.tmp.index", ".g[1].index.77-0a1b2c3d.tmp.index", "g[1].index", *neighbours):
        (tmp_path / name).write_text("")
    with keeping.changing(tmp_path / "g[1].index"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".g[1].index.lock", "g[1].index", *neighbours}


def test_a_description_is_read_as_it_was_written_and_damage_is_found(tmp_path):
    from reid_srdl import files

    path = tmp_path / "d.json"
    keeping.write_description(path, {"names": {"3": "Zoë"}, "n": 1})
    values = files.read_json(path)
    assert keeping.read_description(path, values) == {"names": {"3": "Zoë"}, "n": 1}
    for wrong in ({**values, "n": 2}, {"names": values["names"], "sha256": values["sha256"]}, {"n": 1}):
        with pytest.raises(UserError, match="damaged: its checksum"):
            keeping.read_description(path, wrong)


def test_what_is_no_description_says_nothing(tmp_path):
    path = tmp_path / "d.json"
    keeping.write_description(path, {"n": 1})
    assert keeping.description_of(path) == {"n": 1}
    for text in ("[1]", '{"n": 1}', '{"n"', keeping.MAGIC.decode()):
        path.write_text(text)
        assert keeping.description_of(path) == {}
    assert keeping.description_of(tmp_path / "gone") == {} == keeping.description_of(tmp_path)


def test_a_replaced_file_has_another_stamp(tmp_path):
    path = tmp_path / "f"
    path.write_text("a")
    before = keeping.stamp_of(path)
    assert keeping.stamp_of(path) == before
    (tmp_path / "n").write_text("b")
    (tmp_path / "n").replace(path)
    assert keeping.stamp_of(path) != before
