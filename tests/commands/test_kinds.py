"""What training and scoring do differently with people and with classes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from reid_srdl import inference
from reid_srdl.commands.kinds import kind_of
from reid_srdl.data.images import open_source
from reid_srdl.devices import ALONE
from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.models import build


def test_a_network_is_scored_during_training_by_the_run_s_own_distance(people, config):
    torch.manual_seed(0)
    network = build("small", 6).eval()
    parts = []
    for split in (people.query, people.gallery):
        vectors = inference.embed(network, open_source(split.files, config.size), size=config.size, place=ALONE)
        parts.append(Embeddings(vectors, split.paths, split.labels, split.cameras))
    found = {}
    for distance in ("euclidean", "cosine"):
        asked = dataclasses.replace(config, distance=distance, log=dataclasses.replace(config.log, eval_split="test"))
        found[distance] = kind_of(people).score_during(people, asked)(network, ALONE)
        assert found[distance]["mAP"] == pytest.approx(rank(*parts, metric=distance, device="cpu").mAP)
    assert found["euclidean"]["mAP"] != found["cosine"]["mAP"]
