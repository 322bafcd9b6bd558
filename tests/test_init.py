"""`from reid_srdl import load, Embeddings`, without paying for torch where it is not needed."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import reid_srdl

ROOT = Path(__file__).resolve().parent.parent


def test_importing_the_package_and_its_command_imports_no_torch():
    code = "import sys, reid_srdl.commands as c; c.overview(); sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_names_come_from_their_rooms():
    from reid_srdl import Embeddings, embeddings, load, runs

    assert Embeddings is embeddings.Embeddings and load is runs.load
    assert set(reid_srdl.__all__) <= set(dir(reid_srdl))
    for name in reid_srdl.__all__:
        assert getattr(reid_srdl, name).__doc__ if name != "__version__" else reid_srdl.__version__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        reid_srdl.lode  # noqa: B018
    with pytest.raises(ImportError):
        from reid_srdl import lode  # noqa: F401


def test_the_version_has_one_home():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["version"] == "attr: reid_srdl.__version__"
    assert f"\nversion: {reid_srdl.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
