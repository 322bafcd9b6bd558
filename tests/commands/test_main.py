"""How commands are found, and how they end: one line and a code, never a traceback for what the user can put right."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch

from reid_srdl import commands
from reid_srdl.errors import UserError
from reid_srdl.training.termination import Terminated

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Puts a function in the place of ``train`` and runs it: code, standard output, standard error."""

    def ended(run: Callable[[list[str]], int], *argv: str, name: str | None = None) -> tuple[object, str, str]:
        module = ModuleType("stand_in")
        module.run = run  # type: ignore[attr-defined]
        module.__spec__ = ModuleSpec("stand_in", None)
        monkeypatch.setitem(sys.modules, "stand_in", module)
        monkeypatch.setitem(commands.COMMANDS, "train", "stand_in")
        monkeypatch.setattr(sys, "argv", ["reid-srdl", *argv])
        with pytest.raises(SystemExit) as stopped:
            commands.main(name)
        return stopped.value.code, *capsys.readouterr()

    return ended


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def run(argv: list[str]) -> int:
        raise error

    return run


def test_output_that_is_closed_is_no_failure(command, monkeypatch):
    def run(argv: list[str]) -> int:
        monkeypatch.setattr(sys, "stdout", None)
        return 0

    assert command(run, "train")[0] == 0


def never(argv: list[str]) -> int:
    raise AssertionError("this command was not asked for")


def test_the_code_of_the_command_is_the_code_of_the_process(command):
    assert command(lambda argv: 1, "train")[0] == 1
    assert command(lambda argv: 0, "train")[0] == 0


@pytest.mark.parametrize("name", [None, "train"])
def test_a_command_gets_its_own_arguments(command, name):
    seen: list[str] = []
    words = ["--version", "--seed", "3"]  # of the command, not of reid-srdl
    command(lambda argv: seen.extend(argv) or 0, *([] if name else ["train"]), *words, name=name)
    assert seen == words


@pytest.mark.parametrize("name", [None, "train"])
def test_a_user_error_is_one_line_and_code_2(command, name):
    error = UserError("there is no\n data set 'x'", "Take one of these.")
    code, out, err = command(raising(error), *([] if name else ["train"]), name=name)
    assert (code, out, err) == (2, "", "reid-srdl train: there is no data set 'x'. Take one of these.\n")


def test_the_keyboard_ends_a_command_with_130(command):
    code, _, err = command(raising(KeyboardInterrupt()), "train")
    assert (code, err) == (130, "reid-srdl train: interrupted\n")


def test_a_full_disk_is_one_line(command):
    code, _, err = command(raising(OSError(errno.ENOSPC, "No space left on device", "runs/a/log.csv")), "train")
    assert code == 2
    assert err.startswith("reid-srdl train: cannot write runs/a/log.csv: No space left on device. ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG, errno.ENOTDIR])
def test_a_place_that_cannot_be_looked_at_is_one_line(command, number):
    code, _, err = command(raising(OSError(number, "so it is", "shut/a")), "train")
    assert code == 2 and err.startswith("reid-srdl train: cannot get at shut/a: so it is. ") and err.count("\n") == 1


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    module = ModuleType("stand_in")
    module.run = raising(PermissionError(errno.EACCES, "no"))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stand_in", module)
    monkeypatch.setitem(commands.COMMANDS, "train", "stand_in")
    monkeypatch.setattr(sys, "argv", ["reid-srdl", "train"])
    with pytest.raises(PermissionError):
        commands.main()


def test_an_unknown_command_names_the_near_ones(command):
    code, out, err = command(never, "trian")
    assert (code, out) == (2, "")
    assert err == "reid-srdl: there is no command 'trian'. Did you mean train?\n"
    assert "There are train, eval, " in command(never, "zzz")[2]


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_without_a_command_they_are_listed(command, argv):
    code, out, err = command(never, *argv)
    assert (code, err) == (0, "")
    for name in commands.COMMANDS:
        assert f"\n  {name} " in out


def test_the_version_is_told(command):
    from reid_srdl import __version__

    assert command(never, "--version")[:2] == (0, __version__ + "\n")


@pytest.mark.parametrize("name", sorted(commands.COMMANDS))
def test_every_command_has_a_file_a_line_and_a_script(name):
    file = ROOT / (commands.COMMANDS[name].replace(".", "/") + ".py")
    assert "\ndef run(argv: list[str]) -> int:" in file.read_text(encoding="utf-8")
    summary = commands._summary(commands.COMMANDS[name])
    assert len(summary) > 10 and f"  {summary}\n" in commands.overview()
    assert (ROOT / "tools" / f"{name}.py").is_file()


def _process(stdout: int) -> tuple[int, bytes]:
    code = "from reid_srdl.commands import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE)
    return ended.returncode, ended.stderr


def test_a_closed_pipe_ends_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert _process(writing) == (141, b"")
    finally:
        os.close(writing)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_onto_a_full_disk_is_one_line():
    with open("/dev/full", "wb") as full:
        code, err = _process(full.fileno())
    assert code == 2
    assert err.startswith(b"reid-srdl: No space left on device. ") and err.count(b"\n") == 1


def test_sigterm_ends_a_command_with_143(command):
    code, _, err = command(raising(Terminated()), "train")
    assert (code, err) == (143, "reid-srdl train: terminated\n")


@pytest.mark.parametrize(("name", "way"), [("train", "--optimiser.accumulate 2"), ("embed", "A smaller --batch"), ("eval", "--device cpu")])
def test_memory_that_is_full_is_one_line_with_what_takes_less(command, monkeypatch, name, way):
    monkeypatch.setitem(commands.COMMANDS, name, "stand_in")
    on_gpu, on_cpu = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee more"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
    for error in (on_gpu, on_cpu, MemoryError("Unable to allocate 2. GiB for an array with shape (1, 2)"), MemoryError()):
        code, _, err = command(raising(error), name)
        assert code == 2 and err.count("\n") == 1 and err.startswith(f"reid-srdl {name}: there is not enough memory (") and way in err
