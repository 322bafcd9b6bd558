from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import protocol
from reid_srdl.evaluation.rerank import Reranking
from reid_srdl.report import words


def test_counts_and_durations():
    assert [words.count(1, "epoch"), words.count(1200, "epoch"), words.count(2, "person", "people")] == ["1 epoch", "1,200 epochs", "2 people"]
    assert [words.duration(seconds) for seconds in (8.21, 59.99, 185, 7800)] == ["8.2 s", "1 min 0 s", "3 min 5 s", "2 h 10 min"]


def stamp(**rules) -> dict:
    vectors = np.random.default_rng(0).normal(size=(6, 4))
    gallery = Embeddings(vectors, labels=np.array([1, 1, 2, 0, -1, 2]), cameras=np.array([1, 2, 2, 1, 1, 3]), model="f" * 64)
    query = gallery.take(np.array([0, 2]))
    return protocol.score(query, gallery, protocol.Rules(**rules), multi=(query, 1)).metrics["protocol"]


def test_every_entry_of_a_stamp_has_its_sentence():
    told = words.protocol({"dataset": "people", "split": "test", **stamp(), "flip": True})
    assert not [sentence for sentence in told if "_" in sentence.replace("reid_srdl", "")]
    text = " ".join(told)
    for fact in ("2 queries", "5 gallery images", "1 of them distractors", "1 junk image", "squared Euclidean", "mirrored", "1 queries have no others", "f" * 12):
        assert fact in text


def test_other_rules_are_told_otherwise():
    text = " ".join(words.protocol({**stamp(metric="cosine", same_camera=True), "split": "val", "dataset": "people"}))
    assert "cosine" in text and "length 1" in text and "count as matches" in text and "held out" in text


def test_expansion_and_reranking_are_told_and_their_absence_is_not():
    text = " ".join(words.protocol(stamp(expand=2, rerank=Reranking(k1=3, k2=2))))
    assert "2 gallery items nearest" in text and "k1 3, k2 2, weight 0.3" in text and "searched by" not in text
    assert "expan" not in " ".join(words.protocol(stamp())) and "rank" not in " ".join(words.protocol(stamp())).replace("rank of the last", "")


def test_a_classification_is_told_in_its_own_words():
    stamp = {
        "dataset": "trees", "split": "val", "images": 1200, "classes": 10, "crop": "imagenet", "flip": True, "top5": "the first 5", "ece": "15 bins",
        "checkpoint": "f" * 64, "ensemble": {"probabilities": "mean", "checkpoints": ["a", "b"], "passes_per_image": 4}, "version": "1.0",
    }  # fmt: skip
    told = words.protocol(stamp)
    text = " ".join(told)
    for fact in ("1,200 held-out training images of 10 classes", "centre", "mirror", "Top-5: the first 5; ECE: 15 bins.", "mean of the probabilities of 2 networks", "4 passes", "f" * 12, "1.0"):
        assert fact in text
    assert not [sentence for sentence in told if ": " in sentence and sentence.split(":")[0] in stamp]
    assert "Whole images" in words.protocol({"images": 1, "classes": 2, "crop": "none"})[1]


@pytest.mark.parametrize(
    ("probability", "digits", "said"),
    [
        (0.5, 1, "50.0"), (0.99949, 1, "99.9"), (0.99951, 1, ">99.9"), (1.0, 1, ">99.9"), (0.00051, 1, "0.1"), (0.0004, 1, "<0.1"), (0.87, 0, "87"), (0.996, 0, ">99"), (0.004, 0, "<1"),
        (0.9995, 1, ">99.9"), (0.0005, 1, "0.1"), (0.0004999, 1, "<0.1"), (0.995, 0, ">99"), (0.005, 0, "<1"), (float("nan"), 1, "nan"),
    ],
)  # fmt: skip
def test_no_probability_is_rounded_to_a_certainty(probability, digits, said):
    assert words.percent(probability, digits) == said


def test_what_has_no_sentence_is_still_told():
    assert words.protocol({"re_ranking": "k = 20", "nothing": None}) == ["re ranking: k = 20"]
