"""The processes that torchrun started: which one this is, how they come together, and what becomes of the others when one ends."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

import torch
import torch.distributed

from .errors import UserError, first_line

MEETING = timedelta(minutes=30)
"""How long processes wait for each other at the start. On several machines, nobody learns of a process that ended before it was connected."""
PATIENCE = timedelta(hours=2)
"""How long a joint operation may take in training. A process that dies is noticed at once, by its closed connections; a machine that vanishes
without closing them is noticed only after this time."""
LONGEST_WAIT = timedelta(days=7)
"""How long to wait for the slowest process where each works for itself, as in embedding."""
_FIRST_SAYS = 2.0
"""Seconds that a process which lost another one waits before it ends, so that torchrun sees the other's end first, and names it."""
_LOOKS_EVERY = 2.0
"""Seconds between two checks for a request of another process."""
_SIOCGIFADDR = 0x8915
"""Linux's request for the address of an interface (netdevice(7))."""
_LOOPBACK = 127
"""The first number of IPv4 addresses that a machine has for itself alone."""

_store: torch.distributed.Store | None = None


def own() -> tuple[int, int]:
    """The rank of this process and the number of processes; (0, 1) without torchrun."""
    # Schedulers and container images set WORLD_SIZE and RANK for every task of a job, even for one that works alone. Processes that share work
    # meet at MASTER_ADDR. Without it this one could never meet the others and would do its share only, so it counts as alone and does all the work.
    if "MASTER_ADDR" not in os.environ or "WORLD_SIZE" not in os.environ:
        return 0, 1
    return int(os.environ.get("RANK", 0)), int(os.environ["WORLD_SIZE"])


def machines() -> int:
    """How many machines the processes run on. Raises ``UserError`` where the machines have different numbers of processes."""
    world, local = own()[1], int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if world == 1:
        return 1
    if world % local:
        raise UserError(f"{world} processes, of which this machine has {local}", "Start as many on each: torchrun --nproc-per-node.")
    return world // local


def join(backend: str = "gloo", wait: timedelta = LONGEST_WAIT) -> None:
    """Connects the processes, unless they are connected already or this one is alone.

    Args:
        backend: ``gloo`` (through the CPU) or ``nccl``.
        wait: how long a joint operation may take afterwards.

    Raises:
        UserError: not all of them came within ``MEETING``, or this one was not told where and as whom it meets them.
    """
    global _store
    rank, world = own()
    if world == 1 or torch.distributed.is_initialized():
        return
    several = machines() > 1
    if missing := [name for name in ("RANK", "MASTER_PORT") if name not in os.environ]:
        raise UserError(
            f"MASTER_ADDR and WORLD_SIZE have {world} processes meet, and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            "Start them by torchrun, which sets all of it; for one that works alone unset MASTER_ADDR.",
        )
    try:
        _store, _, _ = next(torch.distributed.rendezvous("env://", rank, world, timeout=MEETING))
        _store.set(f"here/{rank}", "")
        _store.wait([f"here/{other}" for other in range(world)], MEETING)
    except RuntimeError as error:
        raise UserError(
            f"rank {rank} waited {MEETING.seconds // 60} minutes for all {world} processes to come ({first_line(error)})",
            "One that ended has said why; else see that torchrun's --nnodes, --master-addr and ports are right on every machine.",
        ) from None
    # Gloo would take the interface of this machine's own name, which many a machine resolves to itself: no other one reaches it there.
    if several and "GLOO_SOCKET_IFNAME" not in os.environ and (interface := _interface_towards(os.environ["MASTER_ADDR"])):
        os.environ["GLOO_SOCKET_IFNAME"] = interface
    torch.distributed.init_process_group(backend, store=_store, rank=rank, world_size=world, timeout=wait)


def _interface_towards(host: str) -> str | None:
    """The name of the network interface by which this machine reaches ``host``.

    None where that is no other machine's way to this one (a scheduler may tell the first machine to meet at localhost), and where it cannot be told (such as for
    IPv6, or on other systems than Linux).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((host, 9))  # of a datagram socket, which sends nothing
            address = socket.inet_aton(asked.getsockname()[0])
            return None if address[0] == _LOOPBACK else _interface_with(address)
        except (ImportError, OSError):
            return None


def _interface_with(address: bytes) -> str | None:
    """The name of the interface that has an IPv4 address, 4 bytes; None where none has it."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # one without an address
                if fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, name.encode().ljust(256, b"\0"))[20:24] == address:
                    return name
    return None


@contextlib.contextmanager
def among_others() -> Iterator[None]:
    """To be put around what several processes do together: where another process is gone, this one ends too.

    Raises:
        UserError: in place of the libraries' errors about a broken connection.
    """
    try:
        yield
    except RuntimeError as error:
        rank, world = own()
        if world == 1 or not _is_broken_connection(error):
            raise
        try:
            time.sleep(_FIRST_SAYS)
        finally:  # torchrun's SIGTERM included
            raise UserError(
                f"rank {rank} lost another of the {world} processes ({first_line(error)})",
                "See why that one ended first: it has said so, or torchrun names its rank under Root Cause. If none did, the connection itself failed, as the words in brackets say.",
            ) from None


def _is_broken_connection(error: RuntimeError) -> bool:
    """Whether the error is that of a failed collective operation; the libraries say so only in the words of the message."""
    words = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or "gloo" in words or "nccl" in words or "connection" in words


def alike(tensors: Iterable[torch.Tensor]) -> None:
    """Gives the tensors in all processes the values of those in the first one: BatchNorm's statistics, say, which each process took from its own share."""
    if own()[1] > 1:
        for tensor in tensors:
            torch.distributed.broadcast(tensor, 0)


def added_up(mine: torch.Tensor) -> torch.Tensor:
    """The sum of ``mine`` over all processes; every process gets it, and ``mine`` holds it afterwards."""
    if own()[1] > 1:
        torch.distributed.all_reduce(mine)
    return mine


def leave() -> None:
    """Ends the connection, if there is one, whatever state it is in."""
    with contextlib.suppress(RuntimeError, ValueError):
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def wait_for_all() -> None:
    """Waits until all processes are here, then disconnects: one that ended earlier with an exit code of its own would end the others."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        leave()


class Request:
    """Something that any process may ask for and the first one attends to, such as to save and end.

    Args:
        name: one word for it, the same in all processes.
    """

    def __init__(self, name: str) -> None:
        self._key, self._made, self._looked = f"asked/{name}", False, 0.0

    def make(self) -> None:
        if _store is not None and not self._made:
            _store.set(self._key, "")
        self._made = True

    def made(self) -> bool:
        """Whether any process has made the request; this is looked up every two seconds at most."""
        if not self._made and _store is not None and time.monotonic() - self._looked > _LOOKS_EVERY:
            self._looked = time.monotonic()
            self._made = _store.check([self._key])
        return self._made
