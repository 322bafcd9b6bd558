import threading

import pytest

from reid_srdl.errors import UserError
from reid_srdl.experiments import records
from reid_srdl.experiments.study import Cell, Study

STUDY = Study("s", "Title", "", "cifar100", {"vanilla": {"plan.name": "vanilla"}}, {"default": 2}, "vanilla", (), settings={"plan.epochs": 4})


def test_records_come_back(tmp_path):
    cell = Cell("srdl", 0, 0.01, True)
    assert records.read(tmp_path / "x.json") == {}
    records.add(tmp_path / "x.json", Cell("vanilla", 1, None, False), {"scores": {"rank1": 0.5}})
    found = records.add(tmp_path / "x.json", cell, {"scores": {"rank1": 0.6}})
    assert records.read(tmp_path / "x.json") == found and found[cell]["scores"]["rank1"] == 0.6
    assert records.read_study(tmp_path / "x.json") is None


def test_a_study_is_kept_with_its_records_and_grows(tmp_path):
    path = tmp_path / "s.json"
    records.describe(path, STUDY)
    records.add(path, Cell("vanilla", 0, None, False), {"scores": {}})
    assert records.read_study(path) == STUDY
    more = Study("s", "Title", "", "cifar100", {"srdl": {"plan.name": "srdl"}}, {"default": 1, "srdl": 1}, "vanilla", (("srdl", "vanilla"),), ensembles={"e": ("srdl:first", "srdl")})
    records.describe(path, more)
    kept = records.read_study(path)
    assert set(kept.arms) == {"vanilla", "srdl"} and kept.seeds == {"default": 2, "srdl": 1} and kept.ensembles == {"e": ("srdl:first", "srdl")}
    assert list(records.read(path)) == [Cell("vanilla", 0, None, False)]


def test_an_arm_keeps_the_most_seeds_that_a_study_asked_for(tmp_path):
    path = tmp_path / "s.json"
    arms = {"vanilla": {}, "srdl": {}}
    for default, own in ((5, {"srdl": 7}), (2, {"vanilla": 3, "srdl": 1}), (1, {"half": 2})):
        records.describe(path, Study("s", "Title", "", "cifar100", {arm: {} for arm in [*arms, *own]}, {"default": default, **own}, "vanilla", ()))
    assert records.read_study(path).seeds == {"default": 5, "srdl": 7, "vanilla": 5, "half": 2}


def test_two_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "s.json"
    workers = [threading.Thread(target=records.add, args=(path, Cell("vanilla", seed, None, False), {"scores": {}})) for seed in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(records.read(path)) == 12


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*file"):
        records.add(tmp_path / "file/x.json", Cell("vanilla", 0, None, False), {})


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "x.json").write_text('{"cells": [{"no": 1}]}')
    with pytest.raises(UserError, match="no records"):
        records.read(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[]")
    for reads in (records.read, records.read_study, lambda path: records.describe(path, STUDY)):
        with pytest.raises(UserError, match="no records.*Move it away"):
            reads(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"study": [], "cells": []}')
    with pytest.raises(UserError, match="describes no study"):
        records.read_study(tmp_path / "x.json")
