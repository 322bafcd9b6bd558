"""``index``: build, add, delete, and what is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shlex
import sys

import numpy as np
import pytest
import scipy.io

from reid_srdl import embeddings
from reid_srdl.commands import index as command
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.retrieval import keeping, open_index
from reid_srdl.retrieval.index import About

with contextlib.suppress(ImportError):
    import pymilvus

MILVUS = pytest.param("milvus", marks=pytest.mark.skipif(not importlib.util.find_spec("milvus_lite"), reason="pymilvus is not installed"))


def write(path, names, *, labels=None, model="m", dimension=4):
    vectors = np.random.default_rng(len(names)).standard_normal((len(names), dimension), dtype=np.float32)
    embeddings.save(Embeddings(vectors, paths=names, labels=labels, model=model), path)
    return str(path)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)
    write("one.npz", ["a.jpg", "b.jpg", "c.jpg"], labels=[1, 2, -1])
    write("two.parquet", ["c.jpg", "d.jpg"])
    return tmp_path


def run(*words) -> int:
    return command.run([str(word) for word in words])


def test_several_files_become_one_index_and_what_comes_next_is_said(files, capsys, monkeypatch):
    (files / "photos").mkdir()
    (files / "names.csv").write_text("label,name\n1,Zoë\n2, Yi\n")
    assert run("--embeddings", "one.npz", "two.parquet", "--output", "g.index", "--images", "photos", "--names", "names.csv") == 0
    out = capsys.readouterr().out
    assert "g.index holds 4 images as vectors of 4 numbers (1 of junk (label -1) left out)." in out
    assert "Next, search it: " in out and "search --index g.index --checkpoint RUN --query IMAGE_OR_FOLDER" in out and "does not know where" not in out
    monkeypatch.setenv("HOME", str(files))
    assert run("--embeddings", "one.npz", "--output", "home.index", "--images=~/photos") == 0 and open_index("home.index").about.root == str(files / "photos")
    index = open_index("g.index")
    assert index.about.root == str(files / "photos") and index.about.names == {1: "Zoë", 2: "Yi"} and index.model == "m"
    assert sorted(index.search(np.ones((1, 4), np.float32), 9).paths[0]) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_adding_and_deleting_are_told(files, capsys):
    run("--embeddings", "one.npz", "--output", "g.index")
    assert "It does not know where the images are" in capsys.readouterr().out
    write("more.npz", ["b.jpg", "e.jpg", "f.jpg"])
    assert run("--add", "more.npz", "two.parquet", "--index", "g.index", "--replace") == 0
    assert "Added 5 images (1 of a path that had come before took the place of the earlier vector); g.index holds 6 now." in capsys.readouterr().out
    (files / "list.txt").write_text("e.jpg\nnobody.jpg\n\n")
    assert run("--delete", "a.jpg", "@list.txt", "--index", "g.index") == 0
    out = capsys.readouterr().out
    assert "Deleted 2 images; g.index holds 4 now." in out and "Unknown to it: 1 path (such as nobody.jpg)." in out
    assert len(open_index("g.index")) == 4


@pytest.mark.parametrize("backend", ["faiss", MILVUS])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_names_come_with_the_images_that_are_added(backend, metric, files):
    for name, text in (("names.csv", "label,name\n1,Zoë\n"), ("more.csv", "label,name\n2,Yi\n"), ("later.csv", "label,name\n7,Carl\n2,Yu\n")):
        (files / name).write_text(text)
    run("--embeddings", "one.npz", "--output", "g.index", "--names", "names.csv", "more.csv", "--backend", backend, "--metric", metric)
    write("more.npz", ["e.jpg"], labels=[7])
    run("--add", "more.npz", "--index", "g.index", "--names", "later.csv")
    for _ in range(2):
        with contextlib.closing(open_index("g.index")) as index:
            assert index.about.names == {1: "Zoë", 2: "Yu", 7: "Carl"} and len(index) == 3
        run("--delete", "a.jpg", "--index", "g.index")
        run("--add", "one.npz", "--index", "g.index")
    with pytest.raises(UserError, match="--names means nothing where"):
        run("--delete", "a.jpg", "--index", "g.index", "--names", "names.csv")


def test_a_result_file_is_indexed_by_its_rows(files, capsys):
    rng = np.random.default_rng(0)
    parts = {f"{part}_{name}": value for part, count in (("query", 2), ("gallery", 5)) for name, value in (("f", rng.random((count, 4))), ("label", np.arange(count)), ("cam", np.ones(count)))}
    scipy.io.savemat("result.mat", parts)
    assert run("--embeddings", "result.mat", "--output", "g.index") == 0
    out = capsys.readouterr().out
    assert "they are called result#0000000 and so on" in out and "do not say which network made them" in out
    assert run("--delete", "result#0000003", "--index", "g.index") == 0 and len(open_index("g.index")) == 4


def test_approximate_kinds_say_how_much_they_find(files, capsys):
    write("many.npz", [f"{row}.jpg" for row in range(300)])
    run("--embeddings", "many.npz", "--output", "g.index", "--factory", "HNSW8")
    assert "recall@10 against exact search is " in capsys.readouterr().out
    run("--delete", *[f"{row}.jpg" for row in range(30)], "--index", "g.index")
    assert "10.0% of the vectors in its graph are deleted and passed over; beyond 25% the graph is built anew" in capsys.readouterr().out
    run("--embeddings", "many.npz", "--output", "g.index", "--factory", "SQ8", "--replace")
    assert "keeps approximations of the vectors" in capsys.readouterr().out


@pytest.mark.parametrize("way", [["--backend", "faiss"], ["--backend", "milvus", "--collection", "other"], ["--backend", "milvus", "--uri", "other.db"]])
def test_a_collection_that_is_left_behind_is_told(files, capsys, monkeypatch, way):
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    from reid_srdl.retrieval.milvus_collection import Collection

    build = ["--embeddings", "one.npz", "--output", "g.index", "--replace"]
    run(*build, "--backend", "milvus")
    run(*build, "--backend", "milvus")
    assert "stay in the collection" not in capsys.readouterr().out, "it was built anew where it was"
    kept = (files / "g.index").read_bytes()
    name = json.loads(kept)["collection"]
    assert name.startswith("gallery_"), "the former served until the new one was whole"
    monkeypatch.setattr(sys, "executable", "/opt/env/bin/python")  # an environment that is not active
    run(*build, *way)
    line = next(line for line in capsys.readouterr().out.splitlines() if "stay in the collection" in line)
    assert line.startswith(f"Its former images stay in the collection {name} at {files / 'g.index.db'}. ")
    program, (_, _, code) = line.partition("? ")[2], shlex.split(line.partition("? ")[2])
    assert program.startswith("/opt/env/bin/python -c ")
    exec(code)
    with contextlib.closing(Collection(str(files / "g.index.db"), name)) as former:
        assert not former.exists()
    # What is no longer there is not told of.
    (files / "g.index").write_bytes(kept)
    run(*build, *way[:2], "--uri" if way[1] == "milvus" else "--factory", "third.db" if way[1] == "milvus" else "Flat")
    assert "stay in the collection" not in capsys.readouterr().out


def test_a_milvus_index_is_built_added_to_and_deleted_from(files, capsys):
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    assert run("--embeddings", "one.npz", "--output", "g.index", "--backend", "milvus") == 0
    assert run("--add", "two.parquet", "--index", "g.index") == 0 and run("--delete", "a.jpg", "--index", "g.index") == 0
    assert "g.index holds 3 now." in capsys.readouterr().out
    index = open_index("g.index")
    assert index.backend == "milvus" and len(index) == 3
    index.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "one of --embeddings, --add and --delete"),
        (("--embeddings", "one.npz", "--add", "one.npz", "--output", "x"), "one of --embeddings, --add and --delete"),
        (("--embeddings", "one.npz"), "needs --output"),
        (("--embeddings", "--output", "x.index"), "--embeddings names nothing"),
        (("--add", "one.npz"), "--add needs --index"),
        (("--add", "one.npz", "--index", "x.index", "--factory", "Flat"), "--factory means nothing where an index is changed"),
        (("--add", "one.npz", "--index", "gone.index"), "there is no index gone.index"),
        (("--embeddings", "gone.npz", "--output", "x.index"), "there is no file gone.npz"),
        (("--embeddings", "one.npz", "--output", "x.index", "--images", "nowhere"), "no folder nowhere"),
        (("--embeddings", "one.npz", "--output", "x.index", "--names", "list.txt"), "cannot read list.txt"),
        (("--embeddings", "one.npz", "--output", "x.index", "--names", "bad.csv"), "no columns label and name"),
        (("--embeddings", "one.npz", "--output", "x.index", "--names", "words.csv"), "cannot be read as labels and names"),
        (("--embeddings", "one.npz", "--output", "x.index", "--milvus_token", "a"), "token means nothing for a faiss index"),
        (("--embeddings", "one.npz", "other.npz", "--output", "x.index"), "different networks"),
        (("--embeddings", "one.npz", "--output", "x.index", "--factory", "IVF9,Flat"), "too few to train"),
    ],
)
def test_bad_input_is_said_and_writes_nothing(files, words, message):
    write("other.npz", ["x.jpg"], model="another")
    (files / "bad.csv").write_text("a,b\n")
    (files / "words.csv").write_text("label,name\nanna,Anna\n")
    with pytest.raises(UserError, match=message):
        run(*words)
    assert not (files / "x.index").exists()


def test_a_list_from_windows_is_a_list(files, capsys):
    """Whoever asks to be forgotten is on it."""
    run("--embeddings", "one.npz", "--output", "g.index")
    (files / "list.txt").write_bytes("\ufeffa.jpg\r\nnobody.jpg\r\n".encode())
    assert run("--delete", "@list.txt", "--index", "g.index") == 0
    assert "Deleted 1 image" in (out := capsys.readouterr().out) and "Unknown to it: 1 path (such as nobody.jpg)" in out


def test_a_path_that_is_no_text_is_said(files):
    write("odd.npz", ["caf\udce9.jpg"])
    with pytest.raises(UserError, match=r"the path caf\\xe9.jpg is not UTF-8, and an index holds text"):
        run("--embeddings", "odd.npz", "--output", "g.index")
    assert not (files / "g.index").exists()


def test_a_list_that_is_not_there_is_said(files):
    run("--embeddings", "one.npz", "--output", "g.index")
    with pytest.raises(UserError, match="cannot read the list gone.txt"):
        run("--delete", "@gone.txt", "--index", "g.index")


@pytest.mark.skipif(not importlib.util.find_spec("milvus_lite"), reason="pymilvus is not installed")
def test_the_token_of_the_environment_goes_to_addresses_that_the_user_named(files, monkeypatch):
    """And to no other, such as that of an index file, which somebody else may have written."""
    sent = []

    def refusing(uri, token, timeout):
        sent.append((uri, token))
        raise pymilvus.exceptions.MilvusException(message="unauthenticated")

    monkeypatch.setattr(pymilvus, "MilvusClient", refusing)
    monkeypatch.setenv("MILVUS_TOKEN", "from outside")
    monkeypatch.delenv("MILVUS_URI", raising=False)
    keeping.write_description(files / "g.index", {**About("m", 4).as_json(), "backend": "milvus", "uri": "http://stranger:1", "collection": "gallery", "build": "1"})
    add, build = ("--add", "one.npz", "--index", "g.index"), ("--embeddings", "one.npz", "--output", "h.index", "--backend", "milvus", "--uri", "http://own:1")
    for words in (add, (*add, "--milvus_token", "given"), build, (*build, "--milvus_token", "given")):
        with pytest.raises(UserError, match=r"Give USER:PASSWORD as --milvus_token, or as .*\$MILVUS_TOKEN, which goes to no address but \$MILVUS_URI"):
            run(*words)
    assert sent == [("http://stranger:1", ""), ("http://stranger:1", "given"), ("http://own:1", "from outside"), ("http://own:1", "given")]
    monkeypatch.setenv("MILVUS_URI", "http://stranger:1/")
    with pytest.raises(UserError, match="there is no Milvus"):
        run(*add)
    assert sent[-1] == ("http://stranger:1", "from outside")


@pytest.mark.parametrize("backend", ["faiss", MILVUS])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_two_images_of_one_path_are_refused(backend, metric, files, capsys):
    """As where ``query/anna/c1.jpg`` comes to ``gallery/anna/c1.jpg``, each named from its own folder."""
    run("--embeddings", "one.npz", "--output", "g.index", "--backend", backend, "--metric", metric)
    write("more.npz", ["e.jpg", "b.jpg"])
    with pytest.raises(UserError, match="1 of 2 paths are in g.index already with another vector, such as b.jpg.*--replace"):
        run("--add", "more.npz", "--index", "g.index")
    with contextlib.closing(open_index("g.index")) as index:
        assert len(index) == 2
    assert run("--add", "one.npz", "--index", "g.index") == 0, "the same image again does no harm"
    assert run("--add", "more.npz", "--index", "g.index", "--replace") == 0
    with contextlib.closing(open_index("g.index")) as index:
        assert len(index) == 3
    for words in (["--embeddings", "one.npz", "more.npz", "--output", "h.index", "--replace"], ["--add", "one.npz", "more.npz", "--index", "g.index", "--replace"]):
        with pytest.raises(UserError, match="the path b.jpg comes twice"):
            run(*words)


def test_files_of_one_name_do_not_name_their_images_alike(files):
    rng = np.random.default_rng(1)
    for name in ("cam1/vectors.npz", "cam2/vectors.npz", "cam2/vectors.parquet"):
        (files / name).parent.mkdir(exist_ok=True)
        embeddings.save(Embeddings(rng.standard_normal((2, 4), dtype=np.float32)), files / name)
    assert run("--embeddings", "cam1/vectors.npz", "cam2/vectors.npz", "cam2/vectors.parquet", "--output", "g.index") == 0
    with contextlib.closing(open_index("g.index")) as index:
        assert len(index) == 6 and len(index.holding(["cam1/vectors.npz#0000000", "cam2/vectors.npz#0000001", "cam2/vectors.parquet#0000001"])) == 3
    run("--embeddings", "cam1/vectors.npz", "--output", "h.index")
    with pytest.raises(UserError, match="such as vectors#0000000.*If they are two images, give the file that names no images another name"):
        run("--add", "cam2/vectors.npz", "--index", "h.index")


@pytest.mark.parametrize(("other", "message"), [({"model": "n"}, "are of the network n.*Distances between two networks mean nothing"), ({"dimension": 5}, "vectors of 5 numbers do not fit")])
def test_the_same_images_by_another_network_are_told_from_other_images(other, message, files):
    """Their vectors differ, too, and --replace would be the wrong way out."""
    run("--embeddings", "one.npz", "--output", "g.index")
    write("other.npz", ["a.jpg", "b.jpg"], **other)
    with pytest.raises(UserError, match=message):
        run("--add", "other.npz", "--index", "g.index")


def test_nothing_deleted_is_no_success(files, capsys):
    run("--embeddings", "one.npz", "--output", "g.index")
    assert run("--delete", "nobody.jpg", "--index", "g.index") == 2
    assert "Unknown to it: 1 path (such as nobody.jpg)" in capsys.readouterr().out and len(open_index("g.index")) == 2
