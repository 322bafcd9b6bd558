"""The records of the benchmarks as a page: what was compared and how, which values were wanted, and which each record holds.

``python -m benchmarks.page`` writes ``docs/speed.md`` from ``benchmarks/records``. A benchmark is described by the docstring of its module.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid_srdl import files
from reid_srdl.errors import UserError
from reid_srdl.experiments.markdown import table

from . import BENCHMARKS, Figure, script

RECORDS, PAGE = "benchmarks/records", "docs/speed.md"
ELSEWHERE = frozenset({"scaling"})
"""Benchmarks that another page shows: ``docs/scale.md``."""
CLOCKED = {"wall": "by the clock", "cpu": "in seconds of the processor"}

HEAD = """# Speed and memory

Written by `python -m benchmarks.page` from `benchmarks/records`. `python -m benchmarks` measures on your machine, in alternation within one run; what
counts are the ratios, not seconds of one machine. **Bold** is what was wanted and not reached.
What each step costs at large galleries stands on [a page of its own](scale.md)."""


def page(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a section for each benchmark, with a column for each record.

    Args:
        records: name of a file that ``--output`` wrote to its contents.

    Raises:
        UserError: none of them holds a benchmark.
    """
    names = [name for name in BENCHMARKS if name not in ELSEWHERE and any(name in content for content in records.values())]
    if not names:
        raise UserError("the records hold no benchmark", "python -m benchmarks --output FILE.json writes one.")
    modules = [BENCHMARKS[name].partition(":")[0] for name in names]
    # Two benchmarks of one module share its docstring, which is shown with the first.
    sections = [_section(name, "" if module in modules[:number] else _words(module), records) for number, (name, module) in enumerate(zip(names, modules, strict=True))]
    gpu = [] if any(content["machine"].get("gpu") for content in records.values()) else ["No record is of a GPU yet."]
    return "\n\n".join([HEAD, *gpu, *sections]) + "\n"


def _section(name: str, words: str, records: Mapping[str, Mapping[str, Any]]) -> str:
    found = {record: content[name] for record, content in records.items() if name in content}
    figures = {record: {one["what"]: _figure(one) for one in report["figures"]} for record, report in found.items()}
    rows = [
        [what, _wanted([of[what] for of in figures.values() if what in of]), *(_value(of.get(what)) for of in figures.values())]
        for what in dict.fromkeys(what for of in figures.values() for what in of)
    ]
    sources = "\n".join(f"- [{record}](../{RECORDS}/{record}.json): {_conditions(records[record], report)}" for record, report in found.items())
    return "\n\n".join(filter(None, [f"## {name}", words, table(["", "wanted", *found], rows), sources]))


def _figure(noted: Mapping[str, Any]) -> Figure:
    return Figure(**{key: value for key, value in noted.items() if key != "holds"})


def _wanted(figures: Sequence[Figure]) -> str:
    bounds = [f"{sign} {bound:g}" for sign, bound in (("≤", figures[-1].limit), ("≥", figures[-1].least)) if bound is not None]
    return ", ".join(bounds)


def _value(figure: Figure | None) -> str:
    if figure is None:
        return ""
    text = f"{_digits(figure.value)} {figure.unit}".strip()
    return text if figure.holds else f"**{text}**"


def _digits(value: float) -> str:
    """From 0.01 on with at most three digits behind the point, fewer for larger numbers; below that with two significant digits."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 3}f}" if abs(value) >= 0.01 else f"{value:.2g}"


def _conditions(record: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    machine = record["machine"]
    rounds = max((len(seconds) for seconds in report["seconds"].values()), default=0)
    threads = report.get("settings", {}).get("threads", machine["threads"])  # PyTorch's own; some benchmarks use fewer than the machine has
    load = f", other work beside it (load {machine['load']:.0f})" if machine.get("load", 0) > 2 * machine["threads"] else ""
    timed = f"median of {rounds} rounds" if rounds > 1 else "one run"
    clock = report.get("settings", {}).get("clock") or machine.get("clock", "wall")  # a benchmark that waits for a disk always uses wall time
    return f"{machine.get('gpu') or machine['processor']}, {_count(threads, 'thread')}{load}; {timed}, {CLOCKED[clock]}; torch {machine['torch']}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _words(module: str) -> str:
    """The docstring of a benchmark's module, as Markdown."""
    file = Path(__file__).parent / f"{module.partition('.')[2]}.py"
    return (ast.get_docstring(ast.parse(file.read_text())) or "").replace("``", "`")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description="The records of the benchmarks as a page.")
    parser.add_argument("records", nargs="*", metavar="RECORD.json", help=f"which (default: all of {RECORDS})")
    parser.add_argument("--output", metavar="FILE.md", default=PAGE, help="the page (default %(default)s)")
    options = parser.parse_args(argv)
    found = [Path(record) for record in options.records] or sorted(Path(RECORDS).glob("*.json"))
    files.write_text(Path(options.output), page({path.stem: files.read_json(path) for path in found}))
    print(f"The page is {options.output}")
    return 0


if __name__ == "__main__":
    script(main)
