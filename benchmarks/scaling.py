"""What each step costs at galleries that no test machine holds: measured at sizes that fit, and extrapolated by each step's law.

``python -m benchmarks scaling`` measures. ``python -m benchmarks.scaling --output FILE.json`` keeps the record, and ``--page FILE.md`` writes its
table into a page, between the marks that it finds there.

Seconds are the processor's, of one thread, on random vectors clustered by person; memory is the most that a process has of its own during the
step, beyond its inputs (a gallery is mapped from its file); stored is what is left on disk. Each size is measured in a fresh process.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reid_srdl import __version__, devices, files, inference
from reid_srdl.data.images import MemoryImages
from reid_srdl.embeddings import Embeddings
from reid_srdl.embeddings import write as write_embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.rerank import reranked
from reid_srdl.models import build
from reid_srdl.models.folding import for_embedding
from reid_srdl.retrieval import Index, create_index, open_index

from . import Figure, Report, above_zero, script
from .memory import alone, peak_memory

DIMENSION, CAMERAS, IMAGES_OF_A_PERSON, QUERIES, TOP_K = 512, 6, 20, 200, 20
TRAINED_ON = 4_000
BACKBONE, SIZE = "torchreid:osnet_x0_25", (128, 64)
GALLERIES = (10**5, 10**6, 10**8)
"""Sizes that the table extrapolates to."""
MARKS = "<!-- scaling: written by benchmarks.scaling -->", "<!-- /scaling -->"

Work = Callable[[Path, int], tuple[Callable[[], object], Callable[[], int]]]
"""Given an empty folder and a size: the task, and a function for the bytes that it left on disk."""


@dataclass(frozen=True)
class Step:
    """One thing that is done with a gallery of N images.

    Args:
        what: the step in words.
        sizes: of the galleries that are measured, ascending.
        law: the power of N by which seconds grow: 0, 1 or 2; none where it is not known, and the measured power is used.
        memory_law: the power by which memory grows.
        work: makes the task.
    """

    what: str
    sizes: tuple[int, ...]
    law: int | None
    memory_law: int
    work: Work


def gallery(count: int, seed: int = 0) -> Embeddings:
    """Random vectors of ``count`` images, each near the vector of its person, with labels and cameras."""
    rng = np.random.default_rng(seed)
    people = np.random.default_rng(1).standard_normal((max(1, count // IMAGES_OF_A_PERSON), DIMENSION), dtype=np.float32)
    labels = rng.integers(0, len(people), count)
    vectors = people[labels] + rng.standard_normal((count, DIMENSION), dtype=np.float32)
    return Embeddings(vectors, labels=labels + 1, cameras=rng.integers(1, CAMERAS + 1, count))


def _mapped(folder: Path, count: int) -> Embeddings:
    whole = gallery(count)
    np.save(folder / "gallery.npy", whole.vectors)
    return dataclasses.replace(whole, vectors=np.load(folder / "gallery.npy", mmap_mode="r"))


def _queries(of: Embeddings, count: int) -> Embeddings:
    """Some of the gallery's images as queries of another camera, so that their matches count."""
    some = of.take(np.linspace(0, len(of) - 1, min(count, len(of))).astype(np.int64))
    return dataclasses.replace(some, cameras=np.full(len(some), CAMERAS + 1))


def _embed(folder: Path, count: int) -> tuple[Callable[[], object], Callable[[], int]]:
    network = for_embedding(build(BACKBONE, 751, weights="none", image_size=SIZE).eval(), SIZE)  # as the command embed has it
    pictures = np.random.default_rng(0).integers(0, 256, (inference.BATCH, *SIZE, 3), dtype=np.uint8)
    batch, place = MemoryImages.of(pictures), devices.ALONE

    def task() -> None:
        names = (tuple(f"{start + row:08}.jpg" for row in range(inference.BATCH)) for start in range(0, count, inference.BATCH))
        write_embeddings(folder / "out.npz", (Embeddings(inference.embed(network, batch, size=SIZE, place=place), paths=some) for some in names))

    return task, lambda: (folder / "out.npz").stat().st_size


def _index(factory: str) -> Work:
    def work(folder: Path, count: int) -> tuple[Callable[[], object], Callable[[], int]]:
        items, file = _mapped(folder, count), folder / "gallery.index"

        def task() -> None:
            create_index(file, items, factory=factory, replace=True)[0].close()

        return task, lambda: sum(path.stat().st_size for path in folder.iterdir() if path.name.startswith("gallery.index"))

    return work


def _trained(folder: Path, items: Embeddings, factory: str) -> Index:
    """An index that was trained on the first ``TRAINED_ON`` items, so that training takes equally long at every size."""
    some = items.take(np.arange(TRAINED_ON))
    return create_index(folder / "gallery.index", dataclasses.replace(some, paths=tuple(f"first{row}" for row in range(len(some)))), factory=factory)[0]


