import numpy as np

from benchmarks import peers, peers_embedding
from reid_srdl import embeddings

SMALL = peers_embedding.Setup(backbone="resnet18", size=(32, 16), stored=(32, 16), images=5, batch=3, threads=1, calibration=2)


def test_both_save_a_vector_of_every_image(tmp_path, monkeypatch):
    monkeypatch.setattr(peers_embedding, "EXPORTS", {})  # tests/export has them
    peers.pictures(tmp_path / "images", SMALL.images, SMALL.stored, people=3)
    ways = peers_embedding.prepare(tmp_path, SMALL)
    assert ways[:2] == ["torchreid", "pytorch_fp32"]
    for way in ways[:2]:
        peers_embedding.opened(way, tmp_path, SMALL)()
    ours, theirs = embeddings.load(tmp_path / "ours.npz"), np.load(tmp_path / "theirs.npz")
    assert ours.vectors.shape == theirs["vectors"].shape == (5, 512)
    assert [path.rsplit("/", 1)[-1] for path in theirs["paths"]] == list(ours.paths)
