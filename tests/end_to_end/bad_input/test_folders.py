"""Output folders and runs that cannot be gone on with."""

from __future__ import annotations

from reid_srdl import runs

from .conftest import TRAIN, contents, same_weights, truncated


def test_an_output_folder_that_holds_something_else(refused, reid, people, tmp_path):
    train = ["train", *TRAIN, "--data_root", people.train.root]
    assert reid(*train).code == 0
    line = refused(*train, "--seed", "1")
    assert "runs/run already holds a finished run" in line and "--output" in line
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("…")
    line = refused(*train, "--output", "thesis")
    assert "thesis is not empty" in line and "--output" in line
    assert "is a file" in refused(*train, "--output", "thesis/chapter1.txt")
    assert "cannot write into" in refused(*train, "--output", "/proc/none/run")


def test_what_cannot_be_resumed(refused, people, tmp_path):
    assert "nowhere" in refused("train", "--resume", "nowhere")
    line = refused("train", "--resume", tmp_path)
    assert str(tmp_path) in line and "A run folder holds config.yaml" in line
    assert "at most --device" in refused("train", "--resume", tmp_path, "--seed", "1")
    assert "one run folder" in refused("train", "--resume")


def test_a_truncated_training_state(reid, people, unbroken, tmp_path, monkeypatch):
    """It is named; without it the stage begins again, to the same end."""
    train = ["train", *TRAIN, "--plan.epochs", "4", "--data_root", people.train.root]
    with monkeypatch.context() as patch:
        patch.setattr(runs, "save_model", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert reid(*train).code == 130
    state = truncated(tmp_path / "runs/run/resume.pt")
    before = contents(tmp_path / "runs/run/stages")
    ended = reid("train", "--resume", "runs/run")
    assert ended.code == 2 and ended.line.startswith("reid-srdl train: ") and "Traceback" not in ended.err
    assert "runs/run/resume.pt is damaged" in ended.line and "Delete it" in ended.line
    assert contents(tmp_path / "runs/run/stages") == before
    state.unlink()
    assert reid("train", "--resume", "runs/run").code == 0
    assert same_weights(tmp_path / "runs/run/stages/2-second/model.safetensors", unbroken)
