import dataclasses
import time

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError
from reid_srdl.experiments import study
from reid_srdl.experiments.study import Cell, Study, Tuning
from reid_srdl.training import plans

PLAN = Study(
    "s", "t", "a", "synthetic", {"a": {"plan.name": "vanilla"}, "b": {"plan.name": "srdl", "reference.shuffle": True}}, {"default": 2, "b": 1}, "a", (("b", "a"),),
    Tuning("optimiser.rate", (0.1, 0.2, 0.4), 10),
)  # fmt: skip


def tried(arm, value, score):
    return {Cell(arm, 0, value, True): {"scores": {"mAP": score}}}


def test_every_installed_study_is_whole_and_its_runs_can_be_planned():
    assert study.names()
    for name in study.names():
        plan = study.read(name)
        assert configuration.recipe(plan.recipe)
        for cell in study.pending(plan, {}):
            assert plans.build(configuration.parse(Config, study.flags(plan, cell), recipes=True))


def test_first_the_tries_alternating_between_arms():
    assert [(cell.arm, cell.value) for cell in study.pending(PLAN, {})] == [("a", 0.1), ("b", 0.1), ("a", 0.2), ("b", 0.2), ("a", 0.4), ("b", 0.4)]


def test_an_arm_runs_over_its_seeds_at_its_best_value():
    found = {**tried("a", 0.1, 0.3), **tried("a", 0.2, 0.5), **tried("a", 0.4, 0.4)}
    cells = [cell for cell in study.pending(PLAN, found) if cell.arm == "a"]
    assert cells == [Cell("a", 0, 0.2, False), Cell("a", 1, 0.2, False)]
    found[cells[0]] = {"scores": {"mAP": 0.1}}
    assert [cell for cell in study.pending(PLAN, found) if cell.arm == "a"] == cells[1:]


def test_only_some_seeds_may_be_asked_for_and_tries_are_as_ever():
    assert study.pending(PLAN, {}, seeds={1}) == study.pending(PLAN, {})
    found = {**tried("a", 0.1, 0.3), **tried("a", 0.2, 0.5), **tried("a", 0.4, 0.4)}
    assert study.pending(PLAN, found, ["a"], {1}) == [Cell("a", 1, 0.2, False)]
    joined = dataclasses.replace(PLAN, tune=None, ensembles={"pair": ("a", "a+1")})
    cells = study.pending(joined, {}, ["pair"], {1})
    assert [(cell.arm, cell.seed) for cell in cells] == [("a", 1), ("a", 2)]
    assert study.pending(joined, dict.fromkeys(cells, {}), ["pair"], {1}) == [Cell("pair", 1, None, False)]


def test_a_best_value_at_an_end_is_looked_beyond():
    found = {**tried("a", 0.1, 0.5), **tried("a", 0.2, 0.4), **tried("a", 0.4, 0.3)}
    assert study.pending_tries(PLAN, "a", found) == [Cell("a", 0, 0.05, True)]
    assert study.best_value(PLAN, "a", found) is None
    found.update(tried("a", 0.05, 0.6))
    assert study.pending_tries(PLAN, "a", found) == [Cell("a", 0, 0.025, True)]
    found.update(tried("a", 0.025, 0.7))
    assert study.pending_tries(PLAN, "a", found) == [] and study.best_value(PLAN, "a", found) == 0.025
    upwards = {**tried("b", 0.1, 0.1), **tried("b", 0.2, 0.2), **tried("b", 0.4, 0.3)}
    assert study.pending_tries(PLAN, "b", upwards) == [Cell("b", 0, 0.8, True)]


def test_flags_say_all_in_which_a_run_differs():
    words = study.flags(PLAN, Cell("b", 3, 0.2, True))
    config = configuration.parse(Config, words, recipes=True)
    assert (config.seed, config.optimiser.rate, config.data.holdout_identities) == (3, 0.2, 10)
    assert config.plan.name == "srdl" and config.reference.shuffle
    assert "--data.holdout_identities" not in study.flags(PLAN, Cell("b", 3, 0.2, False))


def test_what_a_recipe_limits_a_study_may_leave_whole():
    whole = dataclasses.replace(PLAN, settings={"data.train_identities": None})
    words = study.flags(whole, Cell("b", 0, 0.2, False))
    config = configuration.parse(Config, [*words, "--config", "market1501_mobilenet_v2_cpu"], recipes=True)
    assert config.data.train_identities is None and configuration.recipe("market1501_mobilenet_v2_cpu").read_text().count("train_identities: 100") == 1


