"""``python -m benchmarks [NAME ...] [--repeats N] [--output FILE.json]``: exit code 1 where a limit does not hold."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import sys

import numpy as np
import torch

from reid_srdl import __version__, devices, files
from reid_srdl.errors import UserError

from . import BENCHMARKS, CLOCKS, Report, above_zero, clock, script


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory, as ratios within one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default all): {', '.join(BENCHMARKS)}")
    parser.add_argument("--repeats", type=above_zero, default=5, help="rounds that are timed (default 5)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what counts: time, or on a busy machine (with OMP_NUM_THREADS=1) the processor's")
    parser.add_argument("--output", metavar="FILE.json", help="where to write the figures and all seconds")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    reports: dict[str, Report] = {}
    failed = False
    for name in options.names or BENCHMARKS:
        module, _, function = BENCHMARKS[name].partition(":")
        try:
            with clock(options.clock):
                reports[name] = getattr(importlib.import_module(module), function)(options.repeats)
        except UserError as error:  # the others can be measured all the same
            print(f"\n{name} was not measured: {error}", file=sys.stderr)
            failed = True
            continue
        show(name, reports[name])
        if options.output:  # after each, so that what is measured is kept
            files.write_json(options.output, {"machine": {**_machine(), "clock": options.clock}, **{name: _as_json(report) for name, report in reports.items()}})
    if options.output and reports:
        print(f"\nAll seconds are in {options.output}")
    return 0 if not failed and all(figure.holds for report in reports.values() for figure in report.figures) else 1


def show(name: str, report: Report) -> None:
    """Prints the seconds of each task and the figures."""
    print(f"\n{name}  ({', '.join(f'{key} {value}' for key, value in report.settings.items())})")
    for task, seconds in report.seconds.items():
        print(f"  {task:<58}{np.median(seconds):>9.3f} s   ({min(seconds):.3f} to {max(seconds):.3f})")
    for figure in report.figures:
        wanted = [f"{word} {bound:g}" for word, bound in (("limit", figure.limit), ("at least", figure.least)) if bound is not None]
        verdict = f"   {', '.join(wanted)}  {'holds' if figure.holds else 'MISSED'}" if wanted else ""
        print(f"  {figure.what:<58}{figure.value:>9.3f} {figure.unit:<2}{verdict}")


def _as_json(report: Report) -> dict:
    figures = [dataclasses.asdict(figure) | {"holds": figure.holds} for figure in report.figures]
    return {"settings": report.settings, "figures": figures, "seconds": report.seconds}


def _machine() -> dict:
    facts = devices.hardware(devices.choose("auto"))
    return {**facts, "load": os.getloadavg()[0], "threads": torch.get_num_threads(), "torch": torch.__version__, "numpy": np.__version__, "reid_srdl": __version__}


if __name__ == "__main__":
    script(main)
