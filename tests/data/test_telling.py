"""Warnings of readers."""

from __future__ import annotations

import pytest

from reid_srdl.data import telling


def test_a_warning_is_one_line_that_gives_no_orders_to_the_terminal(capsys: pytest.CaptureFixture[str]):
    telling.warn("a\nfile \x1b[31mred.jpg")
    assert capsys.readouterr().err == "warning: a file \\x1b[31mred.jpg\n"


def test_of_several_processes_the_first_one_warns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "one")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        telling.warn(f"seen by {rank}")
    assert capsys.readouterr().err == "warning: seen by 0\n"
