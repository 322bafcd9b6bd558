"""What the tests of several makers of networks share."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch


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
