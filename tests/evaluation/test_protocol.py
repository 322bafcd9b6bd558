"""From a network and a data set to ``metrics.json``."""

from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import __version__, files
from reid_srdl.data.records import ReIDData, Split, limit_identities
from reid_srdl.devices import ALONE
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.distance_ranking import rank_distances
from reid_srdl.evaluation.expansion import expand
from reid_srdl.evaluation.protocol import Evaluation, Rules, evaluate, multi_queries, score, side_by_side
from reid_srdl.evaluation.rerank import Reranking, rerank

SCORES = ["rank1", "rank5", "rank10", "rank20", "mAP", "mAP_trapezoid", "mINP", "cmc"]


def split(name: str, rows: list[tuple[int, int]]) -> Split:
    labels, cameras = np.array(rows).T
    return Split(name, Path("nowhere"), tuple(f"{name}/{row:03}.jpg" for row in range(len(rows))), labels, cameras)


DATA = ReIDData(
    "toy",
    train=split("train", [(1, 1), (2, 1)]),
    query=split("query", [(7, 1), (8, 1), (9, 1)]),
    #                   junk;     distractor; 7's own camera; matches of 7, 7, 8; nobody for 9
    gallery=split("gallery", [(-1, 2), (0, 1), (7, 1), (7, 2), (7, 3), (8, 2)]),
    multi_query=split("multi_query", [(7, 1), (7, 1), (7, 2), (8, 1)]),
)


class Fake:
    """Embeds an image as numbers that depend on its path alone, and remembers what it was asked for."""

    distance, place = "euclidean", ALONE

    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        self.model_hash, self.asked, self.seed, self.scale = f"hash{seed}", [], seed, scale

    def embeddings(self, split: Split, *, flip: bool = False, track=iter, own: bool = False) -> Embeddings:
        split = split.without_junk()
        self.asked.append((split.name, len(split), flip))
        vectors = np.stack([np.random.default_rng([self.seed, flip, *path.encode()]).standard_normal(4) for path in split.paths])
        return Embeddings(self.scale * vectors, split.paths, split.labels, split.cameras, self.model_hash)


@pytest.mark.parametrize("full_at", ["gallery.npz", "metrics.json"])
def test_a_saving_that_is_broken_off_leaves_no_scores_of_other_embeddings(full_at, tmp_path, monkeypatch):
    evaluate(Fake(), DATA).save(tmp_path)
    real = files.in_the_making

    def full(path, end=""):
        if Path(path).name == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, end)

    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(files, "in_the_making", full)
        evaluate(Fake(), DATA, flip=True).save(tmp_path)
    assert not (tmp_path / "metrics.json").exists()


def test_held_out_people_of_one_image_a_camera_leave_no_gallery():
    data = limit_identities(dataclasses.replace(DATA, train=split("train", [(1, 1), (2, 1), (2, 2), (3, 1)])), train=None, holdout=2)
    with pytest.raises(UserError, match="one image a camera: all of them are queries, and none is left for the gallery. Hold out more"):
        evaluate(Fake(), data, split="val")


def test_a_network_is_scored_by_its_own_distance_unless_rules_say_otherwise():
    model = Fake()
    model.distance = "cosine"
    assert evaluate(model, DATA).metrics["protocol"]["metric"] == "cosine"
    assert evaluate(model, DATA, rules=Rules()).metrics["protocol"]["metric"] == "euclidean"


@pytest.mark.parametrize(("choice", "message"), [({"query": "every"}, "there are no 'every' queries"), ({"split": "train"}, "the split 'train' is not scored")])
def test_choices_that_there_are_not(choice, message):
    with pytest.raises(UserError, match=message):
        evaluate(Fake(), DATA, **choice)


def test_a_pooling_that_there_is_not():
    with pytest.raises(UserError, match="there is no pooling 'median'. Choose mean or max."):
        multi_queries(*(Embeddings(np.zeros((1, 2)), labels=[1], cameras=[1]) for _ in range(2)), "median")


def test_the_form_and_the_stamp(tmp_path):
    model = Fake()
    found = evaluate(model, DATA, flip=True)
    assert isinstance(found, Evaluation) and list(found.metrics) == ["protocol", "single", "multi"]
    assert list(found.metrics["single"]) == list(found.metrics["multi"]) == SCORES
    stamp = found.metrics["protocol"]
    expected = {
        "dataset": "toy", "split": "test", "queries": 3, "queries_without_match": 1, "gallery": 5, "junk_removed": 1, "distractors": 1, "matches": 3,
        "metric": "euclidean", "same_camera": False, "normalisation": "none", "engine": "exact", "ties": "by gallery position", "flip": True,
        "checkpoint": "hash0", "dimension": 4, "version": __version__, "multi_query": {"pooling": "mean", "queries_alone": 1},
    }  # fmt: skip
    assert {name: stamp[name] for name in expected} == expected
    assert found.remark.startswith("1 of 3 queries have no valid match")
    files.write_json(tmp_path / "metrics.json", found.metrics)
    assert json.loads((tmp_path / "metrics.json").read_text())["single"]["mAP"] == found.metrics["single"]["mAP"]
    assert model.asked == [("query", 3, True), ("gallery", 5, True), ("multi_query", 3, True)]  # (7, 2) is no query's person and camera


