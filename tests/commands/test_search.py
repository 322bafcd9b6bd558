"""``search``: from images to a table, a page and JSON."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch

from reid_srdl import embeddings, retrieval, runs
from reid_srdl.commands import search as command
from reid_srdl.config import ModelConfig
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.models import build

MILVUS = pytest.param("milvus", marks=pytest.mark.skipif(not importlib.util.find_spec("milvus_lite"), reason="pymilvus is not installed"))


def save_network(file, seed=0):
    torch.manual_seed(seed)
    runs.save_model(file, build("small", 3).eval(), ModelConfig("small", "none"), (32, 16), np.array([1, 2, 3]))
    return file


@pytest.fixture
def checkpoint(tmp_path):
    return save_network(tmp_path / "model.safetensors")


@pytest.fixture
def gallery(checkpoint, people) -> Embeddings:
    """As a file of an earlier version has it, which says nothing of mirror images."""
    return dataclasses.replace(runs.load(checkpoint, "cpu").embeddings(people.gallery), flip=None)


@pytest.fixture(params=["faiss", MILVUS])
def index(request, gallery, people, tmp_path):
    made, _ = retrieval.create_index(tmp_path / "gallery.index", gallery, backend=request.param, root=str(people.gallery.root), names={12: "Zoë"})
    made.close()
    return tmp_path / "gallery.index"


def search(index, checkpoint, query, *flags) -> int:
    return command.run(["--index", str(index), "--checkpoint", str(checkpoint), "--query", str(query), "--device", "cpu", *map(str, flags)])


def test_hits_are_those_of_the_definition_in_table_page_and_json(index, checkpoint, people, gallery, tmp_path, capsys):
    assert search(index, checkpoint, people.query.root / "query", "--top_k", 5, "--flip", "--json", tmp_path / "out.json", "--html", tmp_path / "out.html") == 0
    out = capsys.readouterr().out
    told = json.loads((tmp_path / "out.json").read_text())
    vectors = runs.load(checkpoint, "cpu").embed(people.query.files, flip=True)
    assert len(told["queries"]) == len(vectors) == 12
    for query, asked in zip(vectors, told["queries"], strict=True):
        far = ((gallery.vectors - query) ** 2).sum(axis=1)
        order = np.argsort(far, kind="stable")[:5]
        assert [hit["path"] for hit in asked["hits"]] == [gallery.paths[row] for row in order]
        np.testing.assert_allclose([hit["distance"] for hit in asked["hits"]], far[order], rtol=1e-4, atol=1e-6)
        assert [hit["camera"] for hit in asked["hits"]] == gallery.cameras[order].tolist() and [hit["label"] for hit in asked["hits"]] == gallery.labels[order].tolist()
    text = (tmp_path / "out.html").read_text()
    assert text.count("data:image/jpeg") == 12 * 6 and "Zoë" in text and "Zoë" in out
    assert "probability" not in out and f"The pictures are in {tmp_path / 'out.html'}" in out and "not in" not in out


def test_a_camera_filter_expansion_and_reranking(index, checkpoint, people, tmp_path, capsys):
    assert search(index, checkpoint, people.query.files[0], "--camera", 2, 3, "--expand", 2, "--rerank", "--candidates", 9, "--top_k", 4, "--json", tmp_path / "out.json") == 0
    hits = json.loads((tmp_path / "out.json").read_text())["queries"][0]["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4] and {hit["camera"] for hit in hits} <= {2, 3}
    assert (np.diff([hit["reranked"] for hit in hits]) >= 0).all() and "re-ranked" in capsys.readouterr().out


def test_what_is_missing_is_said_in_a_line(index, checkpoint, people, tmp_path, capsys):
    assert search(index, checkpoint, people.query.files[0], "--camera", 77) == 0, "an answer too"
    out = capsys.readouterr().out
    assert "nothing was found" in out and f"There is no image of camera 77 in {index}." in out
    assert "It has images of the cameras 1, 2" in out and "see the pictures" not in out
    search(index, checkpoint, people.query.files[0], "--top_k", 1000)
    out = capsys.readouterr().out
    assert f"{index} holds 24 images: all of them are shown." in out
    assert "Next, see the pictures:" in out and "--top_k 1000 --html found.html" in out


def test_a_folder_of_images_that_moved_is_said_and_named_anew(index, checkpoint, people, gallery, tmp_path, capsys, monkeypatch):
    photos = tmp_path / "photos"
    moved, _ = retrieval.create_index(tmp_path / "moved.index", gallery, root=str(photos))
    moved.close()
    search(tmp_path / "moved.index", checkpoint, people.query.files[0], "--top_k", 3, "--html", tmp_path / "out.html")
    assert f"3 of 3 pictures are not in {photos}" in capsys.readouterr().out
    shutil.copytree(people.gallery.root / "gallery", tmp_path / "new" / "gallery")
    monkeypatch.setenv("HOME", str(tmp_path))
    for new in (tmp_path / "new", "~/new"):
        search(tmp_path / "moved.index", checkpoint, people.query.files[0], "--top_k", 3, "--html", tmp_path / "out.html", "--images", new)
        assert "pictures are not in" not in capsys.readouterr().out and (tmp_path / "out.html").read_text().count("data:image/jpeg") == 4


def test_another_network_is_refused(index, people, tmp_path):
    other = save_network(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(UserError, match="was built by the network .*, and .*other.safetensors is .*Distances between two networks mean nothing"):
        search(index, other, people.query.files[0])


def test_the_probability_stands_there_where_the_network_has_a_calibration_that_fits(index, checkpoint, people, tmp_path, capsys):
    from reid_srdl.evaluation.calibration import Calibration

    trained = runs.load(checkpoint, "cpu")
    calibration = Calibration(trained.model_hash, "euclidean", False, np.array([0.0, 1.0, 50.0]), np.array([4.0, 0.0, -5.0]), 0.5, {})
    calibration.save(trained.calibration_file)
    query = people.query.files[0]
    search(index, checkpoint, query, "--json", tmp_path / "out.json", "--html", tmp_path / "out.html")
    out, said = capsys.readouterr().out, "Probabilities are those where 0.5 of all pairs are genuine."
    assert "probability" in out and said in out and said in (tmp_path / "out.html").read_text()
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["prior"] == 0.5
    hits = written["queries"][0]["hits"]
    np.testing.assert_allclose([hit["probability"] for hit in hits], calibration.probability(np.array([hit["distance"] for hit in hits])))
    assert "No probabilities are shown" not in (tmp_path / "out.html").read_text()
    for flags, why in ((["--flip"], "of embeddings without --flip"), (["--expand", 2], "expanded queries")):
        search(index, checkpoint, query, *flags, "--html", tmp_path / "out.html")
        for told in (capsys.readouterr().out, (tmp_path / "out.html").read_text()):
            assert "No probabilities are shown" in told and why in told
    assert "Each query was averaged with its 2 nearest images first (query expansion)." in told


def test_an_index_that_names_no_network_is_taken_on_trust(checkpoint, people, gallery, tmp_path, capsys):
    bare = Embeddings(gallery.vectors, paths=gallery.paths)
    made, _ = retrieval.create_index(tmp_path / "bare.index", bare)
    search(tmp_path / "bare.index", checkpoint, people.query.files[0], "--top_k", 2)
    assert "is taken on trust" in capsys.readouterr().out


def test_an_image_with_brackets_in_its_name_is_an_image(index, checkpoint, people, tmp_path, capsys):
    shutil.copy(people.query.files[0], tmp_path / "a[1].png")
    assert search(index, checkpoint, tmp_path / "a[1].png", "--top_k", 2) == 0 and "a[1].png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--top_k", "0"], "top_k is 0"),
        (["--candidates", "5"], "--candidates means nothing without --rerank"),
        (["--expand", "-1"], "expand is -1"),
        (["--images", "nowhere"], "no folder nowhere"),
        (["--camera"], "no camera"),
        (["--query", "empty"], "no images in empty"),
        (["--query", "gone.jpg"], "no images gone.jpg"),
        (["--query", "bad.jpg"], "cannot read image bad.jpg"),
        (["--index", "gone.index"], "there is no index gone.index"),
        (["--checkpoint", "gone"], "there is no checkpoint gone"),
    ],
)
def test_bad_input_is_said(flags, message, checkpoint, people, gallery, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    retrieval.create_index("g.index", gallery)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=message):
        search("g.index", checkpoint, people.query.files[0], *flags)


def test_what_is_asked_for_is_needed():
    with pytest.raises(UserError, match="search needs --checkpoint"):
        command.run(["--index", "g.index"])


def test_the_token_is_not_printed(index, checkpoint, people, capsys):
    search(index, checkpoint, people.query.files[0], "--milvus_token", "root:secret", "--top_k", 2)
    assert "secret" not in (out := capsys.readouterr().out) and "--milvus_token" not in out and "--top_k 2 --html" in out


def test_saved_embeddings_lead_to_the_same_index(gallery, checkpoint, people, tmp_path, capsys):
    from reid_srdl.commands import index as indexing

    embeddings.save(gallery, tmp_path / "gallery.npz")
    indexing.run(["--embeddings", str(tmp_path / "gallery.npz"), "--output", str(tmp_path / "g.index"), "--images", str(people.gallery.root)])
    assert search(tmp_path / "g.index", checkpoint, people.query.files[0], "--top_k", 1) == 0


@pytest.mark.parametrize("flag", ["--json", "--html"])
def test_what_cannot_be_written_names_its_own_flag(flag, checkpoint, gallery, people, tmp_path):
    made, _ = retrieval.create_index(tmp_path / "gallery.index", gallery)
    made.close()
    with pytest.raises(UserError, match=f"cannot write .*/out: .*another folder with {flag}"):
        search(tmp_path / "gallery.index", checkpoint, people.query.files[0], flag, checkpoint / "out")


def test_queries_are_mirrored_as_the_gallery_was(checkpoint, people, gallery, tmp_path, capsys):
    trained = runs.load(checkpoint, "cpu")
    made, _ = retrieval.create_index(tmp_path / "flipped.index", trained.embeddings(people.gallery, flip=True))
    query = people.query.files[0]
    assert search(made.path, checkpoint, query, "--top_k", 3, "--json", tmp_path / "out.json") == 0
    told = json.loads((tmp_path / "out.json").read_text())
    far = ((trained.embeddings(people.gallery, flip=True).vectors - trained.embed([query], flip=True)) ** 2).sum(axis=1)
    assert told["flip"] is True
    np.testing.assert_allclose([hit["distance"] for hit in told["queries"][0]["hits"]], np.sort(far)[:3], rtol=1e-4, atol=1e-6)
    with pytest.raises(UserError, match="the vectors of .*flipped.index are averaged with their mirror images. Leave --flip out"):
        search(made.path, checkpoint, query, "--flip", "false")
    with pytest.raises(UserError, match="the vectors are not averaged with those of mirrored images, and those of .* are. Embed them with --flip"):
        made.add(trained.embeddings(people.query))
    made.add(dataclasses.replace(trained.embeddings(people.query), flip=None))  # of an earlier version


def test_a_query_that_only_begins_like_a_home_is_a_file(index, checkpoint, people, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(people.query.files[0], "~$crop.jpg")
    assert search(index, checkpoint, "~$crop.jpg") == 0


def test_a_path_stays_on_its_line_where_no_terminal_says_how_wide_it_is(checkpoint, people, gallery, tmp_path, capsys):
    long = "a folder of a long name/" * 12 + "image.png"
    retrieval.create_index(tmp_path / "g.index", dataclasses.replace(gallery, paths=(long, *gallery.paths[1:])))
    assert search(tmp_path / "g.index", checkpoint, people.query.files[0], "--top_k", 24) == 0
    assert any(long in line for line in capsys.readouterr().out.splitlines())
