"""The model card of a run: Markdown as the Hugging Face Hub shows it, made from the files of the run alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import files, runs
from ..data.joined import part_names
from ..models.cost import Cost
from ..shell import NAME
from . import adopted
from . import card_words as said
from .card_words import NOT_RECORDED
from .recorded import Recorded, read
from .scores import KINDS, figures
from .words import METRICS as DISTANCES
from .words import count, distance_word, duration, protocol

PROBABILITIES = (0.5, 0.9, 0.99)
"""The card gives the distance at which two images show the same person with each of these probabilities."""
_HARDEST = 3


def text(recorded: Recorded, *, cost: Cost | None = None, licence: str = "other") -> str:
    """The card.

    Args:
        recorded: what the run wrote down.
        cost: counted from the run's configuration; none where it cannot be.
        licence: of the weights, by the Hub's name for it; with ``other`` the text says that none was chosen.
    """
    parts = [
        f"# {recorded.run.resolve().name}",
        _lead(recorded),
        "## How to load it\n\n" + said.loading(recorded.run.resolve().name, recorded.classifies),
        "## Data\n\n" + _data(recorded),
        "## Recipe\n\n" + _recipe(recorded),
        "## Scores\n\n" + _scores(recorded),
        *(["## Calibration\n\n" + _calibration(recorded)] if not recorded.classifies else []),
        "## Cost\n\n" + _cost(recorded, cost),
        "## Limits\n\n" + _limits(recorded),
        "## Responsible use\n\n" + said.responsible(recorded.facts["dataset"], said.value(recorded.config, "model.weights"), recorded.classifies),
        "## Licence\n\n" + said.licence(licence),
    ]
    return _front_matter(recorded, licence) + "\n" + "\n\n".join(parts) + "\n"


def _front_matter(recorded: Recorded, licence: str) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    task = "image-classification" if recorded.classifies else "image-feature-extraction"
    results = []
    for folder, metrics in recorded.scores.items():
        names = figures(metrics)
        dataset = (metrics.get("protocol") or {}).get("dataset", folder)
        for kind, title in KINDS.items():
            scores = {name: value for name, value in (metrics.get(kind) or {}).items() if name in names and value is not None}
            for name, value in scores.items():
                what = f"{names[name][0]}, {title.lower()} ({folder})"
                results.append(EvalResult(task_type=task, dataset_type=dataset, dataset_name=dataset, metric_type=name, metric_value=round(value, 6), metric_name=what))
    data = ModelCardData(
        license=licence,
        tags=_tags(recorded),
        datasets=[recorded.facts["dataset"]],
        metrics=sorted({result.metric_type for result in results}) or None,
        library_name="reid_srdl",
        pipeline_tag=task,
        model_name=recorded.run.resolve().name,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _tags(recorded: Recorded) -> list[str]:
    task = ["image-classification"] if recorded.classifies else ["person-re-identification", "metric-learning"]
    return task if runs.is_adopted(recorded.facts) else ["self-distillation", *task, f"plan-{recorded.facts['plan']}"]


def _lead(recorded: Recorded) -> str:
    facts = recorded.facts
    what = "tells classes of images apart" if recorded.classifies else "turns the image of a person into a vector that lies near those of other images of the same person"
    epochs = sum(int(stage["epochs"]) for stage in facts["stages"])
    trained = f"trained by the plan `{facts.get('plan')}` for {count(epochs, 'epoch')} in {count(len(facts['stages']), 'stage')}."
    if runs.is_adopted(facts):
        trained = f"which this program did not train. {adopted.origin(facts, count(facts['identities'], 'person', 'people'))}"
    return (
        f"A {said.value(recorded.config, 'model.backbone')} that {what}, {trained} "
        "This card was written by a program from the files of the run; nothing was added by hand."
    )


def _data(recorded: Recorded) -> str:
    facts, config = recorded.facts, recorded.config
    people = ("Classes", "class", "classes") if recorded.classifies else ("People", "person", "people")
    rows = {
        "Training data": f"`{facts['dataset']}`",
        "Training images": _number(facts.get("images"), "{:,}"),
        people[0]: count(facts["identities"], *people[1:]),
        "Held out from training": said.held_out(config, recorded.classifies),
        "Hash of the list of images": _number(facts.get("data_hash"), "`{}`"),
        "Terms": said.terms(facts["dataset"]),
    }
    return said.table(("", ""), rows.items())


def _recipe(recorded: Recorded) -> str:
    if runs.is_adopted(recorded.facts):
        known = {name: value for name, value in said.settings(recorded.config).items() if value != NOT_RECORDED}
        return said.table(("Setting", "Value"), (adopted.rows(recorded.facts) | known).items())
    rows: list[Sequence[str]] = []
    for stage in recorded.facts["stages"]:
        log = recorded.logs[stage["folder"]]
        last, rates = log[-1] if log else {}, [row["rate"] for row in log if row.get("rate") is not None]
        figures = [f"{max(rates):g} to {min(rates):g}" if rates else NOT_RECORDED]
        figures += [_number(last.get("cross_entropy"), "{:.3f}"), _number(last.get("imitation"), "{:.4f}", "none"), _number(last.get("accuracy"), "{:.1%}")]
        rows.append((stage["name"], f"{stage['epochs']}", *figures))
    head = ("Stage", "Epochs", "Rate", "Cross-entropy of the last epoch", "Imitation", "Training accuracy")
    notes = [f"Soft targets of stage {name}: {verdict}" for name, verdict in recorded.verdicts.items()]
    settings = {"Plan": f"`{recorded.facts['plan']}`", "Seed": f"{recorded.facts['seed']}", "Precision": recorded.facts["precision"], **said.settings(recorded.config)}
    return "\n\n".join([said.table(head, rows), *notes, said.table(("Setting", "Value"), settings.items())])


def _scores(recorded: Recorded) -> str:
    if not recorded.scores:
        return f"Not recorded: the run was not scored. Scores come from `{NAME} eval`."
    return "\n\n".join(_scored(recorded, folder, metrics) for folder, metrics in recorded.scores.items())


def _scored(recorded: Recorded, folder: str, metrics: Mapping[str, Any]) -> str:
    stamp = metrics.get("protocol") or {}
    kinds = {kind: metrics[kind] for kind in KINDS if metrics.get(kind)}
    rows = []
    for name, (title, meaning) in figures(metrics).items():
        if any(scores.get(name) is not None for scores in kinds.values()):
            form = "{:.3f}" if name == "loss" else "{:.2%}"
            rows.append((f"{title} ({meaning})", *(_number(scores.get(name), form) for scores in kinds.values())))
    whose = ""
    if stamp.get("checkpoint") and recorded.model and stamp["checkpoint"] != recorded.model:
        network = recorded.networks.get(stamp["checkpoint"])
        whose = f"These are scores of {network}, not of the last network." if network else "These are scores of other weights than the run holds now."
    sentences = "\n".join(f"- {sentence}" for sentence in protocol(stamp)) or f"How this was measured is {NOT_RECORDED}."
    return "\n\n".join(filter(None, [f"### {folder}", whose, said.table(("", *(KINDS[kind] for kind in kinds)), rows), "How this was measured:\n\n" + sentences]))


def _calibration(recorded: Recorded) -> str:
    found = recorded.calibration
    if found is None or "eer" not in found.facts:
        return f"Not recorded: at which distance two images show the same person was not measured. It is by `{NAME} calibrate`."
    facts = found.facts
    rows = {"Equal error rate": _with_interval(facts["eer"], facts.get("eer_low"), facts.get("eer_high")), "Distance at the equal error rate": f"{facts['eer_threshold']:.4g}"}
    for rate, at in sorted(facts["tpr_at_fpr"].items(), key=lambda item: -float(item[0])):
        rows[f"TPR at FPR {float(rate):g}"] = "too few pairs" if at is None else _with_interval(at["tpr"], at.get("low"), at.get("high"))
    for probability in PROBABILITIES:
        rows[f"Distance at probability {probability:g}"] = distance_word(found.threshold(probability))
    pairs = facts["pairs"]
    about = (
        f"By {DISTANCES[found.metric]}{' of embeddings averaged with those of the mirrored images' if found.flip else ''}; measured on {pairs['genuine']:,} genuine and "
        f"{pairs['impostor']:,} impostor pairs of {pairs['identities']:,} people of {facts['dataset']} ({facts['split']}). Probabilities hold where a share of {found.prior:g} of the pairs "
        "that are asked about is genuine. In brackets: 95 % intervals over whole people."
    )
    stale = ""
    if recorded.model and found.model != recorded.model:
        network = recorded.networks.get(found.model)
        stale = f"**These figures are of {network}, not of the last network.**" if network else "**These figures are of other weights than the run has now.**"
    return "\n\n".join(filter(None, [stale, said.table(("", ""), rows.items()), about]))


def _cost(recorded: Recorded, cost: Cost | None) -> str:
    facts = recorded.facts
    if runs.is_adopted(facts):
        return f"Of training: {NOT_RECORDED}. Weights: `{recorded.model}`."
    hardware, timed = facts["hardware"], [stage for stage in facts["stages"] if "seconds" in stage]
    rows = {"Multiply-accumulates": said.macs(cost) if cost else NOT_RECORDED}
    for stage in timed:
        taken = ", taken over from an earlier run that began alike" if stage.get("shared") else ""
        rows[f"Time of stage {stage['name']}"] = f"{duration(stage['seconds'])} at {stage['images_per_s']:,.0f} images/s{taken}"
    rows |= {
        "Time in all": duration(sum(stage["seconds"] for stage in timed)) if timed else NOT_RECORDED,
        "Hardware": f"{', '.join(str(hardware[key]) for key in ('gpu', 'processor') if hardware.get(key))}, {count(hardware['cores'], 'core')}",
        "Ran on": f"{facts['device']}, {facts['precision']}, {count(facts['threads'], 'thread')}, {count(facts['processes'], 'process', 'processes')}",
        "Started": facts["started"],
        "Versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        "Weights": f"`{recorded.model}`" if recorded.model else NOT_RECORDED,
        "Energy and emissions": NOT_RECORDED,
    }
    return said.table(("", ""), rows.items())


def _limits(recorded: Recorded) -> str:
    facts, own = recorded.facts, recorded.facts["dataset"]
    scored_on = {(metrics.get("protocol") or {}).get("dataset", folder) for folder, metrics in recorded.scores.items()}
    seed = "not known here" if runs.is_adopted(facts) else facts["seed"]
    lines = [f"One run with one seed ({seed}): how much another seed changes is {NOT_RECORDED} here."]
    others = sorted(scored_on - {own, *part_names(own)})
    if others:
        lines.append(f"Beside its own data set it was scored on {', '.join(others)}; on anything else how well it does is unknown.")
    else:
        lines.append("It was scored on no data set but its own, if at all. Expect it to do worse on other cameras, places and seasons; by how much is unknown.")
    if not recorded.classifies:
        lines.append(_cameras(recorded))
        lines.append("It sees one cropped person at a time. Wrong boxes, several people in a box and occlusion were no part of what was measured beyond what the data set has of them.")
    return "\n".join(f"- {line}" for line in lines)


def _cameras(recorded: Recorded) -> str:
    pairs = recorded.calibration.facts.get("camera_pairs") or [] if recorded.calibration else []
    known = sorted((pair for pair in pairs if pair["eer"] is not None), key=lambda pair: -pair["eer"])
    if len(known) < 2:
        return f"How its errors differ between cameras is {NOT_RECORDED}."
    named = [f"{pair['cameras'][0]} and {pair['cameras'][1]} ({pair['eer']:.1%})" for pair in known[: min(_HARDEST, len(known) - 1)]]
    return f"Its errors differ between cameras: the equal error rate is highest between {', '.join(named)}, and lowest between {known[-1]['cameras'][0]} and {known[-1]['cameras'][1]} ({known[-1]['eer']:.1%})."


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.2%}" + (f" ({low:.2%} to {high:.2%})" if low is not None and high is not None else "")


def _number(value: Any, form: str, none: str = NOT_RECORDED) -> str:
    return none if value is None else form.format(value)


def write(run: files.Pathlike, output: files.Pathlike | None = None, *, cost: Cost | None = None, licence: str = "other") -> Path:
    """Writes the card, ``README.md`` in the run folder by default, and returns its path. Raises ``UserError`` as ``read`` does."""
    recorded = read(run)
    target = Path(output) if output else recorded.run / "README.md"
    files.write_text(target, text(recorded, cost=cost, licence=licence))
    return target
