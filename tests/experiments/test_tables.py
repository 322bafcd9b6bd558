import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError
from reid_srdl.experiments import study, tables
from reid_srdl.experiments.study import Cell
from reid_srdl.experiments.tables import Asked
from reid_srdl.training import plans


@pytest.mark.parametrize("name", tables.names())
def test_every_row_of_every_table_is_a_plan_for_each_arm(name):
    table = tables.read(name)
    rows = tables.studies(table)
    assert len(rows) == len(table.rows) * max(1, len(table.epochs)) * max(1, len(table.train_per_class))
    for row, one in rows:
        for arm in one.arms:
            config = configuration.parse(Config, study.flags(one, Cell(arm, 0, None, False)), recipes=True)
            stages = plans.build(config)
            assert config.dataset == row.dataset and config.model.backbone == row.network
            assert sum(stage.epochs for stage in stages if stage.name != "teacher") <= config.plan.epochs
        assert set(table.arms) <= {*one.arms, *one.ensembles}


def test_the_papers_budgets_are_those_of_the_recipes():
    budgets = {(row.dataset, row.network): one.name.rpartition("-e")[2] for row, one in tables.studies(tables.read("1"))}
    assert budgets["cifar100", "resnet32"] == "200" and budgets["cifar10", "densenet_bc_190_40"] == "300" and budgets["tiny-imagenet", "wrn_28_10"] == "150"
    assert budgets["tiny-imagenet", "densenet_bc_190_40"] == "150" and budgets["cifar100", "densenet_bc_190_40"] == "300"


@pytest.mark.parametrize("more", [{"train_per_class": [5, 10]}, {"epochs": [4, 8]}])
def test_lists_are_for_grids(more):
    with pytest.raises(UserError, match="table 4 has one"):
        tables.studies(tables.read("4"), Asked(**more))


def test_people_have_no_images_of_a_class():
    with pytest.raises(UserError, match="market1501 has people"):
        tables.studies(tables.read("3"), Asked(train_per_class=[5]))


def test_runs_that_two_tables_speak_of_are_the_same():
    asked = Asked(datasets=["cifar100"], networks=["resnet32"])
    (_, one), (_, four) = (tables.studies(tables.read(name), asked)[0] for name in ("1", "4"))
    assert one.name == four.name and one.arms["srdl"] == four.arms["srdl"] and one.settings == four.settings


def test_what_is_asked_for():
    ((row, one),) = tables.studies(
        tables.read("2"), Asked(arms=["vanilla", "kd_resnet110:1"], seeds=3, epochs=[60], train_per_class=[50], flags={"precision": "bf16"})
    )
    assert row.paper == {"vanilla": 69.02, "srdl": 71.63}
    assert one.name == "cifar100-resnet32-e60-n50" and one.seeds_of("vanilla") == 3 and one.seeds_of("kd_resnet110") == 1
    config = configuration.parse(Config, study.flags(one, Cell("kd_resnet110", 2, None, False)), recipes=True)
    assert (config.plan.epochs, config.data.train_per_class, config.precision, config.seed) == (60, 50, "bf16", 2)
    assert (config.log.eval_every, config.log.eval_split) == (6, "test")
    assert one.compare == (("kd_resnet110", "vanilla"),)


def test_the_arm_that_stops_early_holds_a_tenth_of_each_class_out():
    ((_, one),) = tables.studies(tables.read("controls"), Asked(arms=["vanilla", "early_stopped"], train_per_class=[50]))
    config = configuration.parse(Config, study.flags(one, Cell("early_stopped", 0, None, False)), recipes=True)
    assert config.data.holdout_per_class == 5 and config.log.eval_split == "val"
    assert config.data.train_per_class == 45, "of the 50 images that the other arms train on"
    assert plans.build(config)[0].keep == "best"


def test_an_ensemble_trains_its_members_and_waits_for_them():
    ((_, one),) = tables.studies(tables.read("6"), Asked(seeds=1, epochs=[4]))
    cells = study.pending(one, {})
    assert {(cell.arm, cell.seed) for cell in cells} == {("vanilla", 0), ("srdl", 0), ("half", 0), ("half", 1000)}
    found = {cell: {} for cell in cells}
    assert [cell.arm for cell in study.pending(one, found)] == ["ensemble_srdl", "ensemble_half"]
    only = study.pending(one, {}, ["ensemble_half"])
    assert {(cell.arm, cell.seed) for cell in only} == {("half", 0), ("half", 1000)}


@pytest.mark.parametrize(
    ("table", "asked", "says"),
    [
        ("2", Asked(datasets=["imagenet"]), "table 2 of the paper has no data set 'imagenet'"),
        ("1", Asked(networks=["resnet18"]), "no network 'resnet18'"),
        ("1", Asked(arms=["magic"]), "there is no arm 'magic'"),
        ("1", Asked(arms=["srdl:many"]), "how many seeds"),
        ("1", Asked(epochs=[10, 20]), "one budget"),
    ],
)
def test_what_a_table_does_not_have(table, asked, says):
    with pytest.raises(UserError, match=says):
        tables.studies(tables.read(table), asked)


def test_an_unknown_table():
    with pytest.raises(UserError, match="there is no table '7'"):
        tables.read("7")


def test_only_the_whole_budget_is_the_papers():
    ((row, whole),) = tables.studies(tables.read("1"), Asked(datasets=["cifar100"], networks=["densenet_bc_190_40"]))
    assert tables.has_the_papers_budget(row, whole) and whole.name.endswith("-e300")
    for fewer in ({"epochs": [200]}, {"train_per_class": [50]}):
        ((row, small),) = tables.studies(tables.read("1"), Asked(datasets=["cifar100"], networks=["densenet_bc_190_40"], **fewer))
        assert not tables.has_the_papers_budget(row, small)


def test_the_words_of_a_study_ask_for_that_study():
    asked = Asked(datasets=["cifar100"], networks=["resnet32"], arms=["srdl", "kd_resnet110:1", "ensemble_half"], seeds=2, epochs=[60], train_per_class=[50], flags={"precision": "bf16", "model.weights": "w.pth"})
    ((_, one),) = tables.studies(tables.read("2"), asked)
    words = dict(zip(tables.words(one)[::2], tables.words(one)[1::2], strict=True))
    options = {"datasets": [words["--dataset"]], "networks": [words["--network"]], "seeds": int(words["--seeds"]), "flags": {"precision": words["--precision"], "model.weights": words["--weights"]}}
    sizes = {"epochs": [int(words["--epochs"])], "train_per_class": [int(words["--train_per_class"])]}
    ((_, again),) = tables.studies(tables.read(words["--table"]), Asked(arms=words["--arms"].split(","), **options, **sizes))
    assert again.settings == one.settings and again.arms == one.arms and again.seeds == one.seeds and again.ensembles == one.ensembles and again.baseline == one.baseline


def test_weights_that_are_the_networks_own_are_not_asked_for():
    for row, one in tables.studies(tables.read("imagenet")):
        assert "--weights" not in tables.words(one), row
