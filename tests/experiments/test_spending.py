import csv

import pytest

from reid_srdl.errors import UserError
from reid_srdl.experiments import results, spending, tables
from reid_srdl.experiments.tables import Asked

CIFAR = Asked(datasets=["cifar10"])


@pytest.fixture(scope="module")
def seen():
    return spending.of_tables(CIFAR)


def test_srdl_costs_one_clean_pass_more_than_vanilla(seen):
    study = next(name for name, arm in seen if "resnet32" in name)
    vanilla, srdl = seen[study, "vanilla"], seen[study, "srdl"]
    # 68.9 million MACs x 50,000 images x 200 epochs, and one pass more.
    assert vanilla.cost.total == pytest.approx(68.9e6 * 50_000 * 200, rel=1e-3) and vanilla.images == 50_000
    assert srdl.cost.total / vanilla.cost.total == pytest.approx(1 + 1 / 200)


@pytest.mark.parametrize(("per_class", "images"), [(None, 45_000), ([50], 4_500)])
def test_images_that_an_arm_holds_out_are_not_trained_on(per_class, images):
    rows = tables.studies(tables.read("controls"), Asked(datasets=["cifar100"], arms=["vanilla", "early_stopped"], train_per_class=per_class))
    assert [one.images for one in spending.spent(rows)] == [round(images / 0.9), images]


def test_only_what_is_asked_for_and_that_which_there_is():
    assert {study.partition("-")[0] for study, _ in spending.of_tables(Asked(datasets=["market1501"]))} == {"market1501"}
    for asked, words in ((Asked(datasets=["nonsense"]), "no data set 'nonsense'"), (Asked(networks=["resnet32"]), "all networks")):
        with pytest.raises(UserError, match=words):
            spending.of_tables(asked)


def test_the_table_names_every_arm_and_the_share_of_a_teacher(seen):
    about, missing, table = spending.section(seen)
    assert "convention" in about and "not repeated" in missing
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert len(rows) == len(seen) and {"vanilla", "srdl"} <= {row[1] for row in rows}
    assert all(row[-1].rstrip(" |") == "1.0000" for row in rows if row[1] == "vanilla")


def test_it_stands_on_the_page_of_results_and_in_files(seen, tmp_path, monkeypatch):
    assert f"## {spending.TITLE}" in results.page(tmp_path, [], seen) and spending.TITLE not in results.page(tmp_path, [])
    monkeypatch.setattr(spending, "of_tables", lambda asked: seen)
    _, path = spending.write_costs(CIFAR, tmp_path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == len(seen) and all(int(row["total"]) == int(row["training"]) + int(row["extraction"]) + int(row["teacher"]) for row in rows)
