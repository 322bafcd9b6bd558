"""The suite as a command: what fails keeps nothing else from being measured, and what is measured is kept."""

from __future__ import annotations

import json
import sys
import types

import pytest

import benchmarks
from benchmarks import Figure, Report, __main__, retrieval, scaling, serving
from reid_srdl.errors import UserError


@pytest.fixture
def suite(monkeypatch):
    """Three benchmarks, the second of which cannot be run."""

    def fails(repeats: int) -> Report:
        raise UserError("there is no library", "Install it.")

    def made(value: float):
        return lambda repeats: Report({}, {"task": [value] * repeats}, [Figure("ratio", value, 2.0)])

    module = types.ModuleType("invented")
    module.first, module.second, module.third = made(1.5), fails, made(2.5)
    monkeypatch.setitem(sys.modules, "invented", module)
    known = {name: f"invented:{name}" for name in ("first", "second", "third")}
    monkeypatch.setattr(benchmarks, "BENCHMARKS", known)
    monkeypatch.setattr(__main__, "BENCHMARKS", known)


def test_what_cannot_be_measured_keeps_nothing_else_from_it(suite, tmp_path, capsys):
    assert __main__.main(["--repeats", "3", "--output", str(tmp_path / "all.json")]) == 1
    written = json.loads((tmp_path / "all.json").read_text())
    assert [name for name in written if name != "machine"] == ["first", "third"] and written["first"]["seconds"] == {"task": [1.5] * 3}
    told = capsys.readouterr()
    assert "second was not measured: there is no library. Install it." in told.err and "MISSED" in told.out


def test_the_exit_code_says_whether_all_limits_hold(suite):
    assert [__main__.main([name]) for name in ("first", "second", "third")] == [0, 1, 1]


@pytest.mark.parametrize("main", [__main__.main, scaling.main, serving.main, lambda words: retrieval.main(["query.npz", "gallery.npz", *words])])
def test_no_rounds_are_refused(main, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--repeats", "0"])
    assert caught.value.code == 2 and "--repeats: it must be above 0" in capsys.readouterr().err


def test_memory_is_not_compared_with_itself(capsys):
    assert __main__.main(["serving", "--repeats", "1"]) == 1
    assert "serving was not measured: serving compares memory at the half of its rounds with that at the end" in capsys.readouterr().err
