"""What is fetched ahead comes in order, no further ahead than said, and fails where its turn is."""

from __future__ import annotations

import pytest
import torch

from reid_srdl.data.ahead import ahead_of, fetched


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
def test_in_order_and_no_further_than_said(ahead: int) -> None:
    begun, seen = [], []

    def fetch(item: int) -> int:
        begun.append(item)
        return item * item

    for item, found in fetched(fetch, range(10), ahead):
        seen.append((item, found))
        assert len(begun) <= len(seen) + ahead
    assert seen == [(item, item * item) for item in range(10)] and begun == list(range(10))


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_comes_in_its_turn(ahead: int) -> None:
    def fetch(item: int) -> int:
        return 6 // (3 - item)

    got = []
    with pytest.raises(ZeroDivisionError):
        for _, found in fetched(fetch, range(6), ahead):
            got.append(found)
    assert got == [2, 3, 6]


def test_only_a_gpu_is_fetched_ahead_for() -> None:
    assert ahead_of(torch.device("cpu")) == 0 and ahead_of(torch.device("cuda", 1)) == 1
