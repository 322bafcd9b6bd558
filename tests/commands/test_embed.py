"""``embed``: folders, patterns and CSV files of images."""

from __future__ import annotations

import os
import shutil
import signal

import numpy as np
import pytest
import torch

from reid_srdl import devices, embeddings, files, ranks, runs
from reid_srdl.commands import embed as command
from reid_srdl.commands import index, search
from reid_srdl.config import ModelConfig
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.training.termination import Terminated


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "model.safetensors"
    runs.save_model(file, build("small", 3).eval(), ModelConfig("small", "none"), (32, 16), np.array([1, 2, 3]))
    return file


def embed(checkpoint, images, output, *flags) -> int:
    return command.run(["--checkpoint", str(checkpoint), "--images", str(images), "--output", str(output), "--device", "cpu", *flags])


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("batch", ["1", "5", "64"])
def test_vectors_are_those_of_the_network_with_names_labels_and_cameras(checkpoint, people, tmp_path, suffix, batch):
    assert embed(checkpoint, people.gallery.root / "gallery", tmp_path / f"out{suffix}", "--batch", batch, "--flip") == 0
    found = embeddings.load(tmp_path / f"out{suffix}")
    trained = runs.load(checkpoint, "cpu")
    np.testing.assert_allclose(found.vectors, trained.embed(people.gallery.files, flip=True), atol=1e-6)
    assert found.paths == tuple(path.removeprefix("gallery/") for path in people.gallery.paths)
    np.testing.assert_array_equal(found.labels, people.gallery.labels)
    np.testing.assert_array_equal(found.cameras, people.gallery.cameras)
    assert found.model == trained.model_hash


def test_unreadable_images_are_named_and_skipped(checkpoint, people, tmp_path, capsys):
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    for name, file in zip(("b.png", "deep/c.png"), people.query.files, strict=False):
        (photos / name).write_bytes(file.read_bytes())
    (photos / "a.jpg").write_bytes(b"")
    (photos / "d.png").write_bytes(people.query.files[0].read_bytes()[:60])
    (photos / "notes.txt").write_text("no image")
    assert embed(checkpoint, photos, tmp_path / "out.npz") == 1
    found = embeddings.load(tmp_path / "out.npz")
    assert found.paths == ("b.png", "deep/c.png") and found.labels is None
    out = capsys.readouterr().out
    assert "2 images could not be read" in out and "a.jpg" in out and "d.png" in out
    np.testing.assert_allclose(found.vectors, runs.load(checkpoint, "cpu").embed(people.query.files[:2]), atol=1e-6)


