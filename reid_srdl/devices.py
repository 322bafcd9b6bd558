"""Where the arithmetic happens: device, precision, threads, share among processes."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.distributed

from . import ranks
from .errors import UserError, first_line

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Precision(NamedTuple):
    """Fabric's name for a precision, and the type in which convolutions and matrices are multiplied; None leaves them as they are."""

    fabric: str
    dtype: torch.dtype | None


PRECISIONS = {"fp32": Precision("32-true", None), "bf16": Precision("bf16-mixed", torch.bfloat16), "fp16": Precision("16-mixed", torch.float16)}


@dataclass(frozen=True)
class Place:
    """A device, the precision used on it (a key of ``PRECISIONS``), and the rank of this process among ``world`` processes."""

    device: torch.device
    precision: str = "fp32"
    rank: int = 0
    world: int = 1

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which the backbone computes with the fewer bits of ``precision``; for fp32 it changes nothing."""
        dtype = PRECISIONS[self.precision].dtype
        return contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype=dtype)

    def gathered(self, mine: Any) -> list[Any]:
        """The values of ``mine`` in all processes, in the order of their ranks; every process gets the list."""
        if self.world == 1:
            return [mine]
        found: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(found, mine)
        return found

    def handed_to_first(self, mine: Any) -> list[Any] | None:
        """As ``gathered``, but only the first process gets the list; the others get None."""
        if self.world == 1:
            return [mine]
        found: list[Any] | None = [None] * self.world if self.rank == 0 else None
        torch.distributed.gather_object(mine, found)
        return found

    def summed(self, mine: np.ndarray) -> np.ndarray:
        """The sum of ``mine`` over all processes; every process gets it."""
        return mine if self.world == 1 else np.sum(self.gathered(mine), axis=0)

    def hand(self, thing: Any, rank: int) -> None:
        """Sends ``thing`` to the process ``rank``, which has to call ``taken``."""
        torch.distributed.send_object_list([thing], rank)

    def taken(self, rank: int) -> Any:
        """Receives what the process ``rank`` sends this one by ``hand``."""
        found = [None]
        torch.distributed.recv_object_list(found, rank)
        return found[0]


ALONE = Place(torch.device("cpu"))
"""One process, on the CPU."""


def choose(device: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU where one works, else the CPU. Raises ``UserError`` for a device that is missing or does not work."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and _is_of_use() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"there is no device {device!r}", "Choose --device from auto, cpu, cuda, cuda:N.") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {device} is not there: torch sees {torch.cuda.device_count()} CUDA devices", "Use --device cpu, or auto.")
    if chosen.type not in ("cpu", "cuda"):
        raise UserError(f"device {device} is not supported", "Choose --device from auto, cpu, cuda, cuda:N.")
    if chosen.type == "cuda" and (trouble := _trouble(chosen)):
        raise UserError(f"device {device} cannot be used ({trouble})", "Its driver may be older than this torch wants. Use --device cpu, or install a torch for that driver.")
    return chosen


@functools.cache
def _trouble(device: torch.device) -> str:
    """Why a GPU that is present cannot compute; empty where it can."""
    try:
        torch.ones(1, device=device).add_(1).item()
    except RuntimeError as error:
        return first_line(error)
    return ""


@functools.cache
def _is_of_use() -> bool:
    trouble = _trouble(torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))))
    if trouble:
        print(f"note: there is a GPU, which cannot be used ({trouble}); the CPU is", file=sys.stderr)
    return not trouble


def own_device(device: str) -> str:
    """The name of this process's device: of several on one machine, each takes a GPU of its own. Raises ``UserError`` where all are told to take the same one."""
    if ranks.own()[1] == 1 or choose(device).type == "cpu":
        return device
    if choose(device).index is not None and int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:
        raise UserError(f"several processes cannot share {device}", "Use --device cuda: each then takes a GPU of its own.")
    return device if choose(device).index is not None else f"cuda:{os.environ.get('LOCAL_RANK', 0)}"


def join(device: str) -> None:
    """Connects the processes of a training, each on its device."""
    if ranks.own()[1] == 1:
        return
    chosen = choose(own_device(device))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    ranks.join("nccl" if chosen.type == "cuda" else "gloo", ranks.PATIENCE)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware; elsewhere it is emulated, many times slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    flags = _cpu_facts().get("flags", "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def computes(precision: str, device: torch.device) -> bool:
    """Whether a precision makes sense on a device."""
    return precision == "fp32" or (precision == "bf16" and has_bf16(device)) or (precision == "fp16" and device.type == "cuda")


def _cpu_facts() -> dict[str, str]:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = (line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        return {key.strip(): value.strip() for key, value in lines}
    return {}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int | None) -> int:
    """Sets torch's CPU threads (None: ``OMP_NUM_THREADS``, or else the cores this process may use) and returns their number."""
    # OMP_NUM_THREADS is respected whoever set it; torchrun sets it to 1 for each of several processes.
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # in a list, the first number is that of the outermost level
    wanted = count or (int(said) if said.isdecimal() and int(said) else cores())
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)
    return wanted


def hardware(device: torch.device) -> dict[str, Any]:
    """What the reader of a result wants to know about the machine: processor, cores, system and GPU."""
    facts: dict[str, Any] = {
        "processor": _cpu_facts().get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def launch(device: torch.device, precision: str, loggers: list[Any] | None = None) -> Fabric:
    """Lightning Fabric on this device; under torchrun with all processes and DDP."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment
    from lightning_fabric.strategies import DDPStrategy
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would advise on settings that are made here on purpose
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # so that a resumed run goes on exactly as the interrupted one would have
    rank, world = ranks.own()
    rank_zero_only.rank = rank  # by which loggers write or not; it was read from the environment, where a scheduler numbers those that are alone, too
    devices: Any = world // ranks.machines() if world > 1 else ([device.index] if device.index is not None else 1)
    fabric = Fabric(
        accelerator="cuda" if device.type == "cuda" else "cpu",
        devices=devices,
        num_nodes=ranks.machines(),
        strategy=DDPStrategy(timeout=ranks.PATIENCE) if world > 1 else "auto",
        precision=PRECISIONS[precision].fabric,
        plugins=[] if world > 1 else [LightningEnvironment()],  # else Fabric takes the scheduler around it at its word, and wants as many devices as the job has tasks
        loggers=loggers or [],
    )
    fabric.launch()
    return fabric
