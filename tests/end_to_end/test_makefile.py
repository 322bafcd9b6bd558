"""The environments that the Makefile makes, with a Python that writes down what it is asked instead of installing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")

STAND_IN = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
    *"pip show"*) exit 1 ;;
    "-m venv"*) ;;
    *) exit 0 ;;
esac
for place; do :; done
if [ "$3" = --clear ]; then find "$place" -mindepth 1 -delete; fi
mkdir -p "$place/bin" && touch "$place/pyvenv.cfg"
# As venv does: a link stays as it is, wherever it leads, and then it is started.
[ -L "$place/bin/python" ] || ln -s "$PYTHON" "$place/bin/python"
"$place/bin/python" -m ensurepip && ln -sf "$PYTHON" "$place/bin/pip" && ln -sf "$PYTHON" "$place/bin/pytest"
"""


@pytest.fixture
def make(tmp_path):
    """Makes a target, and returns what Python was asked on the way."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(Path(__file__).parents[2] / name, tmp_path)
    python, log = tmp_path / "stand-in", tmp_path / "log"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    words = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def made(target):
        log.write_text("")
        subprocess.run(["make", target, f"PYTHON={python}", "VENV=env"], cwd=tmp_path, env={**words, "LOG": str(log), "PYTHON": str(python)}, check=True, capture_output=True)
        return log.read_text()

    return made


@pytest.mark.parametrize("target, folder", [("lint", "env"), ("plain", "env-plain")])
@pytest.mark.parametrize("lost", ["its Python", "bin"])
def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path, make, target, folder, lost):
    assert "-m venv" in make(target) and "venv" not in make(target)
    if lost == "bin":
        shutil.rmtree(tmp_path / folder / "bin")
    else:
        (tmp_path / folder / "bin" / "python").unlink()
        (tmp_path / folder / "bin" / "python").symlink_to(tmp_path / "gone")
    (tmp_path / folder / "lib").mkdir()

    again = make(target)
    assert f"-m venv --clear {folder}" in again
    assert any("pip install" in line and "--no-deps" not in line for line in again.splitlines())
    assert not (tmp_path / folder / "lib").exists() and "venv" not in make(target)


def test_a_folder_that_was_no_environment_keeps_what_it_has(tmp_path, make):
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "mine").touch()
    assert "--clear" not in make("lint") and (tmp_path / "env" / "mine").exists()
