"""Who may write into a run folder."""

from __future__ import annotations

import dataclasses

import pytest

from reid_srdl import runs
from reid_srdl.errors import UserError
from reid_srdl.training.folder import accept, claimed


def test_a_claimed_folder_is_refused_to_others(tmp_path):
    with claimed(tmp_path), pytest.raises(UserError, match="another process"), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


def test_a_folder_at_home_is_meant_by_a_recipe_as_by_a_shell(config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert accept(dataclasses.replace(config, output="~/runs/run")) == tmp_path / "runs/run"


def test_a_run_that_goes_on_is_not_called_broken_off(config, tmp_path):
    config = dataclasses.replace(config, output=str(tmp_path / "run"))
    with claimed(tmp_path / "run"):
        (tmp_path / "run" / runs.CONFIG).touch()
        with pytest.raises(UserError, match="another process is training"):
            accept(config)
    with pytest.raises(UserError, match=r"broken-off run\. Go on with it"):
        accept(config)


def test_only_the_first_of_several_processes_looks_at_the_lock(config, tmp_path, monkeypatch):
    """It holds the lock itself by the time that another one looks."""
    config = dataclasses.replace(config, output=str(tmp_path / "run"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "one")
    monkeypatch.setenv("RANK", "1")
    with claimed(tmp_path / "run"):
        assert accept(config) == tmp_path / "run"


def test_a_run_that_began_and_ended_since_it_was_looked_is_not_written_over(config, tmp_path):
    config = dataclasses.replace(config, output=str(tmp_path / "run"))
    folder = accept(config)
    with claimed(folder, resume=False):
        (folder / runs.CONFIG).touch()
    with pytest.raises(UserError, match="already holds a broken-off run"), claimed(folder, resume=False):
        pass


def test_what_a_process_left_that_was_killed_at_once_does_not_fill_the_folder(config, tmp_path):
    config = dataclasses.replace(config, output=str(tmp_path / "run"))
    with claimed(tmp_path / "run"):
        left = tmp_path / "run" / ".config.yaml.4711.tmp.yaml"
        left.touch()
    assert accept(config) == tmp_path / "run"
    (tmp_path / "run/notes.txt").touch()
    with pytest.raises(UserError, match="not empty"):
        accept(config)
