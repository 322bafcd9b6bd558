"""The guide's commands run as they stand, one after the other, and end as the guide shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
EXPECTED_TO_FAIL = "## When something is in the way"


@pytest.fixture
def transcripts(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import transcripts

    return transcripts


def test_commands_are_found_with_the_lines_that_they_go_on_in(transcripts):
    block = "$ one --flag\nits output\n$ two \\\n    --more\n> not a command: $ three\n$ four &\n"
    assert transcripts.commands(block) == ["one --flag", "two \\\n    --more", "four &"]


def test_output_is_written_in_again_and_that_of_errors_too(transcripts, tmp_path):
    page = "Words.\n\n```console\n$ echo new\nold\n$ ls nothing-here >&2 || (echo lost >&2; exit 2)\n```\n\n```bash\necho untouched\n```\n"
    found = transcripts.rewritten(page, tmp_path)
    assert "$ echo new\nnew\n$ ls" in found and "lost\n```" in found and "old" not in found and "```bash\necho untouched\n```" in found


@pytest.mark.soak
def test_the_guide_can_be_followed(transcripts, tmp_path):
    """After the demo's own training: fewer epochs may leave a network that is sure of nobody where few pairs are genuine, and `verify` says so."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    train = ["train", "--config", "demo", "--evaluate", "test", "--output", "runs/demo"]
    subprocess.run([sys.executable, "-m", "reid_srdl", *train], cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=900)
    usual, failing = GUIDE.read_text(encoding="utf-8").split(EXPECTED_TO_FAIL)
    servers: list[subprocess.Popen] = []
    try:
        for block in transcripts.BLOCK.findall(usual):
            shown = re.split(r"^\$ .*$", block, flags=re.MULTILINE)[1:]
            for done, before in zip(transcripts.run(block, tmp_path, servers), shown, strict=True):
                assert not done.code, f"{done.command}: {done.output}"
                assert "Traceback" not in done.output
                if before.strip().startswith("{"):  # what a program reads; its numbers are of another machine
                    assert json.loads(done.output).keys() == json.loads(before).keys(), done.command
        for block in transcripts.BLOCK.findall(failing):
            shown = re.split(r"^\$ .*$", block, flags=re.MULTILINE)[1:]
            for done, before in zip(transcripts.run(block, tmp_path, servers), shown, strict=True):
                assert "Traceback" not in done.output
                assert (done.code == 2) == ("reid-srdl " in before.split(":")[0] and done.output.startswith("reid-srdl ")), f"{done.command}: {done.output}"
    finally:
        codes = transcripts.stop(servers)
    assert codes == [0] * len(servers)