def _add(factory: str) -> Work:
    def work(folder: Path, count: int) -> tuple[Callable[[], object], Callable[[], int]]:
        items = _mapped(folder, count)
        _trained(folder, items, factory).close()
        named = dataclasses.replace(items, paths=tuple(f"{row:08}.jpg" for row in range(count)))
        added = folder / "added.index"

        def task() -> None:
            shutil.copyfile(folder / "gallery.index", added)  # a copy for each round: adding what an index already has would replace it, which is another task
            with contextlib.closing(open_index(added)) as index:
                index.add(named)

        return task, lambda: added.stat().st_size

    return work


def _rank(folder: Path, count: int) -> tuple[Callable[[], object], Callable[[], int]]:
    items = _mapped(folder, count)
    query = _queries(items, QUERIES)
    return lambda: rank(query, items, device="cpu"), lambda: 0


def _rerank(folder: Path, count: int) -> tuple[Callable[[], object], Callable[[], int]]:
    items = _mapped(folder, count)
    query = _queries(items, QUERIES)

    def task() -> None:
        for _, distances in reranked(query.vectors, np.asarray(items.vectors)):
            distances.argmin()

    return task, lambda: 0


def _search(factory: str, trained: bool = False) -> Work:
    def work(folder: Path, count: int) -> tuple[Callable[[], object], Callable[[], int]]:
        items = _mapped(folder, count)
        if trained:
            with contextlib.closing(_trained(folder, items, factory)) as made:
                made.add(dataclasses.replace(items, paths=tuple(f"{row:08}.jpg" for row in range(count))))
        else:
            create_index(folder / "gallery.index", items, factory=factory)[0].close()
        index, query = open_index(folder / "gallery.index"), _queries(items, QUERIES)
        return lambda: index.search(query.vectors, TOP_K), lambda: 0

    return work


_LINEAR, _GRAPH = (20_000, 40_000, 80_000), (2_500, 5_000, 10_000)
_COMPRESSED = "IVF64,PQ64"
STEPS = {
    "embed": Step(f"embed ({BACKBONE}, {SIZE[0]}x{SIZE[1]})", (512, 1024, 2048), 1, 0, _embed),
    "index_flat": Step("index, Flat", _LINEAR, 1, 1, _index("Flat")),
    "index_hnsw": Step("index, HNSW32", _GRAPH, None, 1, _index("HNSW32")),
    "index_pq": Step(f"index, {_COMPRESSED} (added to one that is trained)", _LINEAR, 1, 1, _add(_COMPRESSED)),
    "rank": Step(f"rank, {QUERIES} queries", _LINEAR, 1, 0, _rank),
    "rerank": Step(f"rerank, {QUERIES} queries", (2_000, 4_000, 8_000), 2, 1, _rerank),
    "search_flat": Step(f"search, Flat, {QUERIES} queries", _LINEAR, 1, 0, _search("Flat")),
    "search_hnsw": Step(f"search, HNSW32, {QUERIES} queries", _GRAPH, 0, 0, _search("HNSW32")),
    "search_pq": Step(f"search, {_COMPRESSED}, {QUERIES} queries", _LINEAR, 1, 0, _search(_COMPRESSED, trained=True)),
}


@dataclass(frozen=True)
class Found:
    """What a step cost: seconds, bytes of memory and bytes on disk, one number for each size."""

    sizes: list[int]
    seconds: list[float]
    memory: list[int]
    stored: list[int]


def measure(name: str, repeats: int) -> Found:
    """Measures a step at each of its sizes, each in a process of its own."""
    print(f"measuring {STEPS[name].what}", flush=True)
    rows = [alone(_measured, name, size, repeats) for size in STEPS[name].sizes]
    seconds, memory, stored = (list(column) for column in zip(*rows, strict=True))
    return Found(list(STEPS[name].sizes), seconds, memory, stored)


def _measured(name: str, size: int, repeats: int) -> tuple[float, int, int]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        task, stored = STEPS[name].work(Path(folder), size)
        memory = peak_memory(task)
        times = []
        for _ in range(repeats):
            began = time.process_time()
            task()
            times.append(time.process_time() - began)
        return statistics.median(times), memory, stored()


# --- carried on ---------------------------------------------------------------------------------------------------------


