"""Processes that each have a part of the gallery: threads here, which hand things to each other as processes do."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from reid_srdl.data.loader import share
from reid_srdl.devices import Place, choose
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.parts import hand_over, rank_parts, whole
from reid_srdl.evaluation.protocol import score

from .test_ranking import people, ranks


class Meeting:
    """What processes have in common."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world, timeout=60)
        self.things: dict[int, Any] = {}
        self.handed = {(one, other): queue.Queue() for one in range(world) for other in range(world)}


@dataclasses.dataclass(frozen=True)
class Threaded(Place):
    meeting: Meeting = dataclasses.field(default_factory=lambda: Meeting(1))

    def gathered(self, mine: Any) -> list[Any]:
        self.meeting.things[self.rank] = mine
        self.meeting.barrier.wait()
        found = [self.meeting.things[rank] for rank in range(self.world)]
        self.meeting.barrier.wait()
        return found

    def hand(self, thing: Any, rank: int) -> None:
        self.meeting.handed[self.rank, rank].put(thing)

    def taken(self, rank: int) -> Any:
        return self.meeting.handed[rank, self.rank].get(timeout=60)


def in_all(world: int, work: Callable[[Place], Any]) -> list[Any]:
    meeting = Meeting(world)
    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(work, [Threaded(torch.device("cpu"), "fp32", number, world, meeting) for number in range(world)]))


def own_part(gallery: Embeddings, place: Place) -> Embeddings:
    """This process's part of a gallery that the test has as a whole."""
    return gallery.take(np.arange(*share(len(gallery), place.rank, place.world)))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("world", "items"), [(1, 150), (2, 150), (3, 151), (4, 3)])
def test_ranks_do_not_depend_on_how_the_gallery_is_cut(world, items, metric):
    """At sizes that the processes do not divide, with many equal distances, and with processes that have nothing."""
    query, gallery = people(5, items=items, spread=2)
    gallery = dataclasses.replace(gallery, vectors=gallery.vectors + 1e-3)  # none of length 0
    expected = ranks(rank(query, gallery, metric=metric, device="cpu"))
    found = in_all(world, lambda place: ranks(rank_parts(query, own_part(gallery, place), place, metric=metric)))
    assert found == [expected] * world and any(expected)


def test_an_empty_gallery_is_said_by_all():
    query, gallery = people(5)

    def refused(place: Place) -> str:
        with pytest.raises(UserError) as raised:
            rank_parts(query, own_part(gallery.take(np.arange(0)), place), place)
        return raised.value.message

    assert in_all(2, refused) == ["the gallery holds no vectors"] * 2


@pytest.mark.parametrize(("world", "items"), [(1, 40), (3, 40), (3, 2)])
def test_the_first_process_gets_the_whole_in_order(world, items, monkeypatch):
    monkeypatch.setattr("reid_srdl.evaluation.parts._PIECE", 3 * 7)
    query, gallery = people(5, items=items)
    gallery = dataclasses.replace(gallery, paths=tuple(map(str, range(items))), model="m")

    def part(place: Place) -> list[Embeddings]:
        mine = own_part(gallery, place)
        return list(whole(mine, place)) if place.rank == 0 else hand_over(mine, place)

    pieces, *others = in_all(world, part)
    assert others == [None] * (world - 1) and all(0 < len(piece) <= 7 for piece in pieces)
    assert np.array_equal(np.concatenate([piece.vectors for piece in pieces]), gallery.vectors)
    assert [path for piece in pieces for path in piece.paths] == list(gallery.paths)


def test_scores_and_protocol_speak_of_the_whole_and_the_first_process_writes_it(tmp_path):
    query, gallery = people(7)
    alone = score(query, gallery)
    alone.save(tmp_path / "alone")

    def scored(place: Place) -> dict[str, Any]:
        found = score(query, own_part(gallery, place), place=place)
        found.save(tmp_path / str(place.rank))
        return found.metrics

    assert in_all(3, scored) == [alone.metrics] * 3
    assert [folder.name for folder in sorted(tmp_path.iterdir())] == ["0", "alone"]
    for name in ("metrics.json", "query.npz", "gallery.npz"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
    assert alone.place == Place(choose("auto"))
