from pathlib import Path

import pytest

from reid_srdl.errors import UserError
from reid_srdl.experiments import records, results, study, tables
from reid_srdl.experiments.study import Cell, Study, Tuning
from reid_srdl.experiments.tables import Asked


def record(rank1, mean):
    return {
        "scores": {"rank1": rank1, "mAP": mean}, "multi": None, "cross_entropy": 0.5, "stages": [{"seconds": 120.0}], "images": 10, "identities": 5,
        "hardware": {"processor": "P"}, "threads": 1, "precision": "fp32", "versions": {"torch": "2"}, "date": "2026-01-01",
    }  # fmt: skip


def test_the_page_shows_every_arm_with_its_spread_and_the_paired_difference(tmp_path):
    file = tmp_path / "market1501_osnet_x0_25.json"
    for seed, (one, other) in enumerate([(0.70, 0.66), (0.72, 0.66), (0.74, 0.69)]):
        records.add(file, Cell("vanilla", seed, None, False), record(one, 0.4))
        records.add(file, Cell("srdl", seed, None, False), record(other, 0.3))
    page = results.page(tmp_path, ["market1501_osnet_x0_25"])
    assert "| vanilla | 3 | 72.0 ± 2.0 (70.0, 72.0, 74.0) |" in page
    # Differences of -4, -6, -5: mean -5, SD 1, t(0.975, 2) = 4.303, so -5 ± 4.303 / sqrt(3).
    assert "| srdl − vanilla | 3 | -5.0 [-7.5, -2.5] |" in page
    assert "Not finished" in page  # label_smoothing and half


def test_a_single_seed_gets_no_interval(tmp_path):
    file = tmp_path / "market1501_osnet_x0_25.json"
    records.add(file, Cell("vanilla", 0, None, False), record(0.7, 0.4))
    records.add(file, Cell("srdl", 0, None, False), record(0.6, 0.4))
    page = results.page(tmp_path, ["market1501_osnet_x0_25"])
    assert "| srdl − vanilla | 1 | -10.0 | +0.0 |" in page and "One seed" in page


def test_of_several_machines_it_is_told_which_arms_ran_where(tmp_path):
    file = tmp_path / "market1501_osnet_x0_25.json"

    def page(*ran):
        for arm, seed, processor in ran:
            records.add(file, Cell(arm, seed, None, False), {**record(0.7, 0.4), "hardware": {"processor": processor}})
        return results.page(tmp_path, [file.stem])

    assert "Machine: P, 1 thread, fp32. torch 2." in page(("vanilla", 0, "P"), ("vanilla", 1, "P"), ("srdl", 1, "P"))
    assert "Machine: P, 1 thread, fp32 (srdl of seed 1, vanilla); Q, 1 thread, fp32 (half, srdl of seeds 0, 2). torch 2." in page(("srdl", 2, "Q"), ("srdl", 0, "Q"), ("half", 0, "Q"))


def test_the_command_of_a_tuned_arm_has_the_rate_that_was_chosen():
    plan = Study("s", "t", "a", "synthetic", {"a": {}}, {"default": 1}, "a", (), Tuning("optimiser.rate", (0.1, 0.2), 10))
    scored = {Cell("a", 0, value, False): {**record(0.5, 0.5), "command": ["train"]} for value in (0.1, 0.2)}
    tries = {Cell("a", 0, value, True): record(0.5, mean) for value, mean in ((0.1, 0.3), (0.2, 0.4), (0.4, 0.3))}
    page = "\n".join(results._study(plan, scored | tries, "s"))
    assert "--optimiser.rate 0.2" in page and "--optimiser.rate 0.1" not in page


def test_the_commands_of_arms_that_share_a_plan_and_seed_can_be_run_one_after_the_other():
    arms = {"a": {"plan.name": "vanilla"}, "b": {"plan.name": "vanilla", "loss.label_smoothing": 0.1}}
    plan = Study("s", "t", "a", "synthetic", arms, {"default": 1}, "a", ())
    scored = {Cell(arm, 0, None, False): {**record(0.5, 0.5), "command": ["train"]} for arm in arms}
    lines = [line for line in results._study(plan, scored, "s")[-1].splitlines() if "train.py" in line]
    assert [line.partition("--output ")[2] for line in lines] == ["runs/s-a-s0", "runs/s-b-s0"]