def test_a_study_that_is_not_there_or_not_whole(tmp_path):
    with pytest.raises(UserError, match="There are: "):
        study.read("nothing")
    (tmp_path / "bad.yaml").write_text("title: x\n")
    with pytest.raises(UserError, match="not whole"):
        study.read(str(tmp_path / "bad.yaml"))


@pytest.mark.parametrize(("arms", "seeds", "words"), [("{a: , b: {}}", "{default: 1}", "arm a has no flags"), ("{a: {}, b: {}}", "{a: 1}", "nothing of b")])
def test_a_study_that_leaves_something_out_is_told_what(tmp_path, arms, seeds, words):
    (tmp_path / "bad.yaml").write_text(f"{{title: t, about: a, recipe: synthetic, arms: {arms}, seeds: {seeds}, baseline: a, compare: []}}")
    with pytest.raises(UserError, match=words):
        study.read(str(tmp_path / "bad.yaml"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("settings:", "settings is None, and not names with values"),
        ("settings: [a]", "settings is .'a'., and not names with values"),
        ("about:", "about is None, and not text"),
        ("recipe:", "recipe is None, and not text"),
        ("seeds: [1]", "seeds is .1., and not names with values"),
        ("tune: {key: optimiser.rate, values: [], holdout_identities: 5}", "tune.values is empty"),
        ("tune: {key: optimiser.rate, values: [0.1], holdout_identities: many}", "tune.holdout_identities is 'many', and not a whole number"),
        ("ensembles: {both: []}", "ensembles.both is empty"),
        ("ensembles: {both: [a, both]}", "it speaks of both, which are no arms"),
        ("settings: " + "[" * 2000, "recursion"),
    ],
)
def test_a_study_whose_values_are_of_another_kind_is_told_which(tmp_path, lines, words):
    whole = {"title": "t", "about": "a", "recipe": "synthetic", "arms": "{a: {}}", "seeds": "{default: 1}", "baseline": "a", "compare": "[]"}
    name = lines.partition(":")[0]
    (tmp_path / "bad.yaml").write_text("\n".join([*(f"{key}: {value}" for key, value in whole.items() if key != name), lines]))
    with pytest.raises(UserError, match=f"is not whole: .*{words}"):
        study.read(str(tmp_path / "bad.yaml"))


def test_every_arm_may_have_seeds_of_its_own_and_rates_may_be_written_in_any_way(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "{title: t, about: a, recipe: synthetic, arms: {a: {plan.name: vanilla}, b: {plan.name: srdl}}, seeds: {a: 2, b: 1}, baseline: a, compare: [[b, a]],"
        " tune: {key: optimiser.rate, values: [1e-3, 2e-3], holdout_identities: 5}}"
    )
    plan = study.read(str(path))
    assert (plan.seeds_of("a"), plan.seeds_of("b")) == (2, 1)
    assert plan.tune.values == (0.001, 0.002) and study.pending(plan, {})[0].name == "a-0.001-s0-tune"
    path.write_text(path.read_text().replace("1e-3, 2e-3", "fast"))
    with pytest.raises(UserError, match="is not whole"):
        study.read(str(path))


def test_tries_of_another_seed_or_of_values_that_were_taken_out_do_not_count():
    found = {**tried("a", 0.1, 0.3), **tried("a", 0.2, 0.5), **tried("a", 0.4, 0.4)}
    other_seed = dataclasses.replace(PLAN, tune=dataclasses.replace(PLAN.tune, seed=7))
    assert [(cell.seed, cell.value) for cell in study.pending_tries(other_seed, "a", found)] == [(7, 0.1), (7, 0.2), (7, 0.4)]
    without = dataclasses.replace(PLAN, tune=dataclasses.replace(PLAN.tune, values=(0.1, 0.4, 0.8)))
    assert [cell.value for cell in study.pending_tries(without, "a", found)] == [0.8]
    assert study.best_value(without, "a", {**found, **tried("a", 0.8, 0.1)}) == 0.4, "0.2, the best of all, is no longer asked about"


def test_many_seeds_are_planned_at_once():
    many = dataclasses.replace(PLAN, seeds={"default": study.MOST_SEEDS}, tune=None)
    began = time.process_time()
    assert len(study.pending(many, {})) == 2 * study.MOST_SEEDS
    assert time.process_time() - began < 1


def test_nothing_may_be_among_the_values_that_are_tried():
    smoothing = dataclasses.replace(PLAN, tune=Tuning("loss.label_smoothing", (0.0, 0.1, 0.2), 10))
    found = {**tried("a", 0.0, 0.3), **tried("a", 0.1, 0.5), **tried("a", 0.2, 0.4)}
    assert study.best_value(smoothing, "a", found) == 0.1
    assert study.best_value(smoothing, "a", {**found, **tried("a", 0.0, 0.6)}) == 0.0
