"""What ``precision: auto`` chooses: bf16 where the device has it in hardware and a timed step is faster."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterable, Iterator

import torch
from torch.nn import functional as F

from .. import heap, ranks
from ..devices import Place, has_bf16
from ..errors import UserError
from ..models import IdentityClassifier
from ..seeds import states_restored

TIMED_STEPS = 4
"""Steps that are timed, of which the fastest counts: the first one warms up, and of three more one is likely to be undisturbed."""
CLEARLY = 0.85
"""A bf16 step has to take less than this share of the time of an fp32 step: a gain larger than the differences that a busy machine makes."""


def check(wanted: str, device: torch.device) -> None:
    """Raises ``UserError`` for ``fp16`` on a CPU, and for ``bf16`` on a GPU that only emulates it."""
    if wanted == "fp16" and device.type == "cpu":
        hint = "Use --precision bf16 where the CPU has it in hardware, auto to find out, or fp32; a run that began in fp16 goes on on a GPU."
        raise UserError("precision fp16 needs a GPU", hint)
    if wanted == "bf16" and device.type == "cuda" and not has_bf16(device):
        raise UserError("this GPU has no bf16 in hardware", "Use --precision fp16, which is as fast there, or fp32; a run that began in bf16 goes on on a newer GPU, or on a CPU.")


def settle(wanted: str, networks: Iterable[IdentityClassifier], *, device: torch.device, size: tuple[int, int], batch: int) -> tuple[str, dict[str, float]]:
    """The precision of a run, and the seconds of a step in each that was timed (empty where there was nothing to choose).

    Args:
        wanted: as the configuration has it.
        networks: all that the run trains, each once; bf16 has to be sound for each of them, and their seconds are added up. Only read where they are tried.
        device: where they train.
        size, batch: of the images.

    Raises:
        UserError: a precision that the device does not have, or ``bf16`` on a CPU whose bf16 kernels fail for one of the networks (``repeats``).
    """
    check(wanted, device)

    def sound(tried: Iterable[IdentityClassifier]) -> bool:
        return all(repeats(network, Place(device, "bf16"), size, batch) for network in tried)

    if wanted == "bf16" and device.type == "cpu" and not sound(networks):
        raise UserError("in bf16 this processor gives the network other logits for the same images, or none: one of its kernels reads what nobody wrote", "Use --precision fp32.")
    if wanted != "auto":
        return wanted, {}
    if not has_bf16(device):
        return "fp32", {}
    if ranks.own()[1] > 1:
        # Each process would time for itself, and all must choose the same.
        return ("bf16" if device.type == "cuda" else "fp32"), {}
    tried = list(networks)
    timed = {name: seconds for name in ("bf16", "fp32") if (seconds := _seconds_if_they_fit(tried, Place(device, name), size, batch)) is not None}
    if len(timed) < 2:  # one that does not fit into memory loses; where neither fits, training says so
        return next(iter(timed), "bf16"), timed
    # Only a clear gain counts: with nearly equal times, the load of the machine would decide the precision.
    faster = timed["bf16"] < CLEARLY * timed["fp32"]
    return ("bf16" if faster and sound(tried) else "fp32"), timed


@heap.reused()
def repeats(network: IdentityClassifier, place: Place, size: tuple[int, int], batch: int) -> bool:
    """Whether a forward pass of the same images gives the same finite logits again.

    Some kernels of oneDNN read uninitialised memory, for instance bf16 convolutions with a stride of 2 whose output is one pixel wide
    (ResNet-50 at 64x32): the result depends on what that memory held before, and sooner or later is NaN. Freed memory is therefore filled
    with NaN before each layer. On a GPU, where sums have no fixed order, logits only have to be finite.
    """
    trial = copy.deepcopy(network).to(place.device, memory_format=torch.channels_last).train()
    images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0)).to(place.device).contiguous(memory_format=torch.channels_last)
    with states_restored(), torch.no_grad():
        seen = []
        for _ in range(2):
            torch.manual_seed(0)
            with place.autocast(), _memory_filled_with_nan(trial):
                seen.append(trial(images).logits)
    finite = all(bool(torch.isfinite(logits).all()) for logits in seen)
    return finite and (place.device.type == "cuda" or torch.equal(*seen))


@contextlib.contextmanager
def _memory_filled_with_nan(network: torch.nn.Module) -> Iterator[None]:
    """Fills freed memory of many sizes with NaN before each layer, so that a kernel which reads uninitialised memory gives NaN."""

    def fill(*_: object) -> None:
        pieces = [torch.full((1 << size,), float("nan")) for size in range(8, 20)]
        del pieces

    hooks = [module.register_forward_pre_hook(fill) for module in network.modules() if not list(module.children())]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _seconds_if_they_fit(networks: Iterable[IdentityClassifier], place: Place, size: tuple[int, int], batch: int) -> float | None:
    try:
        return sum(step_seconds(network, place, size, batch) for network in networks)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


@heap.reused()
def step_seconds(network: IdentityClassifier, place: Place, size: tuple[int, int], batch: int) -> float:
    """Seconds of the fastest of a few forward and backward passes on a copy of the network."""
    trial = copy.deepcopy(network).to(place.device, memory_format=torch.channels_last).train()
    images = torch.zeros(batch, 3, *size, device=place.device).contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(batch, dtype=torch.long, device=place.device)
    seconds = []
    with states_restored():
        for _ in range(TIMED_STEPS):
            began = time.perf_counter()
            with place.autocast():
                logits = trial(images).logits
            F.cross_entropy(logits, targets).backward()
            if place.device.type == "cuda":
                torch.cuda.synchronize(place.device)
            seconds.append(time.perf_counter() - began)
    return min(seconds)
