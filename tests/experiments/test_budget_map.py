import dataclasses

import pytest

from reid_srdl.experiments import budget_map
from reid_srdl.experiments.study import Cell, Study

STUDY = Study("s", "T", "", "cifar100", {arm: {} for arm in ("vanilla", "label_smoothing", "srdl")}, {"default": 2}, "vanilla", ())


def part(epochs, images, srdl, vanilla=(0.5, 0.6), smoothing=()):
    found = {}
    for arm, values in (("srdl", srdl), ("vanilla", vanilla), ("label_smoothing", smoothing)):
        for seed, value in enumerate(values):
            found[Cell(arm, seed, None, False)] = {"scores": {"top1": value}, "images": images}
    return dataclasses.replace(STUDY, settings={"plan.epochs": epochs}), found


def test_each_cell_has_the_paired_gains_that_can_be_told():
    cells = budget_map.cells([part(60, 5000, (0.52, 0.64)), part(20, 5000, (0.4, 0.5), smoothing=(0.41,)), part(20, 500, ())])
    assert [(cell.images, cell.epochs) for cell in cells] == [(5000, 20), (5000, 60)]
    assert cells[1].differences["srdl", "vanilla"].mean == pytest.approx(0.03)
    assert cells[0].differences["srdl", "label_smoothing"].n == 1 and ("srdl", "label_smoothing") not in cells[1].differences
    assert "| 5,000 | 60 | 2 | +3.0 [" in budget_map.markdown(cells)
    assert "5000,60,top1,srdl,vanilla,2,3.000," in budget_map.as_csv(cells)
    assert budget_map.picture(cells).startswith(b"\x89PNG")
