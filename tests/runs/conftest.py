import numpy as np
import pytest
import torch

from reid_srdl import runs
from reid_srdl.config import ModelConfig
from reid_srdl.models import build


@pytest.fixture
def labels():
    """Of the classes of ``network``."""
    return np.array([3, 5, 9])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("small", 3).eval()


@pytest.fixture
def saved(network, labels, tmp_path):
    runs.save_model(tmp_path / "model.safetensors", network, ModelConfig("small", "none"), (32, 16), labels)
    return tmp_path / "model.safetensors"
