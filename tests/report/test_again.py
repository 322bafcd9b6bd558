"""Commands on a page work, and score what the page shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reid_srdl import config as configuration
from reid_srdl.commands.eval import _variant
from reid_srdl.commands.eval_options import EvalOptions
from reid_srdl.report import again
from reid_srdl.report.evaluated import Evaluated
from reid_srdl.report.found import found_section


@pytest.mark.parametrize(
    ("variant", "stamp"),
    [
        ("", {}),
        ("-val", {"split": "val"}),
        ("-multi-flip-cosine-max", {"flip": True, "metric": "cosine", "multi_query": {"pooling": "max", "queries_alone": 2}}),
        ("-faiss", {"engine": "faiss, flat index on the CPU"}),
        ("-cosine-faiss-expand3", {"metric": "cosine", "engine": "faiss, flat index on the GPU", "expand": 3}),
        ("-single-ignore_camera-expand3", {"same_camera": True, "expand": 3}),
        ("-rerank-k1_4-weight_0.5", {"rerank": {"k1": 4, "k2": 6, "weight": 0.5}}),
        ("-rerank-weight_0", {"rerank": {"k1": 20, "k2": 6, "weight": 0.0}}),
    ],
)
def test_a_variant_is_asked_for_by_the_flags_that_make_it(variant, stamp):
    usual = {"dataset": "market1501", "split": "test", "flip": False, "metric": "euclidean", "same_camera": False, "engine": "exact", "expand": 0, "rerank": None}
    asked = again.flags(Evaluated(f"market1501{variant}", {"protocol": {**usual, **stamp}, "single": {}}))
    options = configuration.parse(EvalOptions, asked, prog="eval")
    made = _variant(dataclasses.replace(options, metric=options.metric or "euclidean"), "euclidean")
    assert options.dataset == "market1501" and ("-val" if options.split == "val" else "") + made == variant


def test_images_of_another_place_are_named():
    stamp = {"dataset": "folder", "data_root": "/site", "metric": "cosine"}
    assert again.flags(Evaluated("folder@site", {"protocol": stamp})) == ["--dataset", "folder", "--data_root", "/site", "--metric", "cosine"]


def test_an_earlier_stage_is_scored_as_such(tmp_path):
    for stage in ("1-first", "2-second"):
        (tmp_path / "stages" / stage).mkdir(parents=True)
        (tmp_path / "stages" / stage / "model.safetensors").touch()
    one = Evaluated("folder-1-first", {"protocol": {"dataset": "folder"}, "single": {}})
    assert again.scoring(tmp_path, one).endswith(f"eval --checkpoint {tmp_path}/stages/1-first --dataset folder")
    assert f"--checkpoint {tmp_path}/stages/1-first --dataset folder<" in found_section(tmp_path, one, [], 0)


def test_the_other_network_of_a_stage_that_kept_an_average_is_scored_as_such(tmp_path):
    for stage in ("1-first", "2-second"):
        (tmp_path / "stages" / stage).mkdir(parents=True)
        for name in ("model", "last", "ema"):
            (tmp_path / "stages" / stage / f"{name}.safetensors").touch()
    named = {"-last": "2-second/last.safetensors", "-ema": "2-second/ema.safetensors", "-1-first-ema": "1-first/ema.safetensors", "-1-first": "1-first"}
    for ending, network in named.items():
        one = Evaluated(f"folder{ending}", {"protocol": {"dataset": "folder"}})
        assert again.scoring(tmp_path, one).endswith(f"eval --checkpoint {tmp_path}/stages/{network} --dataset folder")
    (tmp_path / "stages/2-second/last.safetensors").unlink()
    elsewhere = Evaluated("folder@site-last", {"protocol": {"dataset": "folder"}})
    assert f"eval --checkpoint {tmp_path} --dataset" in again.scoring(tmp_path, elsewhere)


def test_scores_of_an_earlier_version_are_named_by_their_folder():
    assert again.flags(Evaluated("people", {"single": {}})) == ["--dataset", "people"]
    assert "eval --checkpoint run --dataset people" in again.scoring(Path("run"), Evaluated("people", {}))
