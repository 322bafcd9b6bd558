import copy

import pytest
import torch

from reid_srdl.config import Config
from reid_srdl.errors import UserError
from reid_srdl.training import plans
from reid_srdl.training.facts import describe, differences


def facts(**changes):
    made = describe(
        Config(), plans.build(Config()), dataset="toy", images=9, identities=3, kind="classes", data_hash="h", scored=None, device=torch.device("cpu"), precision_timed={}
    )
    return {**copy.deepcopy(made), **changes}


def test_the_stages_have_their_folders():
    assert [(stage["folder"], stage["epochs"]) for stage in facts()["stages"]] == [("1-first", 60), ("2-second", 60)]


def test_what_a_resumed_run_does_not_share_is_said(tmp_path):
    assert differences(facts(), facts(), tmp_path) == []
    (line,) = differences(facts(threads=8), facts(threads=2), tmp_path)
    assert "CPU threads: 8, now 2" in line
    (line,) = differences(facts(), facts(versions={**facts()["versions"], "torch": "0"}), tmp_path)
    assert "torch" in line
    with pytest.raises(UserError, match="have changed"):
        differences(facts(), facts(data_hash="other"), tmp_path)


def test_other_images_that_are_scored_on_the_way_are_refused_where_both_say_them(tmp_path):
    assert "scored_hash" not in facts()
    with pytest.raises(UserError, match="the images that are scored in the training of .* have changed since it began"):
        differences(facts(scored_hash="one"), facts(scored_hash="other"), tmp_path)
    assert differences(facts(), facts(scored_hash="other"), tmp_path) == [] == differences(facts(scored_hash="one"), facts(scored_hash="one"), tmp_path)


def test_another_number_of_processes_is_said(tmp_path):
    (line,) = differences(facts(), facts(processes=2), tmp_path)
    assert "processes: 1, now 2" in line


def test_another_gpu_of_the_same_name_of_device_is_said(tmp_path):
    one, other = (facts(device="cuda:0", hardware={"gpu": name}) for name in ("A", "B"))
    (line,) = differences(one, other, tmp_path)
    assert "another GPU (A), now B" in line and differences(one, one, tmp_path) == []
