import numpy as np
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


def test_every_rank_takes_its_share_and_all_get_all(monkeypatch):
    """At a size that the ranks do not divide, and with more ranks than images."""
    net = network()
    for count, world in ((23, 2), (23, 3), (2, 3)):
        source = MemoryImages(SOURCE.images[:count])
        whole = inference.embed(net, source, size=(32, 16), place=CPU)
        shares = []

        def keep(mine, place, shares=shares):
            shares.append(mine)
            return mine if mine is not None else np.zeros((0, 16))

        monkeypatch.setattr(inference, "_gathered", keep)
        for rank in range(world):
            inference.embed(net, source, size=(32, 16), place=Place(torch.device("cpu"), rank=rank, world=world))
        monkeypatch.undo()
        parts = [share for share in shares if share is not None]
        assert np.allclose(np.concatenate(parts), whole, atol=1e-6)


def test_the_training_mode_comes_back_even_after_a_failure():
    net = network().train()
    inference.logits(net, SOURCE, size=(32, 16), place=CPU)
    assert net.training

    def fail(images):
        raise RuntimeError

    try:
        inference.run(net, SOURCE, fail, size=(32, 16), place=CPU)
    except RuntimeError:
        assert net.training