def test_single_scores_are_those_of_rank():
    found = evaluate(Fake(), DATA, query="single")
    assert list(found.metrics) == ["protocol", "single"]
    result = rank(found.query, found.gallery, device="cpu")
    assert found.metrics["single"] == {**result.scores(), "cmc": result.cmc(50).tolist()}
    assert found.query.paths == DATA.query.paths and len(found.gallery) == 5


def test_only_multi():
    assert list(evaluate(Fake(), DATA, query="multi").metrics) == ["protocol", "multi"]


def test_multi_queries_take_person_and_camera_together():
    query = Embeddings([[0.0, 0], [9, 9], [5, 5]], labels=[7, 7, 8], cameras=[1, 2, 1])
    boxes = Embeddings([[1.0, 4], [3, 0], [8, 8], [0, 0]], labels=[7, 7, 7, 9], cameras=[1, 1, 2, 1])
    mean, alone = multi_queries(query, boxes)
    assert mean.vectors.tolist() == [[2, 2], [8, 8], [5, 5]] and alone == 1
    assert multi_queries(query, boxes, "max")[0].vectors.tolist() == [[3, 4], [8, 8], [5, 5]]
    assert query.vectors[0].tolist() == [0, 0]


def test_a_query_is_made_of_its_images_as_the_rules_say():
    found = {pooling: evaluate(Fake(3), DATA, query="multi", rules=Rules(multi_query=pooling)) for pooling in ("mean", "max")}
    boxes = Fake(3).embeddings(DATA.multi_query)
    for pooling, one in found.items():
        expected = rank(multi_queries(one.query, boxes, pooling)[0], one.gallery, device="cpu")
        assert one.results["multi"].ranks.tolist() == expected.ranks.tolist() and one.metrics["protocol"]["multi_query"]["pooling"] == pooling
    assert found["max"].results["multi"].ranks.tolist() != found["mean"].results["multi"].ranks.tolist()


def test_an_ensemble_puts_embeddings_side_by_side():
    first, second = Fake(1), Fake(2)
    found = evaluate(first, DATA, query="single", ensemble=[second])
    joined = [
        Embeddings(np.concatenate([one.vectors, second.embeddings(of).vectors], axis=1), labels=one.labels, cameras=one.cameras)
        for one, of in ((found.query, DATA.query), (found.gallery, DATA.gallery))
    ]
    assert rank(*joined, device="cpu").scores().items() <= found.metrics["ensemble"].items()
    stamp = found.metrics["protocol"]["ensemble"]
    assert stamp["checkpoints"] == ["hash1", "hash2"] and stamp["passes_per_image"] == 2 and stamp["dimension"] == 8
    assert found.query.dimension == 4  # what is kept is the network's own


def test_members_of_length_one_weigh_the_same():
    parts = [Embeddings([[3.0, 4.0]]), Embeddings([[0.0, 1e-3]])]
    assert side_by_side(parts, unit=True).vectors[0] == pytest.approx([0.6, 0.8, 0, 1])
    with pytest.raises(UserError, match="same images"):
        side_by_side([Embeddings([[1.0]], paths=("a",)), Embeddings([[1.0]], paths=("b",))])


def test_to_the_cosine_no_member_of_an_ensemble_is_louder_than_another():
    ranks = [evaluate(Fake(1), DATA, query="single", rules=Rules("cosine"), ensemble=[Fake(2, scale)]).results["ensemble"].ranks.tolist() for scale in (1 / 128, 1, 128)]
    assert ranks[0] == ranks[1] == ranks[2]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("same_camera", [False, True])
def test_both_engines_give_the_same_scores(metric, same_camera):
    pytest.importorskip("faiss")
    exact, faiss = (evaluate(Fake(), DATA, rules=Rules(metric, same_camera, engine)).metrics for engine in ("exact", "faiss"))
    assert faiss["protocol"]["engine"].startswith("faiss")
    assert {name: faiss[name] for name in ("single", "multi")} == {name: exact[name] for name in ("single", "multi")}