def test_names_of_people_and_cameras_are_labels_and_cameras(checkpoint, people, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, file in zip(("anna_c2_017.png", "anna_c3_1.png", "bert_c2_1.png"), people.query.files, strict=False):
        (photos / name).write_bytes(file.read_bytes())
    assert embed(checkpoint, photos, tmp_path / "out.npz") == 0
    found = embeddings.load(tmp_path / "out.npz")
    assert found.cameras.tolist() == [2, 3, 2] and found.labels[0] == found.labels[1] != found.labels[2]
    (photos / "c.png").write_bytes(people.query.files[0].read_bytes())
    assert embed(checkpoint, photos, tmp_path / "out.npz") == 0
    assert embeddings.load(tmp_path / "out.npz").labels is None


def test_nothing_readable_writes_nothing(checkpoint, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"of 1 image none can be read, such as: .*a.jpg: it is empty"):
        embed(checkpoint, tmp_path / "*.jpg", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_a_csv_keeps_its_order_labels_and_cameras(checkpoint, people, tmp_path):
    for name, file in zip(("2.png", "1.png", "3.png"), people.query.files, strict=False):
        (tmp_path / name).write_bytes(file.read_bytes())
    (tmp_path / "list.csv").write_text("path,label,camera\n2.png,zoe,4\n1.png,anna,5\n")
    embed(checkpoint, tmp_path / "list.csv", tmp_path / "out.npz")
    found = embeddings.load(tmp_path / "out.npz")
    assert found.paths == ("2.png", "1.png") and found.cameras.tolist() == [4, 5]
    assert (found.labels < 1 << 53).all()  # so that a page can tell them apart
    # Another file with other people in it: a word means the same in both, or scores would compare strangers.
    (tmp_path / "more.csv").write_text("path,label,camera\n3.png,aaron,1\n1.png,zoe,4\n2.png,0,4\n")
    embed(checkpoint, tmp_path / "more.csv", tmp_path / "more.npz")
    more = embeddings.load(tmp_path / "more.npz")
    assert more.labels[1] == found.labels[0] > 0 and len({*more.labels.tolist(), *found.labels.tolist()}) == 4 and more.labels[2] == 0
    # A number is the same person beside words as it is beside numbers.
    for rest in ("anna", "7"):
        (tmp_path / "mixed.csv").write_text(f"path,label,camera\n3.png,12,1\n1.png,{rest},4\n")
        embed(checkpoint, tmp_path / "mixed.csv", tmp_path / "mixed.npz")
        assert embeddings.load(tmp_path / "mixed.npz").labels[0] == 12
    (tmp_path / "list.csv").write_text("path\n3.png\n")
    embed(checkpoint, tmp_path / "list.csv", tmp_path / "out.npz")
    found = embeddings.load(tmp_path / "out.npz")
    assert found.paths == ("3.png",) and found.labels is None and found.cameras is None


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_told_to_end_it_leaves_nothing_half_made(checkpoint, people, tmp_path, monkeypatch, suffix):
    (tmp_path / "out").mkdir()
    real, seen = runs.Trained.vectors, []

    def vectors(self, *words, **options):
        if seen:
            seen.extend(os.listdir(tmp_path / "out"))
            os.kill(os.getpid(), signal.SIGTERM)
        seen.append("begun")
        return real(self, *words, **options)

    monkeypatch.setattr(runs.Trained, "vectors", vectors)
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it does what it did before"))
    try:
        with pytest.raises(Terminated):
            embed(checkpoint, people.query.root / "query", tmp_path / "out" / f"out{suffix}", "--batch", "2")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(seen) > 1 and not os.listdir(tmp_path / "out")


def one_of_two(rank: int, monkeypatch: pytest.MonkeyPatch, other: int) -> None:
    """As that process, of which the other one works when it is its turn, and hands over ``other`` images."""

    def gathered(place: devices.Place, mine: object) -> list[object]:
        if not isinstance(mine, int):
            return [mine]
        return [mine, other] if rank == 0 else [other, mine]

    monkeypatch.setattr(devices.Place, "gathered", gathered)
    for name, value in {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "one"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks, "join", lambda: None)


def test_shards_of_two_processes_are_the_whole(checkpoint, people, tmp_path, monkeypatch, capsys):
    images = people.query.root / "query"
    embed(checkpoint, images, tmp_path / "out.npz")
    for rank in (0, 1):
        one_of_two(rank, monkeypatch, other=1)
        capsys.readouterr()
        embed(checkpoint, images, tmp_path / "out.npz")
        all_of_them, out = f"--embeddings {{}}{tmp_path}/out-1-of-2.npz {tmp_path}/out-2-of-2.npz", capsys.readouterr().out
        for next_words in (f"index {all_of_them.format('')} --output", f"a gallery: reid-srdl eval {all_of_them.format('QUERY ')}\n"):
            assert (next_words in out) is (rank == 0), "one says what comes next, of all"
    whole, *parts = (embeddings.load(tmp_path / f"out{name}.npz") for name in ("", "-1-of-2", "-2-of-2"))
    np.testing.assert_allclose(np.concatenate([part.vectors for part in parts]), whole.vectors, atol=1e-6)
    assert parts[0].paths + parts[1].paths == whole.paths


def test_a_share_without_a_good_image_ends_nobody(checkpoint, people, tmp_path, monkeypatch, capsys):
    (tmp_path / "photos").mkdir()
    for name, file in zip("cd", people.query.files, strict=False):
        shutil.copy(file, tmp_path / "photos" / f"{name}.png")
    for name in "ab":
        (tmp_path / "photos" / f"{name}.png").write_bytes(b"")
    for rank, theirs in ((0, 2), (1, 0)):
        one_of_two(rank, monkeypatch, other=theirs)
        capsys.readouterr()
        assert embed(checkpoint, tmp_path / "photos", tmp_path / "out.npz") == 1 - rank
        out = capsys.readouterr().out
        if rank == 0:
            assert "2 images could not be read and were skipped" in out and "out-1-of-2" not in out and f"index --embeddings {tmp_path}/out-2-of-2.npz --output" in out
    assert not (tmp_path / "out-1-of-2.npz").exists() and embeddings.load(tmp_path / "out-2-of-2.npz").paths == ("c.png", "d.png")
    one_of_two(0, monkeypatch, other=0)
    with pytest.raises(UserError, match=r"of 4 images none can be read, such as: .*a.png: it is empty"):
        embed(checkpoint, tmp_path / "photos", tmp_path / "out.npz")


def test_what_a_scheduler_calls_its_tasks_takes_no_image_away(checkpoint, people, tmp_path, monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    embed(checkpoint, people.query.root / "query", tmp_path / "out.npz")
    assert len(embeddings.load(tmp_path / "out.npz")) == len(people.query)


@pytest.mark.parametrize(
    ("images", "output", "message"),
    [("nowhere/*.jpg", "out.npz", "no images nowhere"), (".", "out.npz", "no images in"), (".", "out.txt", "known kinds"), ("gone.csv", "out.npz", "cannot read gone")],
)
def test_bad_input_is_said(images, output, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        embed("model.safetensors", images, output)
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_asked_for():
    with pytest.raises(UserError, match="needs --images"):
        command.run(["--checkpoint", "a", "--output", "b.npz"])


def test_a_network_trained_on_crops_sees_the_centres(people, tmp_path):
    torch.manual_seed(0)
    runs.save_model(tmp_path / "crop.safetensors", build("small", 3).eval(), ModelConfig("small", "none"), (32, 16), np.array([1, 2, 3]), "imagenet")
    assert embed(tmp_path / "crop.safetensors", people.query.root / "query", tmp_path / "out.npz") == 0
    expected = runs.load(tmp_path / "crop.safetensors", "cpu").embed(people.query.files)
    np.testing.assert_allclose(embeddings.load(tmp_path / "out.npz").vectors, expected, atol=1e-6)


def test_people_s_folders_are_labels_and_their_names_go_to_the_index(checkpoint, people, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, file in zip(("anna/1.png", "anna/2.png", "bert, jr/1.png"), people.query.files, strict=False):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(file.read_bytes())
    assert embed(checkpoint, "photos", "plain.npz") == 0
    out = capsys.readouterr().out
    assert embeddings.load("plain.npz").labels is None and "--labels folders" in out and "index --embeddings plain.npz --output gallery.index --images photos\n" in out
    assert embed(checkpoint, "photos", "g.npz", "--labels", "folders") == 0
    out, found = capsys.readouterr().out, embeddings.load("g.npz")
    assert found.labels[0] == found.labels[1] != found.labels[2] and found.cameras is None
    assert "--images photos --names g.names.csv" in out and "eval --embeddings" in out
    index.run(["--embeddings", "g.npz", "--output", "gallery.index", "--images", "photos", "--names", "g.names.csv"])
    search.run(["--index", "gallery.index", "--checkpoint", str(checkpoint), "--query", "photos/bert, jr/1.png", "--device", "cpu", "--json", "found.json"])
    assert files.read_json("found.json")["queries"][0]["hits"][0]["name"] == "bert, jr"


def test_after_a_bad_image_the_way_on_is_shown_all_the_same(checkpoint, people, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    (tmp_path / "photos" / "b.png").write_bytes(people.query.files[0].read_bytes())
    assert embed(checkpoint, tmp_path / "photos", tmp_path / "out.npz") == 1
    out = capsys.readouterr().out
    assert "1 image as vectors of 16 numbers is in" in out and "1 image could not be read and was skipped:" in out and "a.png: it is empty" in out and "Next, search among them" in out and "folders" not in out


def test_names_that_are_no_text_go_where_they_can_be_kept(checkpoint, people, tmp_path):
    odd = os.fsdecode(b"caf\xe9_c1_1.png")
    (tmp_path / "photos").mkdir()
    shutil.copy(people.query.files[0], tmp_path / "photos" / odd)
    with pytest.raises(UserError, match=r"the name caf\\xe9_c1_1.png is not UTF-8, and .parquet holds text"):
        embed(checkpoint, tmp_path / "photos", tmp_path / "v.parquet")
    assert embed(checkpoint, tmp_path / "photos", tmp_path / "v.npz") == 0
    assert embeddings.load(tmp_path / "v.npz").paths == (odd,)
