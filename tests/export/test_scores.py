"""mAP is that of the protocol."""

from __future__ import annotations

import dataclasses

from reid_srdl.evaluation import rank
from reid_srdl.export.scores import mean_average_precision


def test_map_is_of_single_queries_in_the_metric_that_is_asked_for(trained, people):
    for metric in ("euclidean", "cosine"):
        expected = rank(trained.embeddings(people.query), trained.embeddings(people.gallery), metric=metric, device="cpu").mAP
        assert mean_average_precision(trained, dataclasses.replace(people, multi_query=people.gallery), metric=metric) == expected
