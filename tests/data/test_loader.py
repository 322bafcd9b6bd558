import time

import numpy as np
import torch

from reid_srdl.config import AugmentConfig
from reid_srdl.data.augment import Augment
from reid_srdl.data.images import MemoryImages
from reid_srdl.data.loader import Loader, share
from reid_srdl.data.samplers import RandomSampler

IMAGES = torch.randint(0, 256, (41, 3, 8, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TARGETS = np.arange(41) % 5


def loader(rank=0, world=1, seed=0, images=IMAGES):
    return Loader(
        MemoryImages(images), TARGETS, RandomSampler(41, 16, seed), Augment(AugmentConfig(pad=2), (8, 4)), seed=seed, rank=rank, world=world
    )


def test_shares_cover_all_once():
    for count in (1, 7, 16):
        for world in (1, 2, 3):
            rows = [row for rank in range(world) for row in range(*share(count, rank, world))]
            assert rows == list(range(count))


def test_batches_carry_their_rows():
    batches = list(loader().epoch(0, 0))
    assert [len(batch.targets) for batch in batches] == [16, 16, 9] and len(loader()) == 3
    for batch in batches:
        assert torch.equal(batch.targets, torch.from_numpy(TARGETS)[batch.indices])
    assert sorted(torch.cat([batch.indices for batch in batches]).tolist()) == list(range(41))


def test_an_epoch_taken_up_in_the_middle_is_the_same_epoch():
    whole, rest = list(loader().epoch(1, 3)), list(loader().epoch(1, 3, start=1))
    assert [batch.step for batch in rest] == [1, 2]
    for a, b in zip(whole[1:], rest, strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.indices, b.indices)


def test_ranks_share_the_same_global_batches():
    whole = list(loader().epoch(0, 0))
    parts = [list(loader(rank, 3).epoch(0, 0)) for rank in range(3)]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([part[step].images for part in parts]), batch.images)
        assert torch.equal(torch.cat([part[step].indices for part in parts]), batch.indices)
        assert all(part[step].total == batch.total for part in parts)


def test_stage_epoch_and_seed_change_order_and_augmentation_and_a_batch_has_its_own():
    """All images are the same one, so that it is augmentation that tells batches apart."""
    same = IMAGES[:1].expand(41, -1, -1, -1).contiguous()
    first, second, _ = loader(images=same).epoch(0, 0)
    for other in (second, *(next(iter(loader(seed=seed, images=same).epoch(stage, epoch))) for stage, epoch, seed in ((0, 1, 0), (1, 0, 0), (0, 0, 1)))):
        assert not torch.equal(first.indices, other.indices) and not torch.equal(first.images, other.images)


def test_only_the_time_without_images_is_waited():
    class Slow(MemoryImages):
        def batch(self, indices, stage=0, epoch=0):
            time.sleep(0.05)
            return super().batch(indices, stage, epoch)

    slow = Loader(Slow(IMAGES), TARGETS, RandomSampler(41, 16, 0), Augment(AugmentConfig(pad=2), (8, 4)), seed=0)
    batches = slow.epoch(0, 0)
    next(batches)
    first = slow.waited
    time.sleep(0.5)  # the others are fetched meanwhile
    assert len(list(batches)) == 2 and first >= 0.05 and slow.waited - first < 0.25


def test_a_faulty_source_speaks_to_the_consumer():
    class Broken(MemoryImages):
        def batch(self, indices, stage=0, epoch=0):
            raise RuntimeError("broken")

    bad = Loader(Broken(IMAGES), TARGETS, RandomSampler(41, 16, 0), Augment(AugmentConfig(), (8, 4)), seed=0)
    try:
        next(iter(bad.epoch(0, 0)))
    except RuntimeError as error:
        assert str(error) == "broken"
    else:
        raise AssertionError
