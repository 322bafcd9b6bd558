"""What plain PyTorch sees of a ``.pt2``."""

from __future__ import annotations

import json

import torch

from reid_srdl.data.augment import clean
from reid_srdl.export import Wanted, write


def test_plain_pytorch_loads_and_runs_it(trained, tmp_path, recwarn):
    write(trained, Wanted("torch"), tmp_path / "model.pt2")
    extra = {"reid_srdl.json": ""}
    module = torch.export.load(tmp_path / "model.pt2", extra_files=extra).module()
    assert json.loads(extra["reid_srdl.json"])["source"] == trained.model_hash
    pixels = torch.randint(0, 256, (5, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(module(pixels)[0], trained.network.embed(clean(pixels, (32, 16))))
    assert not [str(warning.message) for warning in recwarn if issubclass(warning.category, UserWarning)]
