"""What is carried on from measured sizes to others, and the page that it stands on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.scaling import GALLERIES, MARKS, STEPS, Found, at, gallery, measure, power, table, written_into
from reid_srdl.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "benchmarks/records/scaling.json"


def test_what_grows_by_its_law_is_carried_on_to_the_digit():
    sizes = [1000, 2000, 4000]
    for law, constant, slope in ((1, 5.0, 0.25), (1, 0.0, 3.0), (2, 7.0, 1e-3)):
        values = [constant + slope * size**law for size in sizes]
        assert at(10**6, sizes, values, law) == pytest.approx(constant + slope * 10 ** (6 * law), rel=1e-6)
    assert at(10**8, sizes, [3.0, 5.0, 4.0], 0) == 5.0
    assert at(10**8, sizes, [2.0 * size**1.3 for size in sizes], None) == pytest.approx(2.0 * 10 ** (8 * 1.3), rel=1e-6)
    assert power(sizes, [2.0 * size**1.5 for size in sizes]) == pytest.approx(1.5)


def test_what_falls_by_chance_is_not_carried_below_what_was_measured():
    """A constant below 0 would come out of noise."""
    assert at(4000, [1000, 2000, 4000], [0.9, 2.1, 4.0], 1) > 3.9


def test_a_gallery_is_of_people_who_are_near_themselves():
    one = gallery(400)
    same = one.labels[:, None] == one.labels[None]
    distances = ((one.vectors[:, None] - one.vectors[None]) ** 2).sum(axis=2)
    np.fill_diagonal(same, False)
    assert same.any() and distances[same].max() < distances[~same & ~np.eye(400, dtype=bool)].min()


def test_times_are_written_without_powers_of_ten():
    assert [scaling._seconds(value) for value in (0.25, 9.6, 119, 121, 7100)] == ["0.25 s", "9.6 s", "119 s", "2 min", "118 min"]


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_each_step_does_its_work(name, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "TRAINED_ON", 300)
    task, stored = STEPS[name].work(tmp_path, 64 if name == "embed" else 600)
    task()
    if name == "embed":
        assert stored() > 64 * scaling.DIMENSION * 4
    elif name == "index_flat":
        assert 600 * scaling.DIMENSION * 4 < stored() < 2 * 600 * scaling.DIMENSION * 4
    else:
        assert (stored() > 0) is name.startswith("index")


def test_a_measurement_is_of_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(scaling, "alone", lambda function, *arguments: (0.5 * arguments[1], 100 * arguments[1], 0))
    assert measure("rank", 1) == Found([20_000, 40_000, 80_000], [1e4, 2e4, 4e4], [2_000_000, 4_000_000, 8_000_000], [0, 0, 0])


def test_the_page_has_the_table_of_the_record():
    """Whoever measures again writes the page again: python -m benchmarks.scaling --page docs/scale.md."""
    record, page = json.loads(RECORD.read_text()), (ROOT / "docs/scale.md").read_text()
    assert written_into(page, record) == page
    lines = table(record["scaling"]["settings"]["measured"]).splitlines()
    assert len(lines) == 2 + len(STEPS) and all(line.count("|") == lines[0].count("|") == 4 + len(GALLERIES) for line in lines)
    with pytest.raises(UserError, match="no marks"):
        written_into("a page", record)
    assert written_into(f"a{MARKS[0]}old{MARKS[1]}b", record).startswith(f"a{MARKS[0]}\n\n| step |")
