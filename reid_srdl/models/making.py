"""What the functions that make networks share: their result, their error messages, and a trial pass."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import UserError, first_line
from .modes import evaluating
from .weights import Report

Size = tuple[int, int]
OTHER_SIZE = "Choose another --data.height and --data.width, or another --model.backbone."
# Seconds to wait for a server before giving up.
PATIENCE = 10.0


class Made(NamedTuple):
    """A backbone that maps images (B, 3, H, W) to a map (B, D, h, w) or a vector (B, D); its D; and which weights were loaded, if known."""

    network: nn.Module
    dimension: int
    report: Report | None


def no_such(name: str, near: list[str]) -> UserError:
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return UserError(f"unknown network {name!r}", f"{hint}Networks are torchvision's, torchreid:NAME, fastreid:NAME and timm:NAME.")


def no_weights(name: str) -> UserError:
    return UserError(f"there are no ImageNet weights of {name}", "Use --model.weights none, or a file of weights.")


_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR)


def no_download(name: str, error: BaseException) -> UserError:
    """The error for weights that a library could not fetch or could not store, with what to do about it."""
    if isinstance(error, OSError) and error.errno in _NO_PLACE:
        return UserError(
            f"the ImageNet weights of {name} cannot be kept in {error.filename or 'the cache'}: {error.strerror}",
            "Set TORCH_HOME (of timm's networks HF_HOME) to a folder that can be written and has room, or name a file of weights with --model.weights FILE.",
        )
    if "invalid hash" in str(error):
        return UserError(f"the downloaded ImageNet weights of {name} are damaged ({first_line(error)})", "Run the command again.")
    return UserError(
        f"the ImageNet weights of {name} are not in the cache and cannot be fetched ({type(error).__name__})",
        "Run the command once with a network connection, so that they are cached, or name a file of weights with "
        "--model.weights FILE (--model.weights none starts from scratch).",
    )


@contextlib.contextmanager
def short_patience() -> Iterator[None]:
    # The libraries open connections without a time limit of their own.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def probe(network: nn.Module, size: Size, name: str) -> Tensor:
    """The network's output (1, D, …) for an image of zeros, channels last as in training. It runs in eval mode, so nothing changes."""
    try:
        with evaluating(network), torch.no_grad():
            return network(torch.zeros(1, 3, *size).contiguous(memory_format=torch.channels_last))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(
            f"{name} cannot take images of {size[0]}x{size[1]} pixels ({first_line(error)})",
            OTHER_SIZE,
        ) from error


def without_dropout(network: nn.Module) -> None:
    """Removes the dropout that GoogLeNet, Inception and NASNet apply to the vector before their classifier."""
    if isinstance(getattr(network, "dropout", None), nn.Dropout):
        network.dropout = nn.Identity()
