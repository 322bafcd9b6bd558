"""Images that vanish under a run that streams them."""

from __future__ import annotations

import shutil

import pytest

from .conftest import end_of, go_on


@pytest.mark.parametrize("at", [12, 30, 70])
def test_it_is_named_and_the_run_goes_on_once_it_is_back(start, plan, whole, people, tmp_path, at):
    data = shutil.copytree(people.train.root, tmp_path / "photos")
    words = [word if plan[row - 1] != "--data_root" else str(data) for row, word in enumerate(plan)]
    words += ["--data.memory_gb", "0"]
    run, gone = tmp_path / "runs/run", data / people.train.paths[17]
    content = gone.read_bytes()
    ended = start(*words, "--output", run, folder=run.parent, at=at, do=f"remove {gone}").wait()
    assert ended.code == 2 and ended.line.startswith(f"reid-srdl train: there is no image {gone}. "), ended.said
    # Without it the list is another one, and nobody trains on as if nothing were amiss.
    ended = go_on(start, words, run)
    assert ended.code == 2 and "have changed since it began" in ended.line
    gone.write_bytes(content)
    assert go_on(start, words, run).code == 0
    assert end_of(run) == whole.end
