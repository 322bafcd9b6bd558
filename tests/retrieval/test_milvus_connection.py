"""A Milvus that cannot be reached is said in one line, and soon."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, milvus_connection, open_index

from .conftest import embedded, needs_milvus


@needs_milvus
def test_a_server_that_is_not_there_is_said_soon(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    with pytest.raises(UserError, match=f"there is no Milvus at http://127.0.0.1:{port} .*Start it, or correct its uri"):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri=f"http://127.0.0.1:{port}")
    assert time.perf_counter() - began < 10 and not (tmp_path / "g.index").exists()


@needs_milvus
def test_a_server_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(milvus_connection, "CONNECT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.perf_counter()
        with pytest.raises(UserError, match="there is no Milvus at"):
            create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("uri", "message"),
    [("localhost:19530", "is no Milvus. Give an address such as"), ("http://me:secret@localhost:19530", "would be written into the index"), ("gallery.milvus", "is no Milvus"),
     ("http://localhost:1953O", "is no address .*Port could not be cast"), ("http://127.0.0.1:99999999", "is no address"), ("http://[::1", "is no address .*IPv6")],
)
def test_addresses_that_are_none_are_said(uri, message, tmp_path):
    with pytest.raises(UserError, match=message):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri=uri)
    assert not list(tmp_path.iterdir())


@needs_milvus
def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot make the folder of .*x.db: .*Name another place"):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri=str(tmp_path / "file" / "deep" / "x.db"))


@needs_milvus
def test_a_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri="~/x.db")[0].close()
    assert (tmp_path / "home" / "x.db").exists()


def test_a_missing_library_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(UserError, match=r"pymilvus is not installed. Install it: pip install 'reid-srdl\[search\]'"):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus")


@needs_milvus
def test_a_folder_that_another_process_has_open_is_said(tmp_path):
    index, _ = create_index(tmp_path / "g.index", embedded(3), backend="milvus")
    index.close()
    script = f"import time, milvus_lite; db = milvus_lite.MilvusLite({str(tmp_path / 'g.index.db')!r}); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "open\n"
            with pytest.raises(UserError, match=r"cannot be opened \(another process has it open\). One process at a time can"):
                open_index(tmp_path / "g.index")
        finally:
            other.kill()
    # The last to leave gives it free: it could be opened over there after it was closed here, and can be again now.
    one, two = open_index(tmp_path / "g.index"), open_index(tmp_path / "g.index")
    one.close()
    assert len(two) == 3
    two.close()


@needs_milvus
def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "old.db").write_text("SQLite format 3")
    with pytest.raises(UserError, match="file of an older Milvus Lite"):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri=str(tmp_path / "old.db"))