def test_rows_of_the_papers_tables_are_on_the_page_and_what_is_missing_is_said(tmp_path):
    ((_, small),) = tables.studies(tables.read("1"), Asked(datasets=["cifar100"], networks=["resnet32"], seeds=1, epochs=[4], train_per_class=[50]))
    ((_, whole),) = tables.studies(tables.read("1"), Asked(datasets=["cifar100"], networks=["resnet32"], seeds=1))
    one = {**record(0, 0), "scores": {"top1": 0.4, "top5": 0.7}, "kind": "classes"}
    for plan in (small, whole):
        records.describe(tmp_path / f"{plan.name}.json", plan)
    records.add(tmp_path / f"{small.name}.json", Cell("vanilla", 0, None, False), one)
    page = results.page(tmp_path, [], {})
    assert "neither confirmed nor refuted" in page and "### cifar100, resnet32, 4 epochs, 50 training images of each class" in page
    assert "| vanilla | 1 | 40.0 | 70.0 |" in page and "cross-entropy for all epochs" in page
    for arm in ("vanilla", "srdl"):
        records.add(tmp_path / f"{whole.name}.json", Cell(arm, 0, None, False), one)
    assert "neither confirmed" not in results.page(tmp_path, [], {})


def test_the_command_of_a_row_names_the_folder_of_its_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ((_, plan),) = tables.studies(tables.read("1"), Asked(datasets=["cifar100"], networks=["resnet32"], seeds=1))
    for name, words in (("r4", "r4"), ("of mine/r4", "'of mine/r4'")):
        records.describe(Path(name) / f"{plan.name}.json", plan)
        assert f" --records {words}`" in results.page(Path(name), [])


def test_rows_stand_in_the_order_of_their_budgets(tmp_path):
    for _, plan in tables.studies(tables.read("map"), Asked(datasets=["cifar100"], networks=["resnet32"], seeds=1, epochs=[120, 20, 60], train_per_class=[50])):
        records.describe(tmp_path / f"{plan.name}.json", plan)
    page = results.page(tmp_path, [])
    places = [page.index(f"### cifar100, resnet32, {epochs} epochs") for epochs in (20, 60, 120)]
    assert places == sorted(places)


def test_a_study_in_a_file_stands_on_its_page(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "{title: My question, about: Mine., recipe: synthetic, arms: {a: {plan.name: vanilla}}, seeds: {default: 1}, baseline: a, compare: []}"
    )
    own = str(tmp_path / "mine.yaml")
    page = results.page(tmp_path, [own])
    assert "## My question" in page and f"Command: `python tools/study.py {own} --records {tmp_path}`" in page
    assert not any(words in page for words in ("Published systems", "The paper's own budget", "What training costs"))
    assert all(words in results.page(tmp_path, [own], {}) for words in ("The paper's own budget", "What training costs"))


def test_a_study_that_is_named_in_two_ways_stands_there_once(tmp_path):
    file = study.studies_folder() / "market1501_osnet_x0_25.yaml"
    page = results.page(tmp_path, [file.stem, str(file)])
    assert page.count(f"## {study.read(file.stem).title}") == 1


def test_records_of_another_study_under_its_name_are_refused(tmp_path):
    words = ["train", "--config", "market1501_osnet_x0_25_cpu", "--seed", "0", "--plan.name", "vanilla", "--plan.epochs", "3"]
    records.add(tmp_path / "market1501_osnet_x0_25.json", Cell("vanilla", 0, None, False), {**record(0.7, 0.4), "command": words})
    with pytest.raises(UserError, match="by other settings than market1501_osnet_x0_25 has now: plan.epochs"):
        results.page(tmp_path, ["market1501_osnet_x0_25"])


def test_fig_4_is_on_the_page_where_it_was_drawn(tmp_path):
    assert "Flatness" not in results.page(tmp_path, [])
    (tmp_path / "fig4-flatness.md").write_text("# Flatness of the minima\n\nHow.\n")
    (tmp_path / "fig4-unit.png").touch()
    assert f"## Flatness of the minima\n\nHow.\n\n![unit]({tmp_path.name}/fig4-unit.png)" in results.page(tmp_path, [])
    for place, link in (("page.md", "fig4-unit.png"), ("docs/page.md", "../fig4-unit.png")):
        assert f"![unit]({link})" in results.page(tmp_path, [], place=tmp_path / place)
