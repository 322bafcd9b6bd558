"""The words of a model card: settings as they were recorded, terms, how to load it, and what it must not be used for."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..config import Config
from ..config.keys import keys_of
from ..data import DRAWN, OWN
from ..data.joined import part_names
from ..markdown import row
from ..models.cost import Cost
from .words import count

NOT_RECORDED = "not recorded"

_SETTINGS = {
    "Network": "model.backbone",
    "Weights that it began from": "model.weights",
    "Neck": "model.neck",
    "Last stride": "model.last_stride",
    "Pooling": "model.pooling",
    "Batch": "data.batch",
    "Sampler": "data.sampler",
    "Optimiser": "optimiser.name",
    "Learning rate": "optimiser.rate",
    "Momentum": "optimiser.momentum",
    "Nesterov": "optimiser.nesterov",
    "Weight decay": "optimiser.weight_decay",
    "Schedule of the rate": "schedule.name",
    "Warm-up, epochs of a stage": "schedule.warmup_epochs",
    "Drops of the rate, shares of a stage": "schedule.drops",
    "Factor of a drop": "schedule.factor",
    "Metric loss": "metric.name",
    "Average of the weights, decay a step": "ema.decay",
    "Label smoothing": "loss.label_smoothing",
    "Temperature": "loss.temperature",
    "Flip, probability": "augment.flip",
    "Padding before the random crop, pixels": "augment.pad",
    "What is padded": "augment.pad_mode",
    "Random erasing, probability": "augment.erase",
    "Crop": "data.crop",
}


_OF_THE_RECIPE = ("data.", "augment.", "model.", "plan.", "optimiser.", "schedule.", "loss.", "metric.", "ema.", "reference.")
_TOLD_ELSEWHERE = (
    "data.height", "data.width", "data.memory_gb", "data.workers", "data.holdout_identities", "data.holdout_per_class",
    "plan.name", "plan.epochs", "plan.first.rate", "plan.second.rate",
)  # fmt: skip


def value(config: Mapping[str, Any], key: str) -> str:
    """A setting by its dotted name, as it was recorded; of an absolute path only the file's name, since its folders mean nothing elsewhere."""
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return NOT_RECORDED
        found = found[part]
    if isinstance(found, bool):
        return "yes" if found else "no"
    if found is None:
        return "not set"
    if isinstance(found, list):
        return ", ".join(str(item) for item in found)
    return os.path.basename(found) if isinstance(found, str) and os.path.isabs(found) else str(found)


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings of the recipe, by their names in the card."""
    size = [value(config, f"data.{side}") for side in ("height", "width")]
    rows = {name: value(config, key) for name, key in _SETTINGS.items()}
    rows["Input, height × width in pixels"] = NOT_RECORDED if NOT_RECORDED in size else " × ".join(size)
    for stage in ("first", "second"):
        rates = value(config, f"plan.{stage}.rate")
        if rates not in (NOT_RECORDED, "not set"):
            rows[f"Learning rate of the {stage} stage"] = rates
    return rows | _others(config)


def _others(config: Mapping[str, Any]) -> dict[str, str]:
    """All other settings of the recipe that differ from their defaults, by their dotted names."""
    usual, rows = dataclasses.asdict(Config()), {}
    for key in keys_of(Config):
        if key.startswith(_OF_THE_RECIPE) and key not in (*_SETTINGS.values(), *_TOLD_ELSEWHERE):
            said = value(config, key)
            if said not in (NOT_RECORDED, value(usual, key)):
                rows[f"`{key}`"] = said
    return rows


def held_out(config: Mapping[str, Any], classifies: bool) -> str:
    """How many people, or images of each class, were held out from training, in words."""
    recorded = value(config, "data.holdout_per_class" if classifies else "data.holdout_identities")
    if recorded == NOT_RECORDED:
        return recorded
    number = int(recorded)
    if not number:
        return "none"
    return f"{count(number, 'image')} of each class" if classifies else count(number, "person", "people")


def terms(dataset: str) -> str:
    """Where the terms of a data set are found, in words."""
    if dataset in OWN:
        return f"{NOT_RECORDED}: the images are the trainer’s own, and so is the duty to say on what terms they may be used"
    if dataset in DRAWN:
        return "none: every image was drawn by the program"
    if len(parts := part_names(dataset)) > 1:
        return "; ".join(f"{part}: {terms(part)}" for part in parts)
    return f"those of its publisher, which hold for what is trained on it too; see `datasets/README.md` of reid_srdl, under `{dataset}`"


_FROM = "From the folder that holds this run’s folder:\n\n"


def loading(name: str, classifies: bool) -> str:
    """The lines of Python that load the run ``name``, as Markdown."""
    name = json.dumps(name, ensure_ascii=False)  # a JSON string is also a Python literal
    if classifies:
        return f'{_FROM}```python\nfrom reid_srdl import load\n\nnetwork = load({name}).network  # images (B, 3, H, W), normalised, to network(images).logits\n```'
    return f'{_FROM}```python\nfrom reid_srdl import load\n\nvectors = load({name}).embed(["a.jpg", "b.jpg"])  # float32 (2, D); near each other: alike\n```'


def macs(cost: Cost) -> str:
    """The cost in words, and how it was counted."""
    parts = [f"{cost.training:.4g} in training (forward passes of one image × images × epochs)"]
    parts += [f"{cost.extraction:.4g} to write soft targets down"] if cost.extraction else []
    parts += [f"{cost.teacher:.4g} of a teacher that was trained before"] if cost.teacher else []
    return f"{', '.join(parts)}; {cost.total:.4g} in all. Counted from the recorded configuration; backward passes, about twice as much, are not in it"


def responsible(dataset: str, weights: str, classifies: bool) -> str:
    """The section on responsible use: what the network is not for, and whom its data may not show; ``weights`` are those that training began from."""
    alone = {"none": " alone", NOT_RECORDED: ""}.get(weights, f", beginning from other weights ({weights}) whose own data counts too")
    seen = (
        f"It learned from people who were drawn by a program (`{dataset}`{alone}). No real person is in these images, and on photographs its scores mean nothing."
        if dataset in DRAWN
        else f"It learned from `{dataset}`{alone}: these people, at these places, in these clothes, through these cameras. Who they are (age, sex, skin, disability, what they wear) was "
        "not recorded, so how its errors differ between groups of people was not measured; whoever is rare in that data will be told apart worse."
    )
    if classifies:
        seen = f"It learned from `{dataset}`{alone}. What its images do not show, or show rarely, it tells apart worse, and its confidence is no measure of that."
        return f"{seen}\n\nDo not let it decide about a person without a human who can be asked."
    return (
        "**Re-identification follows people.** Before you point it at anyone, have a lawful purpose and the right to use the images, keep them no longer than needed, "
        "and tell the people concerned what you do.\n\n"
        "**A near embedding is no proof of identity.** It is a hint for someone who looks at the images. Do not let it decide about a person without a human who can be asked.\n\n"
        f"{seen}\n\n"
        "Not meant for: recognising a named person, surveillance of individuals or groups, evidence, or any decision about a person by itself."
    )


def licence(name: str) -> str:
    """The licence of the weights in words; the code has its own."""
    chosen = f"The weights: `{name}`, chosen by whoever wrote this card." if name != "other" else f"Of the weights: {NOT_RECORDED}. Nobody may assume one."
    return f"{chosen} The terms of the training data hold beside it. The code, reid_srdl, is under Apache-2.0."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; bars and line breaks inside a cell do not break it. With more than two columns, all but the first are aligned right, as numbers."""
    return "\n".join(row(line) for line in [head, [":--", *["--:" if len(head) > 2 else ":--"] * (len(head) - 1)], *rows])
