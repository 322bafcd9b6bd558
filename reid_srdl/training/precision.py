"""What ``precision: auto`` comes to: bf16 where the device has it in hardware and a timed step is faster."""

from __future__ import annotations

import copy
import time

import torch
from torch.nn import functional as F

from ..devices import Place, has_bf16, processes
from ..errors import UserError
from ..models import IdentityClassifier

TIMED_STEPS = 4
CLEARLY = 0.85
"""A bf16 step has to take less than this share of an fp32 one."""


def settle(wanted: str, network: IdentityClassifier, *, device: torch.device, size: tuple[int, int], batch: int) -> tuple[str, dict[str, float]]:
    """The precision, and seconds a step of each that was timed (none where nothing was left to time).

    Raises:
        UserError: ``fp16`` on a CPU.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise UserError("precision fp16 needs a GPU", "Use --precision bf16 where the CPU has it in hardware, auto to find out, or fp32.")
    if wanted != "auto":
        return wanted, {}
    if not has_bf16(device):
        return "fp32", {}
    if processes()[1] > 1:
        # Each process would time for itself, and they must not differ.
        return ("bf16" if device.type == "cuda" else "fp32"), {}
    timed = {name: step_seconds(network, Place(device, name), size, batch) for name in ("fp32", "bf16")}
    # A clear gain only: close to equal, the load of the machine would decide what a run is.
    return ("bf16" if timed["bf16"] < CLEARLY * timed["fp32"] else "fp32"), timed


def step_seconds(network: IdentityClassifier, place: Place, size: tuple[int, int], batch: int) -> float:
    """The fastest of a few forward and backward passes on a copy of the network."""
    trial = copy.deepcopy(network).to(place.device, memory_format=torch.channels_last).train()
    images = torch.zeros(batch, 3, *size, device=place.device).contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(batch, dtype=torch.long, device=place.device)
    seconds = []
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for _ in range(TIMED_STEPS):
            began = time.perf_counter()
            with place.autocast():
                logits = trial(images).logits
            F.cross_entropy(logits, targets).backward()
            if place.device.type == "cuda":
                torch.cuda.synchronize(place.device)
            seconds.append(time.perf_counter() - began)
    return min(seconds)
