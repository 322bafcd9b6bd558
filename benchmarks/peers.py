"""What the benchmarks against other toolkits share: the toolkits without their output, and pictures on disk for all of them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from reid_srdl.export.samples import random_pictures

CAMERAS = 6
_TOGETHER = 32  # pictures drawn at once
CYTHON = "pyppbox_torchreid"
"""A package with torchreid's Cython evaluator compiled; torchreid itself leaves the compiling to its user."""


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Inside, output and warnings are dropped: torchreid reports all that it does."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def torchreid(module: str) -> Any:
    """A module of torchreid, such as ``data``."""
    with silence():
        return importlib.import_module(f"torchreid.reid.{module}")


def cython_evaluator() -> tuple[Callable[..., Any] | None, str]:
    """torchreid's compiled ``evaluate_cy`` (none where it is not installed), and in words where it is from.

    The module is loaded without the packages around it, which import much that is not needed here.
    """
    for package, inner in (("torchreid", "reid/metrics/rank_cylib"), (CYTHON, "metrics/rank_cylib")):
        found = importlib.util.find_spec(package)
        files = sorted((Path(found.origin).parent / inner).glob("rank_cy*.so")) if found and found.origin else []
        if files:
            spec = importlib.util.spec_from_file_location("rank_cy", files[0])
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.evaluate_cy, package
    return None, f"not installed (pip install --no-deps {CYTHON})"


def pictures(folder: Path, count: int, size: tuple[int, int], people: int) -> list[Path]:
    """Writes ``count`` JPEG files of ``size`` (height, width) named as in Market-1501, of ``people`` identities and ``CAMERAS`` cameras in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for start in range(0, count, _TOGETHER):
        for row, image in enumerate(random_pictures(size, min(_TOGETHER, count - start), seed=start), start):
            files.append(folder / f"{row % people + 1:04d}_c{row % CAMERAS + 1}s1_{row:06d}_00.jpg")
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(files[-1], quality=90)
    return files
