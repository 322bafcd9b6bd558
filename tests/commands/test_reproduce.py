import csv
import io

import pytest

from reid_srdl import config as configuration
from reid_srdl.commands import reproduce, trial
from reid_srdl.errors import UserError
from reid_srdl.experiments import records, runner, tables


def fake(monkeypatch, ran):
    """Runs that take no time: their score follows from arm and seed."""

    def run_cell(plan, cell, place, children):
        ran.append((plan.name, cell.name))
        assert place.extra[place.extra.index("--precision") + 1] in ("fp32", "bf16"), "arms that are compared share it"
        if len(ran) > getattr(fake, "breaks_after", 99):
            raise UserError("the run broke off", "Look at its log.")
        return {
            "scores": {"top1": 0.5 + 0.02 * (cell.arm == "srdl") + 0.01 * cell.seed, "top5": 0.9}, "multi": None, "best": None, "cross_entropy": 0.1, "macs": 10**12,
            "stages": [{"seconds": 60.0}], "images": 5000, "identities": 100, "kind": "classes", "hardware": {"processor": "P"}, "threads": 1, "precision": "fp32",
            "versions": {"torch": "2"}, "date": "2026-01-01",
        }  # fmt: skip

    monkeypatch.setattr(runner, "run_cell", run_cell)


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


SMALL = ["--table", "1", "--dataset", "cifar100", "--network", "resnet32", "--seeds", "2", "--epochs", "4", "--train_per_class", "50"]


def test_a_table_is_run_and_written_and_run_no_second_time(tmp_path, monkeypatch, capsys):
    ran = []
    fake(monkeypatch, ran)
    assert reproduce.run([*SMALL, "--output", str(tmp_path)]) == 0
    assert [name for _, name in ran] == ["vanilla-s0", "srdl-s0", "vanilla-s1", "srdl-s1"]
    page = (tmp_path / "table1.md").read_text()
    assert "| srdl | 2 | 52.5 ± 0.7 (52.0, 53.0) | 90.0" in page and "| srdl − vanilla | 2 | +2.0 [+2.0, +2.0] |" in page and "71.63" in page
    assert {row["arm"] for row in rows_of(tmp_path / "table1.csv")} == {"vanilla", "srdl"}
    assert (tmp_path / "table1.png").read_bytes().startswith(b"\x89PNG")
    assert "table1.md" in capsys.readouterr().out
    # Another table of the same row finds two of its three arms finished.
    assert reproduce.run(["--table", "4", *SMALL[6:], "--output", str(tmp_path)]) == 0
    assert [name for _, name in ran[4:]] == ["stage_incomplete-s0", "stage_incomplete-s1"]


def test_members_of_another_tables_ensemble_are_no_seeds_of_their_arm(tmp_path, monkeypatch):
    fake(monkeypatch, [])
    for words in (["6", "--seeds", "3"], ["controls", "--seeds", "2", "--arms", "vanilla,half"]):
        assert reproduce.run(["--table", *words, *SMALL[8:], "--output", str(tmp_path)]) == 0
    rows = {row["arm"]: row for row in rows_of(tmp_path / "controls.csv") if row["score"] == "top1"}
    assert (rows["half"]["n"], rows["half"]["pairs"], rows["half"]["mean"]) == ("3", "3", rows["vanilla"]["mean"])


def test_finished_runs_of_another_precision_are_not_taken_for_those_that_are_asked_for(tmp_path, monkeypatch):
    fake(monkeypatch, [])
    assert reproduce.run([*SMALL, "--output", str(tmp_path)]) == 0
    for more in ([], ["--dry_run"]):
        with pytest.raises(UserError, match="are in fp32"):
            reproduce.run([*SMALL, *more, "--precision", "bf16", "--output", str(tmp_path)])
    assert reproduce.run([*SMALL, "--precision", "fp32", "--dry_run", "--output", str(tmp_path)]) == 0


