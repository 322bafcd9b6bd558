import numpy as np

from benchmarks import peers, streaming
from benchmarks.from_files import FromFiles

SMALL = streaming.Setup(slow="shufflenet_v2_x0_5", fast="shufflenet_v2_x0_5", size=(32, 16), large=(768, 768), batch=4, steps=2, identities=4, workers=1)


def test_streamed_and_kept_images_are_the_same(tmp_path):
    files = peers.pictures(tmp_path, 6, (32, 16), people=3)
    kept, streamed = (FromFiles("shufflenet_v2_x0_5", files, (32, 16), batch=3, epochs=1, memory_gb=size) for size in (4.0, 0.0))
    assert type(kept.loader.source) is not type(streamed.loader.source)
    np.testing.assert_array_equal(kept.loader.source.batch(range(6)), streamed.loader.source.batch(range(6)))
    assert kept.epoch()["loss"] == streamed.epoch()["loss"]


def test_what_waits_is_told_apart():
    figures = {figure.what: figure for figure in streaming.run(1, SMALL).figures}
    bound = next(figure for what, figure in figures.items() if what.startswith("share of that"))
    assert 0 <= bound.value <= 1  # how much it is, is the machine's
    assert figures["decoding alone with 1 thread"].value > 0
