import pytest
import torch

from reid_srdl.data.loader import Batch, share
from reid_srdl.training.parts import in_parts


def batch(total, rank=0, world=1):
    start, stop = share(total, rank, world)
    rows = torch.arange(start, stop)
    return Batch(images=rows.float().view(-1, 1, 1, 1), targets=rows % 3, indices=rows, total=total, step=5)


@pytest.mark.parametrize(("total", "number", "world"), [(12, 1, 1), (12, 4, 1), (13, 4, 1), (12, 2, 2), (13, 3, 2), (9, 8, 2), (3, 8, 1), (8, 8, 1), (8, 8, 4)])
def test_every_image_is_in_one_part_and_all_ranks_agree_on_their_number(total, number, world):
    ranks = [list(in_parts(batch(total, rank, world), number, world)) for rank in range(world)]
    assert len({len(parts) for parts in ranks}) == 1 and 1 <= len(ranks[0]) <= number
    assert len(ranks[0]) == 1 or min(count for part in ranks[0] for count in part.counts) >= 2  # BatchNorm needs two
    assert sorted(int(i) for parts in ranks for part in parts for i in part.batch.indices) == list(range(total))
    for rank, parts in enumerate(ranks):
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        for part, others in zip(parts, ranks[0], strict=True):
            assert part.counts == others.counts and part.counts[rank] == len(part.batch.targets) == len(part.batch.images) >= 1
            assert (part.batch.total, part.batch.step) == (total, 5)
            assert torch.equal(part.batch.images.flatten().long(), part.batch.indices) and torch.equal(part.batch.targets, part.batch.indices % 3)


def test_parts_hold_whole_people_where_they_divide_the_batch():
    (one, two) = in_parts(batch(16), 2, 1)
    assert one.batch.indices.tolist() == list(range(8)) and two.batch.indices.tolist() == list(range(8, 16))