def test_a_table_that_broke_off_keeps_what_is_finished_and_goes_on(tmp_path, monkeypatch):
    ran = []
    fake(monkeypatch, ran)
    monkeypatch.setattr(fake, "breaks_after", 2, raising=False)
    with pytest.raises(UserError, match="goes on from there"):
        reproduce.run([*SMALL, "--output", str(tmp_path)])
    assert len(records.read(tmp_path / "records" / "cifar100-resnet32-e4-n50.json")) == 2
    monkeypatch.setattr(fake, "breaks_after", 99)
    ran.clear()
    assert reproduce.run([*SMALL, "--output", str(tmp_path)]) == 0
    assert [name for _, name in ran] == ["vanilla-s1", "srdl-s1"]


def test_the_map_has_a_cell_a_budget_and_size(tmp_path, monkeypatch):
    fake(monkeypatch, [])
    assert reproduce.run(["--table", "map", "--seeds", "2", "--epochs", "4,8", "--train_per_class", "5", "--output", str(tmp_path)]) == 0
    assert "| 5,000 | 4 | 2 | +2.0 [+2.0, +2.0] | +2.0" in (tmp_path / "map.md").read_text()
    assert len(rows_of(tmp_path / "map.csv")) == 4


def test_what_needs_no_run(tmp_path):
    assert reproduce.run(["--table", "fig3", "--output", str(tmp_path)]) == 0
    rows = rows_of(tmp_path / "fig3.csv")
    drops = [int(one["epoch"]) for before, one in zip(rows, rows[1:], strict=False) if before["arm"] == one["arm"] == "srdl" and float(one["rate"]) < float(before["rate"])]
    assert drops == [50, 75, 150, 175]
    assert reproduce.run(["--table", "cost", "--dataset", "cifar10", "--output", str(tmp_path)]) == 0
    rows = {(row["study"], row["arm"]): row for row in rows_of(tmp_path / "cost.csv")}
    one = rows["cifar10-resnet32-e200", "srdl"]
    assert int(one["training"]) == 68_862_592 * 200 * 50_000 and int(one["extraction"]) == 68_862_592 * 50_000


def test_a_dry_run_names_the_runs_with_their_cost(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trial, "images_per_s", lambda config: 500.0)
    assert reproduce.run([*SMALL, "--dry_run", "true", "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    # 5,000 images x 4 epochs at 500 a second.
    assert "vanilla-s0" in out and "4 runs" in out and not list(tmp_path.iterdir())
    assert "│            1 │" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [("--fig4.points=1", "points is 1. It must not be below 2"), ("--fig4.images=0", "images is 0. It must be above 0"), ("--fig4.seed=2", "--fig4.seed is 2, .* Name one below 2"), ("--fig4.seed=-1", "--fig4.seed is -1")],
)
def test_what_a_figure_cannot_be_measured_by_is_refused_before_its_runs(tmp_path, monkeypatch, words, says):
    monkeypatch.setattr(runner, "carry_out", lambda *asked, **how: pytest.fail("its runs were begun"))
    with pytest.raises(UserError, match=says):
        reproduce.run(["--table", "fig4", "--dataset", "cifar100", "--network", "resnet32", "--seeds", "2", words, "--output", str(tmp_path)])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--table", "7"], "no table"), (["--table", "3", "--dataset", "cifar10"], "has no data set"), (["--epochs", "many"], "no list of numbers"),
        (["--epochs", "²"], "no list of numbers"), (["--arms", "srdl:²"], "does not say how many seeds"), (["--arms", "srdl:0"], "does not say how many seeds"),
        (["--arms", "vanilla,srdl,vanilla:2"], "arm vanilla is named twice"), (["--epochs", "9" * 5000], "no list of numbers"), (["--seeds", "0"], "above 0"), (["--tabel", "1"], "table"),
    ],
)  # fmt: skip
def test_bad_input(argv, says):
    with pytest.raises(UserError, match=says):
        reproduce.run(argv)


def test_every_table_that_the_help_speaks_of_is_there():
    words = reproduce.ReproduceOptions.__doc__
    assert all(name in words for name in tables.names() if not name.isdigit())
    assert configuration.parse(reproduce.ReproduceOptions, [], prog="reproduce").seeds == tables.SEEDS == 5
