"""Numbers and protocols in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

METRICS = {"euclidean": "squared Euclidean distance", "cosine": "cosine distance"}


def count(number: int, what: str, plural: str = "") -> str:
    """``1 epoch``, ``1,200 epochs``."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def duration(seconds: float) -> str:
    """``8.2 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def percent(probability: float, digits: int = 1) -> str:
    """A probability (0 to 1) in percent, with ``digits`` behind the point: ``99.3``.

    Where rounding would turn it into a certainty, which no probability here is: ``>99.9`` or ``<0.1``.
    """
    said, least = f"{100 * probability:.{digits}f}", 10.0**-digits
    return {0: f"<{least:.{digits}f}", 100: f">{100 - least:.{digits}f}"}.get(float(said), said)


def distance_word(distance: float) -> str:
    """A threshold in four digits; an infinite one in words: any distance is below it, or none."""
    return f"{distance:.4g}" if math.isfinite(distance) else "any" if distance > 0 else "none is that sure"


def protocol(stamp: Mapping[str, Any]) -> list[str]:
    """The protocol stamp of ``metrics.json`` in sentences; entries without a sentence follow as ``name: value``."""
    left = dict(stamp)
    sentences = [*(_classes(left) if "classes" in left else _images(left)), *_distances(left), *_scores(left), *_embeddings(left)]
    return sentences + [f"{name.replace('_', ' ')}: {value}" for name, value in left.items() if value not in (None, "", {})]


def _classes(left: dict[str, Any]) -> list[str]:
    held_out = left.pop("split", "test") == "val"
    left.pop("dataset", None)
    said = [f"{count(left.pop('images'), 'held-out training image' if held_out else 'test image')} of {count(left.pop('classes'), 'class', 'classes')}."]
    crop = left.pop("crop", None)
    if crop == "imagenet":
        said.append("Of each image the centre, once it was resized to cover 256/224 of the network’s size.")
    elif crop is not None:
        said.append("Whole images, resized to the size of the network.")
    if "flip" in left:
        mirrored = left.pop("flip")
        said.append("Probabilities are the mean of those of an image and its mirror." if mirrored else "Images are classified as they are, not mirrored.")
    rules = [f"{short}: {left.pop(name)}" for name, short in {"top5": "Top-5", "ece": "ECE"}.items() if left.get(name)]
    said += ["; ".join(rules) + "."] if rules else []
    if ensemble := left.pop("ensemble", None):
        networks = count(len(ensemble["checkpoints"]), "network")
        passes = count(ensemble["passes_per_image"], "pass", "passes")
        said.append(f"Ensemble: the {ensemble['probabilities']} of the probabilities of {networks}, at {passes} through a network for each image.")
    if checkpoint := left.pop("checkpoint", ""):
        said.append(f"By the network {checkpoint[:12]}.")
    return said


def _images(left: dict[str, Any]) -> list[str]:
    said = []
    if left.get("dataset") and left.pop("split", "test") == "val":
        said.append("The people are some of the training set’s, held out from training.")
    left.pop("dataset", None)
    if {"queries", "gallery"} <= left.keys():
        line = f"{count(left.pop('queries'), 'query', 'queries')} against {count(left.pop('gallery'), 'gallery image')}"
        if distractors := left.pop("distractors", 0):
            line += f", {distractors:,} of them distractors, which are right for nobody"
        if matches := left.pop("matches", 0):
            line += f"; {count(matches, 'good match', 'good matches')} in all"
        said.append(line + ".")
    if junk := left.pop("junk_removed", 0):
        said.append(f"{count(junk, 'junk image')} of the gallery left out, neither right nor wrong.")
    if "same_camera" in left:
        asked = left.pop("same_camera")
        said.append(
            "Images of the query’s person from the query’s own camera count as matches."
            if asked
            else "Images of the query’s person from the query’s own camera do not exist for it."
        )
    if "queries_without_match" in left and (alone := left.pop("queries_without_match")):
        said.append(f"{count(alone, 'query has', 'queries have')} no match and {'is' if alone == 1 else 'are'} no part of the scores.")
    return said


def _distances(left: dict[str, Any]) -> list[str]:
    if "metric" not in left:
        return []
    metric, normalised = left.pop("metric"), left.pop("normalisation", "")
    line = f"Ordered by {METRICS.get(metric, metric)}"
    line += "" if normalised in ("", "none") else f", {normalised}"
    if ties := left.pop("ties", ""):
        line += f"; equal distances {ties}"
    if (engine := left.pop("engine", "exact")) != "exact" and not left.get("rerank"):
        line += f"; searched by {engine}"
    return [line + ".", *_second_looks(left)]


def _second_looks(left: dict[str, Any]) -> list[str]:
    said = []
    if expanded := left.pop("expand", 0):
        said.append(f"Each query was averaged with the {count(expanded, 'gallery item')} nearest to it before it was ranked (average query expansion).")
    if how := left.pop("rerank", None):
        said.append(f"Re-ranked by k-reciprocal neighbours (Zhong et al. 2017): {', '.join(f'{name} {value:g}' for name, value in how.items())}.")
    return said


def _scores(left: dict[str, Any]) -> list[str]:
    names = {"mAP": "mAP", "mAP_trapezoid": "mAP, trapezoid", "mINP": "mINP"}
    rules = [f"{short}: {left.pop(name)}" for name, short in names.items() if left.get(name)]
    return ["; ".join(rules) + "."] if rules else []


def _embeddings(left: dict[str, Any]) -> list[str]:
    said = []
    multi, ensemble = left.pop("multi_query", None), left.pop("ensemble", None)
    if multi:
        line = f"Multi-query: the {multi['pooling']} over all images of the query’s person and camera"
        said.append(line + (f"; {multi['queries_alone']:,} queries have no others." if multi.get("queries_alone") else "."))
    if ensemble:
        line = f"Ensemble: embeddings of {len(ensemble['checkpoints'])} networks {ensemble['embedding']}, {ensemble['dimension']:,} numbers"
        said.append(f"{line}, at {count(ensemble['passes_per_image'], 'pass', 'passes')} through a network for each image.")
    if "flip" in left:
        flip = left.pop("flip")
        said.append("Each embedding is averaged with that of the mirrored image." if flip else "Images are embedded as they are, not mirrored.")
    if dimension := left.pop("dimension", None):
        said.append(f"Embeddings of {dimension:,} numbers" + (f", by the network {left.pop('checkpoint')[:12]}." if left.get("checkpoint") else "."))
    if version := left.pop("version", ""):
        said.append(f"Scored by reid_srdl {version}.")
    return said
