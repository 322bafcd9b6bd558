"""What the tests of several makers of networks share."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional


@pytest.fixture
def needs() -> Callable[[str], None]:
    """``needs("timm")`` skips the test where timm is not installed."""

    def needs(library: str) -> None:
        # pytest.importorskip would import all of it, which is what torchreid is spared.
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")

    return needs


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def shaken(network: nn.Module) -> nn.Module:
    """The network in eval mode, with BatchNorms that change their input: means and biases of both signs, so that a ReLU is not passed by."""
    draw = torch.Generator().manual_seed(5)
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        for values, low, high in ((norm.running_mean, -0.5, 0.5), (norm.running_var, 0.5, 2), (norm.weight.data, 0.5, 1.5), (norm.bias.data, -0.5, 0.5)):
            values.uniform_(low, high, generator=draw)
    return network.eval()


def normed(maps: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    return functional.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5)


def convolved(maps: Tensor, convolution: nn.Conv2d) -> Tensor:
    return functional.conv2d(maps, convolution.weight, stride=convolution.stride, padding=convolution.padding)
