"""The last complete training state: replaced whole, checksummed, loaded without unpickling code."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import write_bytes

_MAGIC = b"SRDL1 "


def save(state: dict[str, Any], path: Path) -> None:
    """Writes tensors, numbers, strings and containers of them. Raises ``UserError`` where the disk is full; the previous state is then kept."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    write_bytes(path, _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def load(path: Path) -> dict[str, Any]:
    """The state that ``save`` wrote, on the CPU.

    Raises:
        UserError: the file is missing, truncated or altered.
    """
    way_out = "Delete it to start the stage that it belongs to again; finished stages are kept."
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    head, newline, payload = data.partition(b"\n")
    if not head.startswith(_MAGIC) or not newline:
        raise UserError(f"{path} is no training state of this program", way_out)
    if hashlib.sha256(payload).hexdigest().encode() != head[len(_MAGIC) :]:
        raise UserError(f"{path} is damaged: its checksum does not fit", way_out)
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
