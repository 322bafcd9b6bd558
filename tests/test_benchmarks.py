import importlib
import time

import pytest

from benchmarks import BENCHMARKS, Figure, Seconds, alternate, clock, median_of


def test_figures_are_held_to_their_bounds_from_both_sides():
    assert Figure("reported", 7.0).holds
    assert Figure("below", 1.0, limit=1.0).holds and not Figure("below", 1.1, limit=1.0).holds
    assert Figure("reached", 2.0, least=2.0).holds and not Figure("reached", 1.9, least=2.0).holds


def test_tasks_take_turns_and_the_first_round_is_not_timed():
    calls = []
    seconds = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert len(seconds["a"]) == len(seconds["b"]) == 2


def test_a_task_may_take_its_time_itself():
    def slow() -> Seconds:
        time.sleep(0.01)
        return Seconds(5.0)

    assert alternate({"slow": slow}, 2) == {"slow": [5.0, 5.0]}


def test_sleep_is_time_but_none_of_the_processor():
    tasks = {"sleep": lambda: time.sleep(0.05)}
    with clock("cpu"):
        assert alternate(tasks, 1)["sleep"][0] < 0.03
    assert alternate(tasks, 1)["sleep"][0] >= 0.05


def test_ratios_are_of_one_round_each():
    # The machine was three times as slow in the last round: the ratio is the same.
    assert median_of({"ours": [1.0, 1.0, 3.0], "theirs": [2.0, 2.0, 6.0]}, lambda ours, theirs: theirs / ours) == 2.0


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_name_leads_to_a_function(name):
    module, _, function = BENCHMARKS[name].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
