import numpy as np
import pytest
import torch

from reid_srdl import inference
from reid_srdl.data.images import MemoryImages
from reid_srdl.devices import Place
from reid_srdl.models import build

CPU = Place(torch.device("cpu"))
SOURCE = MemoryImages(torch.randint(0, 256, (23, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))


def network():
    torch.manual_seed(0)
    return build("small", 5)


def test_in_order_whatever_the_batch():
    net = network()
    one = inference.embed(net, SOURCE, size=(32, 16), place=CPU, batch=4)
    other = inference.embed(net, SOURCE, size=(32, 16), place=CPU, batch=64)
    assert one.shape == (23, 16) and np.allclose(one, other, atol=1e-6)
    alone = inference.embed(net, MemoryImages(SOURCE.images[7:8]), size=(32, 16), place=CPU)
    assert np.allclose(one[7], alone[0], atol=1e-6)


@pytest.mark.parametrize(("count", "world", "batch"), [(23, 2, 4), (23, 3, 4), (23, 3, 64), (2, 3, 1), (64, 7, 5)])
def test_every_image_is_passed_over_by_one_rank_and_to_the_same_bits(count, world, batch):
    """At sizes that the ranks do not divide, and with fewer batches than ranks."""
    net = network()
    source = MemoryImages(SOURCE.images[torch.arange(count) % len(SOURCE)])
    whole = inference.embed(net, source, size=(32, 16), place=CPU, batch=batch)
    places = [Place(torch.device("cpu"), rank=rank, world=world) for rank in range(world)]
    rows = [range(*inference.own_rows(count, place, batch)) for place in places]
    assert [row for some in rows for row in some] == list(range(count))
    parts = [inference.embed(net, source, size=(32, 16), place=place, batch=batch, own=True) for place in places]
    assert [len(part) for part in parts] == [len(some) for some in rows]
    assert np.array_equal(np.concatenate(parts), whole)


def test_the_training_mode_comes_back_even_after_a_failure():
    net = network().train()
    inference.logits(net, SOURCE, size=(32, 16), place=CPU)
    assert net.training

    def fail(images):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        inference.run(net, SOURCE, fail, size=(32, 16), place=CPU)
    assert net.training