def test_the_held_out_people():
    data = ReIDData("toy", DATA.train, DATA.query, DATA.gallery, DATA.multi_query, val_query=split("val_query", [(2, 1)]), val_gallery=split("val_gallery", [(2, 2), (3, 1)]))
    found = evaluate(Fake(), data, split="val")
    assert found.metrics["protocol"]["queries"] == 1 and found.metrics["protocol"]["split"] == "val" and "multi" not in found.metrics
    with pytest.raises(UserError, match="held out"):
        evaluate(Fake(), DATA, split="val")


def test_nothing_to_score_is_said_before_anything_is_embedded():
    one_camera = ReIDData("mine", DATA.train, split("query", [(7, 1)]), split("gallery", [(7, 1), (8, 1)]))
    model = Fake()
    with pytest.raises(UserError, match=r"1 of 1 queries.*--ignore_camera"):
        evaluate(model, one_camera)
    assert not model.asked
    found = evaluate(model, one_camera, rules=Rules(same_camera=True))
    assert found.metrics["protocol"]["same_camera"] is True and found.remark == ""
    with pytest.raises(UserError, match="no multi-query images"):
        evaluate(model, one_camera, query="multi", rules=Rules(same_camera=True))


def test_anybodys_embeddings_count_their_own_junk():
    query = Embeddings([[0.0], [1.0]], labels=[1, 2], cameras=[1, 1])
    gallery = Embeddings([[0.1], [0.2], [0.9]], labels=[-1, 1, 2], cameras=[2, 2, 2])
    found = score(query, gallery)
    assert found.metrics["single"]["rank1"] == 1 and list(found.metrics) == ["protocol", "single"]
    assert (found.metrics["protocol"]["gallery"], found.metrics["protocol"]["junk_removed"]) == (2, 1)
    with pytest.raises(UserError, match="gallery vectors have no labels"):
        score(query, Embeddings(gallery.vectors))


def test_reranking_and_expansion_are_those_of_their_rooms():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(9, 5))
    labels = np.arange(1, 10).repeat(8)
    vectors = (centres.repeat(8, axis=0) + rng.normal(size=(72, 5))).astype(np.float32)
    cameras = np.tile([1, 2, 3, 4], 18)
    part = np.arange(72) % 8 == 0
    query, gallery = (Embeddings(vectors[chosen], None, labels[chosen], cameras[chosen], "m") for chosen in (part, ~part))
    plain = score(query, gallery)
    assert plain.metrics["protocol"]["rerank"] is None and plain.metrics["protocol"]["expand"] == 0
    how = Reranking(6, 3, 0.3)
    again = score(query, gallery, Rules(rerank=how))
    expected = rank_distances(query, gallery, [(slice(0, 9), rerank(query.vectors, gallery.vectors, how))])
    assert again.results["single"].mAP == expected.mAP != plain.results["single"].mAP
    assert again.metrics["protocol"]["rerank"] == {"k1": 6, "k2": 3, "weight": 0.3} and again.metrics["protocol"]["engine"] == "k-reciprocal re-ranking"
    wider = score(query, gallery, Rules(expand=3))
    moved = Embeddings(expand(query.vectors, gallery.vectors, count=3), None, query.labels, query.cameras, "m")
    assert wider.results["single"].mAP == rank(moved, gallery).mAP != plain.results["single"].mAP
    # Lengths do not matter to the cosine, nor does junk to anybody.
    longer = Embeddings(gallery.vectors * rng.uniform(0.5, 2, (63, 1)), None, gallery.labels, gallery.cameras, "m")
    junk = Embeddings(np.concatenate([longer.vectors, query.vectors[:1]]), None, np.append(longer.labels, -1), np.append(longer.cameras, 3), "m")
    cosine = Rules(metric="cosine", expand=2, rerank=how)
    assert score(query, longer, cosine).results["single"].mAP == pytest.approx(score(query, gallery, cosine).results["single"].mAP, abs=1e-9)
    assert score(query, junk, cosine).results["single"].mAP == pytest.approx(score(query, longer, cosine).results["single"].mAP, abs=1e-9)


@pytest.mark.parametrize(("apart", "told"), [(1e-3, True), (1e-2, False)])
def test_embeddings_of_a_network_that_tells_nobody_apart_are_named(apart, told):
    """Their order is then that of roundings."""
    class Collapsed(Fake):
        def embeddings(self, split: Split, *, flip: bool = False, track=iter, own: bool = False) -> Embeddings:
            found = super().embeddings(split, flip=flip, track=track)
            noise = np.random.default_rng(len(split)).standard_normal(found.vectors.shape)
            return dataclasses.replace(found, vectors=1 + apart * noise)

    said = " ".join(evaluate(Collapsed(), DATA, query="single").remarks())
    assert ("next to equal (0.1" in said and "tells nobody apart" in said) == told
