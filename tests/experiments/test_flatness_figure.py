"""Fig. 4 from the runs of a study: whose are compared, and what is written."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest

from reid_srdl.data.records import ClassData, Split
from reid_srdl.errors import UserError
from reid_srdl.experiments import flatness_figure
from reid_srdl.experiments.study import Study
from reid_srdl.training.run import train

PLAN = Study("cifar", "few images", "", "cifar100", {"vanilla": {"plan.name": "vanilla"}, "srdl": {"plan.name": "srdl"}}, {"default": 2}, "vanilla", (), settings={"model.backbone": "resnet32"})
FEW = {"images": 16, "points": 3, "directions": 2}


@pytest.fixture
def classes(people) -> ClassData:
    """The people of ``people`` as classes, half of their images to train on."""
    split = people.train
    labels = split.labels - 1

    def part(name: str, rows: slice) -> Split:
        chosen = np.arange(len(split))[rows]
        return Split(name, split.root, tuple(split.paths[row] for row in chosen), labels[chosen], np.zeros(len(chosen), np.int64))

    return ClassData("cifar100", part("train", slice(0, None, 2)), None, part("test", slice(1, None, 2)), tuple("abcdef"))


@pytest.fixture
def runs(config, classes, watch, tmp_path, monkeypatch):
    """Runs of seed 1 alone: those of seed 0 are gone."""
    monkeypatch.setattr(flatness_figure, "read", lambda name, root: classes)
    for arm in PLAN.arms:
        output = tmp_path / "runs/cifar" / f"{arm}-s1"
        train(dataclasses.replace(config, dataset="cifar100", output=str(output), plan=dataclasses.replace(config.plan, name=arm, epochs=2)), classes, watch=watch)
    return tmp_path / "runs"


def test_the_first_seed_that_has_all_its_runs_is_drawn_in_all_variants(runs, tmp_path):
    written = flatness_figure.write([(None, PLAN)], runs, tmp_path / "out", **FEW)
    assert {path.name for path in written} == {f"fig4-{name}.{kind}" for name in flatness_figure.VARIANTS for kind in ("csv", "png")} | {"fig4-flatness.md"}
    assert all(path.stat().st_size for path in written)
    text = written[-1].read_text()
    assert "few images, seed 1. 2 directions, 3 distances along each, 16 images of each split at most" in text and text.count("| srdl | test |") == 4
    assert "--table fig4 --dataset cifar100 --network resnet32" in text and "--fig4.seed 1 --fig4.images 16 --fig4.points 3 --fig4.directions 2`" in text
    with open(tmp_path / "out/fig4-filter.csv") as file:
        rows = list(csv.DictReader(file))
    assert {(row["network"], row["split"]) for row in rows} == {(arm, split) for arm in PLAN.arms for split in ("train", "test")} and len(rows) == 4 * 3


def test_networks_that_are_gone_are_said(runs, tmp_path):
    shutil.rmtree(runs / "cifar/srdl-s1")
    with pytest.raises(UserError, match="no seed with the runs of vanilla and srdl: they are not made, or recorded and gone"):
        flatness_figure.write([(None, PLAN)], runs, tmp_path / "out", **FEW)
    with pytest.raises(UserError, match="no seed 0 with the runs"):
        flatness_figure.write([(None, PLAN)], runs, tmp_path / "out", seed=0, **FEW)
    assert not (tmp_path / "out").exists()
