"""Counts beside the official ones: nothing is said where they are alike, and one line where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data.counts import compare_counts, counts_of
from reid_srdl.data.records import ReIDData


def test_counts_are_compared_in_one_line(people: ReIDData, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    there = counts_of(people)
    compare_counts(people, tmp_path, {**there, "boxes": 5}, more={"boxes": 5})
    assert capsys.readouterr().err == ""
    compare_counts(people, tmp_path, {"training images": 1000, "training identities": there["training identities"]}, "Hm.")
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and line.endswith("Hm.\n")
    assert f"{people.name} in {tmp_path} is not the whole official set: training images {len(people.train)} (official: 1,000)" in line
    assert "identities" not in line
    compare_counts(people, tmp_path, {"boxes": 6}, more={"boxes": 5})
    assert "boxes 5 (official: 6). Scores on it cannot be set beside published ones." in capsys.readouterr().err
