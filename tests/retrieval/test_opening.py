"""What is refused before an index is built or opened."""

from __future__ import annotations

import json

import pytest

from reid_srdl import files
from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, open_index, opening

from .conftest import embedded


def test_a_missing_or_foreign_file_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no index .*gone.index. Build one: .*index --embeddings"):
        open_index(tmp_path / "gone.index")
    for text in ("", "hello", "{}", "[1]", '{"backend": "other"}'):
        (tmp_path / "x.index").write_text(text)
        with pytest.raises(UserError, match="is no index"):
            open_index(tmp_path / "x.index")


def test_unknown_backends_and_misplaced_options_are_said(tmp_path):
    for options, message in (
        ({"backend": "annoy"}, "no backend 'annoy'. There are faiss, milvus"),
        ({"uri": "http://localhost"}, "^uri means nothing for a faiss index"),
        ({"effort": 0}, "effort is 0"),
        ({"backend": "milvus", "factory": "Flat"}, "^factory means nothing for Milvus.*It belongs to the backend faiss"),
        ({"backend": "milvus", "effort": 3}, "^effort means nothing for Milvus"),
    ):
        with pytest.raises(UserError, match=message):
            create_index(tmp_path / "x.index", embedded(3), **options)
    with pytest.raises(UserError, match="is a folder"):
        create_index(tmp_path, embedded(3))
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith(".lock")]


def test_an_index_that_somebody_else_builds_meanwhile_is_not_written_over(build, backend, monkeypatch):
    def free_until_now(*_) -> None:
        monkeypatch.undo()
        build(embedded(5))

    monkeypatch.setattr(opening, "check_free", free_until_now)
    with pytest.raises(UserError, match="gallery.index is there already.*with replace=True, in the command index --replace"):
        build(embedded(3), **({"collection": "another"} if backend == "milvus" else {}))


def test_another_format_is_refused(build, backend, tmp_path):
    build(embedded(3)).close()
    path = tmp_path / "gallery.index"
    if backend == "milvus":
        files.write_json(path, {**json.loads(path.read_text()), "format": 99})
    else:
        from reid_srdl.retrieval import faiss_file

        index, rows, description = faiss_file.read(path, lambda values: None)
        faiss_file.write(path, index, rows, {**description, "format": 99})
    with pytest.raises(UserError, match="index of format 99, and this version reads 1"):
        open_index(path)


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path, backend):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        create_index(tmp_path / "file" / "x.index", embedded(3), backend=backend)
