"""What an exported file says about itself, in the same way in all formats."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import ModelConfig
from ..errors import UserError

FORMAT = "reid_srdl export 1"
IMAGES, EMBEDDING, LOGITS = "images", "embedding", "logits"
"""Names of the input and the outputs of files exported here."""


@dataclass(frozen=True)
class ExportFacts:
    """What is needed to use a file exported here. The file takes uint8 ``(B, 3, H, W)`` in RGB of this size and normalises them itself.

    Args:
        source: hash of the weights that it was made from (``Trained.model_hash``).
        model: how the network was built.
        size: (H, W) in pixels. Resizing to it is left to the caller: bilinear, averaging where it shrinks, rounded to whole numbers.
        crop: the part of each image that the network was trained on (``data.crop``).
        precision: ``fp32``, ``bf16`` or ``int8``.
        metric: the one by which embeddings are meant to be compared.
        mean, std: of each channel in units of 0..1, what the file normalises the pixels by.
        labels: C training labels, where the file has logits.
    """

    source: str
    model: ModelConfig
    size: tuple[int, int]
    crop: str = "none"
    precision: str = "fp32"
    metric: str = "euclidean"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[int, ...] = ()

    def as_json(self) -> str:
        """The text that is stored in the file."""
        return json.dumps({"format": FORMAT, "input": "uint8 (B, 3, H, W), RGB, resized by the caller", **dataclasses.asdict(self)}, sort_keys=True)


def read_facts(text: str, path: Path) -> ExportFacts:
    """The facts of a file exported here. Raises ``UserError`` where they are of another version, or were altered."""
    try:
        values: dict[str, Any] = json.loads(text)
        if values.pop("format") != FORMAT:
            raise UserError(f"{path} was exported by another version", "Use the version that wrote it, or export the network again.")
        values.pop("input", None)
        model = ModelConfig(**values.pop("model"))
        listed = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        facts = ExportFacts(model=model, **listed)
        height, width = map(int, facts.size)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} says things of itself that this version does not know ({error})", "Export the network again.") from None
    return dataclasses.replace(facts, size=(height, width))
