"""What the pages' snippets expect to find around them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reid_srdl import files, runs
from reid_srdl.config import Config, ModelConfig, save
from reid_srdl.models import build


@pytest.fixture
def snippet_folder(tmp_path: Path, people) -> Path:
    """A folder with a finished run ``runs/demo`` and some images."""
    model = ModelConfig("shufflenet_v2_x0_5", "none")
    torch.manual_seed(0)
    runs.save_model(runs.stage_folder(tmp_path / "runs/demo", 0, "first") / runs.MODEL, build(model.backbone, 3), model, (64, 32), np.arange(1, 4))
    save(Config(model=model), tmp_path / "runs/demo" / runs.CONFIG)
    files.write_json(tmp_path / "runs/demo" / runs.FACTS, {"finished": True, "stages": [{"folder": "1-first"}]})
    for name, file in zip("ab", people.query.files, strict=False):
        files.link_or_copy(file, tmp_path / "images" / f"{name}.jpg")
    return tmp_path