def power(sizes: list[int], values: list[float]) -> float:
    """The power of N by which the values grow, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def at(size: int, sizes: list[int], values: list[float], law: int | None) -> float:
    """The value at another size, from the constant and the multiple of N to the power of ``law`` that fit the measured values best.

    With a law of 0 it is the largest value; without a law the value at the largest size grows by the measured power.
    """
    if law is None:
        return float(values[-1] * (size / sizes[-1]) ** power(sizes, values))
    if law == 0:
        return float(max(values))
    columns = np.column_stack([np.ones(len(sizes)), np.power(np.array(sizes, dtype=np.float64) / sizes[-1], law)])
    constant, slope = np.linalg.lstsq(columns, np.array(values, dtype=np.float64), rcond=None)[0]
    return float(max(0.0, constant) + slope * (size / sizes[-1]) ** law)


def run(repeats: int) -> Report:
    """Measures all steps; the figures are their powers of N, and the bytes stored for an image."""
    return report({name: measure(name, repeats) for name in STEPS})


def report(found: dict[str, Found]) -> Report:
    """The record of a measurement."""
    figures = []
    for name, one in found.items():
        figures.append(Figure(f"{name}: seconds grow by N to the power of", power(one.sizes, one.seconds)))
        if any(one.stored):
            figures.append(Figure(f"{name}: stored, bytes an image", (one.stored[-1] - one.stored[0]) / (one.sizes[-1] - one.sizes[0]), unit="B"))
    settings = {"dimension": DIMENSION, "queries": QUERIES, "threads": 1, "measured": {name: dataclasses.asdict(one) for name, one in found.items()}}
    seconds = {f"{name}, {size:,}": [value] for name, one in found.items() for size, value in zip(one.sizes, one.seconds, strict=True)}
    return Report(settings, seconds, figures)


# --- the table ----------------------------------------------------------------------------------------------------------


def table(measured: dict[str, dict[str, list]]) -> str:
    """Markdown with a row for each step: what it costs at ``GALLERIES``, from ``measured`` of a record."""
    heads = ["step", "measured up to", "power of N", *(f"10{_raised(size)} images" for size in GALLERIES)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, step in STEPS.items():
        one = Found(**measured[name])
        cells = [step.what, f"{one.sizes[-1]:,}", f"{power(one.sizes, one.seconds):.2f}"]
        for size in GALLERIES:
            parts = [
                _seconds(at(size, one.sizes, one.seconds, step.law)),
                f"{_bytes(at(size, one.sizes, one.memory, step.memory_law))} memory",
            ]
            if any(one.stored):
                parts.append(f"{_bytes(at(size, one.sizes, one.stored, 1))} stored")
            cells.append(", ".join(parts))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _raised(size: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(len(str(size)) - 1))


def _seconds(value: float) -> str:
    for limit, unit, divisor in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if value < limit:
            return f"{value / divisor:{'.2g' if value < 10 * divisor else '.0f'}} {unit}"
    return f"{value / 86400:,.0f} days"


def _bytes(value: float) -> str:
    for unit in ("MB", "GB"):
        value /= 1000 if unit == "GB" else 1e6
        if value < 1000 or unit == "GB":
            return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    raise AssertionError


def written_into(page: str, record: dict[str, Any]) -> str:
    """A page with the table of a record between its ``MARKS``. Raises ``UserError`` where it has no marks."""
    before, first, rest = page.partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not first or not last:
        raise UserError(f"the page has no marks {' and '.join(MARKS)}", "Put them where the table belongs.")
    machine = record["machine"]
    note = f"{machine['processor']}, 1 thread; torch {machine['torch']}, {DIMENSION} numbers an image."
    return f"{before}{MARKS[0]}\n\n{table(record['scaling']['settings']['measured'])}\n\n{note}\n\n{MARKS[1]}{after}"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="What each step costs, carried on to large galleries.")
    parser.add_argument("--repeats", type=above_zero, default=3, help="rounds that are timed (default 3)")
    parser.add_argument("--output", metavar="FILE.json", default="benchmarks/records/scaling.json", help="the record (default %(default)s)")
    parser.add_argument("--page", metavar="FILE.md", help="write the table of the record into this page, and measure nothing where it is there")
    options = parser.parse_args(argv)
    if not (options.page and Path(options.output).is_file()):
        from .__main__ import show

        found = run(options.repeats)
        show("scaling", dataclasses.replace(found, settings={key: value for key, value in found.settings.items() if key != "measured"}))
        files.write_json(options.output, {"machine": _machine(), "scaling": dataclasses.asdict(found)})
        print(f"\nThe record is {options.output}")
    if options.page:
        page = Path(options.page)
        files.write_text(page, written_into(page.read_text(), files.read_json(options.output)))
        print(f"The table is in {page}")
    return 0


def _machine() -> dict[str, Any]:
    facts = devices.hardware(torch.device("cpu"))
    return {**facts, "clock": "cpu", "torch": torch.__version__, "numpy": np.__version__, "reid_srdl": __version__}


if __name__ == "__main__":
    script(main)
