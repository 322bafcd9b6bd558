import os
import platform
import subprocess
import sys

import pytest

from reid_srdl import heap

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")

COUNTED = """
import contextlib, resource, sys
import torch
from reid_srdl import heap

def step():
    layers = [torch.zeros(1 << 24) for _ in range(4)]  # 64 MiB each, as activations are

def faulted(memory):
    with memory:
        for _ in range(5):  # until the blocks have found their places
            step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(3):
            step()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

plain, before = faulted(contextlib.nullcontext()), resident()
with heap.reused():
    inner, kept = faulted(heap.reused()), resident()
print(plain, inner, kept - before, resident() - before)
"""


def counted(**environment: str) -> list[int]:
    """Faulted pages of three steps as they come; the same where memory is reused; MiB that this keeps, and leaves behind."""
    ran = subprocess.run([sys.executable, "-c", COUNTED], env=os.environ | environment, capture_output=True, text=True, check=True)
    return [int(figure) for figure in ran.stdout.split()]


def test_a_step_finds_the_pages_of_the_one_before():
    plain, reused, kept, left = counted()
    assert reused < plain / 10
    assert kept > 200  # of the four blocks
    assert left < 64


def test_what_the_environment_says_of_malloc_is_respected():
    plain, reused, *_ = counted(MALLOC_ARENA_MAX="4")
    assert reused > plain / 2


def test_an_error_inside_ends_it(monkeypatch):
    said = []
    monkeypatch.setattr(heap, "_mallopt", lambda: lambda option, value: said.append((option, value)))
    with pytest.raises(RuntimeError), heap.reused():
        assert len(said) == 2
        raise RuntimeError
    assert len(said) == 5
    with heap.reused(), heap.reused():
        assert len(said) == 7
    assert len(said) == 10


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap, "_mallopt", lambda: None)
    with heap.reused():
        pass
