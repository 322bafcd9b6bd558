"""The page of the benchmarks' records."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.page import main, page
from reid_srdl import files
from reid_srdl.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def record(*figures, name="ranking", **machine) -> dict:
    return {
        "machine": {"processor": "Abacus 1", "threads": 2, "load": 0.5, "torch": "9", **machine},
        name: {"settings": {}, "seconds": {"task": [1.0, 2.0, 3.0]}, "figures": list(figures)},
    }


def figure(what, value, **bounds) -> dict:
    return {"what": what, "value": value, "unit": "", "limit": None, "least": None, "holds": True, **bounds}


def test_what_was_wanted_and_not_reached_is_bold():
    text = page({"one": record(figure("a / b", 1.5, limit=1.4), figure("c / d", 2.0034, least=2), figure("seen", 12.34, unit="MB"))})
    assert "| a / b | ≤ 1.4 | **1.500** |" in text
    assert "| c / d | ≥ 2 | 2.003 |" in text
    assert "| seen |  | 12.3 MB |" in text


def test_records_stand_side_by_side_with_their_conditions():
    text = page({"idle": record(figure("a", 1.0)), "busy": record(figure("a", 2.0), figure("b", 3.0), threads=1, load=9.2, clock="cpu")})
    assert "|  | wanted | idle | busy |" in text and "| a |  | 1 | 2 |" in text and "| b |  |  | 3 |" in text
    assert "- [idle](../benchmarks/records/idle.json): Abacus 1, 2 threads; median of 3 rounds, by the clock; torch 9" in text
    assert "Abacus 1, 1 thread, other work beside it (load 9); median of 3 rounds, in seconds of the processor; torch 9" in text


def test_threads_are_those_that_were_timed():
    one = record(figure("a", 1.0))
    one["ranking"]["settings"]["threads"] = 1
    assert "Abacus 1, 1 thread;" in page({"one": one})


def test_the_words_are_those_of_the_module_and_stand_once():
    both = {**record(figure("a", 1.0), name="training_epoch"), "srdl_cost": record(figure("b", 1.0), name="srdl_cost")["srdl_cost"]}
    text = page({"one": both})
    assert text.count("What the loader adds to training") == 1 and "## srdl_cost" in text


def test_records_of_nothing_are_refused():
    with pytest.raises(UserError, match="hold no benchmark"):
        page({"one": {"machine": {}}})


def test_the_page_is_that_of_the_records(tmp_path, monkeypatch):
    """Whoever measures again writes the page again: python -m benchmarks.page."""
    monkeypatch.chdir(ROOT)
    main(["--output", str(tmp_path / "speed.md")])
    assert (tmp_path / "speed.md").read_text() == (ROOT / "docs/speed.md").read_text()
    assert files.read_json(ROOT / "benchmarks/records/xeon_2_cores_peers.json")["machine"]["processor"] in (tmp_path / "speed.md").read_text()
