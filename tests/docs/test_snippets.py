"""The Python in the documents runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```python" in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_snippets_run(page: Path, snippet_folder: Path) -> None:
    """All of a page's snippets, one after the other in one process, in a folder that holds a finished run and images."""
    snippets = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(snippets)], cwd=snippet_folder, capture_output=True, text=True, timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
