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
    """A folder with a finished run ``runs/demo``, some images, and a data set of people in ``photos``."""
    model = ModelConfig("shufflenet_v2_x0_5", "none")
    torch.manual_seed(0)
    runs.save_model(runs.stage_folder(tmp_path / "runs/demo", 0, "first") / runs.MODEL, build(model.backbone, 3), model, (64, 32), np.arange(1, 4))
    save(Config(model=model), tmp_path / "runs/demo" / runs.CONFIG)
    files.write_json(tmp_path / "runs/demo" / runs.FACTS, {"finished": True, "stages": [{"folder": "1-first"}]})
    for name, file in zip("ab", people.query.files, strict=False):
        files.link_or_copy(file, tmp_path / "images" / f"{name}.jpg")
    for split in (people.train, people.query, people.gallery):
        for number, (file, label, camera) in enumerate(zip(split.files, split.labels, split.cameras, strict=True)):
            files.link_or_copy(file, tmp_path / f"photos/{split.name}/p{label}/c{camera}_{number}{file.suffix}")
    return tmp_path
