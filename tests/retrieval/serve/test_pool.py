"""Threads that compute for requests."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from reid_srdl.retrieval.serve import pool as pools
from reid_srdl.retrieval.serve.pool import Pool
from reid_srdl.retrieval.serve.refused import Refused


def test_some_compute_some_wait_and_the_others_are_sent_away():
    gate, inside, threads = threading.Event(), threading.Semaphore(0), []
    pool = Pool(2, 3, lambda: threads.append(threading.get_ident()))

    def work(number: int) -> int:
        inside.release()
        gate.wait(60)
        return number

    async def ask() -> tuple[list[bool], list]:
        calls = [asyncio.ensure_future(pool.run(work, number)) for number in range(8)]
        two = [await asyncio.to_thread(inside.acquire, timeout=30) for _ in range(2)]
        gate.set()
        return two, await asyncio.gather(*calls, return_exceptions=True)

    two, answers = asyncio.run(ask())
    assert two == [True, True] and answers[:5] == [0, 1, 2, 3, 4]
    assert all(isinstance(answer, Refused) and answer.status == 503 and answer.headers == {"Retry-After": "1"} for answer in answers[5:])
    assert asyncio.run(pool.run(work, 9)) == 9  # there is room again
    pool.close()
    assert len(threads) == 2


def test_who_stops_waiting_leaves_its_place_only_once_the_work_has_ended():
    gate, begun, pool = threading.Event(), threading.Event(), Pool(1, 0)

    def work() -> None:
        begun.set()
        gate.wait(5)

    async def ask() -> None:
        call = asyncio.ensure_future(pool.run(work))
        await asyncio.to_thread(begun.wait, 5)
        call.cancel()
        await asyncio.sleep(0)
        with pytest.raises(Refused):
            await pool.run(work)
        gate.set()
        await asyncio.to_thread(pool.close)

    asyncio.run(ask())


def test_what_goes_wrong_in_a_thread_is_told_and_leaves_room():
    pool = Pool(1, 0)

    def fails() -> None:
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            asyncio.run(pool.run(fails))
    pool.close()


def test_each_thread_is_prepared():
    pool, prepared = Pool(1, 0, lambda: prepared.append(threading.get_ident())), []
    assert asyncio.run(pool.run(threading.get_ident)) == prepared[0] and len(prepared) == 1
    pool.close()


def test_what_computes_is_not_waited_for_without_end_and_what_waits_is_given_up(monkeypatch):
    monkeypatch.setattr(pools, "_left", set())
    gate, begun, pool, done = threading.Event(), threading.Event(), Pool(1, 1), []

    def work() -> None:
        begun.set()
        gate.wait(60)
        done.append(True)

    async def ask() -> list:
        calls = [asyncio.ensure_future(pool.run(work)), asyncio.ensure_future(pool.run(done.append, False))]
        await asyncio.to_thread(begun.wait, 30)
        before = time.monotonic()
        await asyncio.to_thread(pool.close, 0.05)
        assert time.monotonic() - before < 20 and pools.computing()
        gate.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    try:
        answers = asyncio.run(ask())
    finally:
        gate.set()
    assert answers[0] is None and isinstance(answers[1], asyncio.CancelledError) and done == [True] and not pools.computing()


def test_what_ends_soon_is_waited_for():
    pool, begun, done = Pool(1, 0), threading.Event(), []

    def work() -> None:
        begun.set()
        time.sleep(0.05)
        done.append(True)

    async def ask() -> None:
        call = asyncio.ensure_future(pool.run(work))
        await asyncio.to_thread(begun.wait, 30)
        await asyncio.to_thread(pool.close, 30)
        await call

    asyncio.run(ask())
    assert done and not pools.computing()
