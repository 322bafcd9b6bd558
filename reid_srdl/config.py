"""Every choice a run is made of, with its default and its unit; how choices are read, merged and saved.

Later ones win: the defaults here, ``configs/DATASET.yaml``, ``--config FILE``, flags.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib.resources
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Optional, TypeVar

from . import files
from .errors import UserError

Options = TypeVar("Options")

SHORT = {"eval_every": "log.eval_every", "skip_corrupt": "data.skip_corrupt"}
"""Flags that are asked for so often that they have a short name."""


@dataclass(frozen=True)
class DataConfig:
    """Images on their way into the network.

    Args:
        height: height in pixels that the network is trained and used at.
        width: width in pixels.
        batch: images in a global batch, whatever the number of devices.
        sampler: ``random`` permutes all images; ``identity`` draws ``instances`` images of each of ``batch / instances`` people.
        instances: images of one person in a batch of the identity sampler.
        train_identities: keep the first so many training identities in ascending order of label; all if null.
        holdout_identities: the last so many training identities never train and are scored as a validation set.
        memory_gb: decoded images up to this many GiB are held in memory, more are streamed from disk.
        workers: threads that decode.
        skip_corrupt: leave unreadable training images out instead of stopping before the first step.
    """

    height: int = 256
    width: int = 128
    batch: int = 32
    sampler: Literal["random", "identity"] = "random"
    instances: int = 4
    train_identities: Optional[int] = None
    holdout_identities: int = 0
    memory_gb: float = 4.0
    workers: int = 2
    skip_corrupt: bool = False


@dataclass(frozen=True)
class AugmentConfig:
    """Drawn afresh for each image and epoch, applied to whole batches on the training device.

    Args:
        flip: probability of a horizontal flip.
        pad: pixels added on each side at the training size before a random crop back to it.
        pad_mode: what the added pixels are: ``reflect`` (the paper's) or ``zeros`` (black).
        erase: probability of random erasing (Zhong et al. 2020), filled with the image mean of ImageNet.
    """

    flip: float = 0.5
    pad: int = 4
    pad_mode: Literal["reflect", "zeros"] = "reflect"
    erase: float = 0.0


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Args:
        backbone: a torchvision classification network (``resnet50``), ``torchreid:NAME``, ``timm:NAME``, or one of our own.
        weights: ``imagenet`` (the library's own download), ``none``, or a file of weights.
        neck: ``bnneck`` puts a BatchNorm between the pooled feature and the classifier; the embedding is its output.
        last_stride: stride of the last stage of a ResNet, 2 or 1.
    """

    backbone: str = "resnet50"
    weights: str = "imagenet"
    neck: Literal["none", "bnneck"] = "none"
    last_stride: Literal[1, 2] = 2


@dataclass(frozen=True)
class OptimiserConfig:
    """SGD, as in Section 4 of the paper.

    Args:
        rate: base learning rate.
        momentum: of SGD.
        nesterov: Nesterov's momentum.
        weight_decay: L2 penalty on all parameters.
    """

    rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 2e-4


@dataclass(frozen=True)
class ScheduleConfig:
    """Eq. 3 and 4: the rate is multiplied by ``factor`` at each of ``drops``.

    Args:
        drops: fractions of the schedule's length; a drop at f of n epochs holds from the first epoch e >= f * n, counted from 0.
        factor: of each drop.
    """

    drops: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1


@dataclass(frozen=True)
class LossConfig:
    """Eq. 6 and 7: ``scale * (CE(label_smoothing) + imitation * KL(reference || current))``, both at ``temperature``.

    Args:
        label_smoothing: probability spread over all classes in the cross-entropy's targets.
        temperature: T of the softmax in the imitation term.
        imitation: weight of the imitation term; null means T squared.
        ramp_epochs: the weight grows as exp(-5 (1 - e/ramp)^2) over so many epochs; 0 means at once, as the paper has it.
        scale: of the whole loss.
    """

    label_smoothing: float = 0.0
    temperature: float = 3.0
    imitation: Optional[float] = None
    ramp_epochs: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class ReferenceConfig:
    """How soft targets are made (Eq. 5).

    Args:
        flip: average the beliefs about the image and its mirror, as probabilities at the loss's temperature.
        top_k: keep the largest k values of a row only; all if null.
        shuffle: a control: the values of the wrong classes change places within each row, as soft as before but knowing nothing.
    """

    flip: bool = False
    top_k: Optional[int] = None
    shuffle: bool = False


@dataclass(frozen=True)
class StageConfig:
    """What one stage of a plan does otherwise than the run; null means as the run.

    Args:
        epochs: length of the stage; the other stages share what is left.
        rate: base learning rate.
        label_smoothing: of its cross-entropy.
        scale: of its whole loss.
    """

    epochs: Optional[int] = None
    rate: Optional[float] = None
    label_smoothing: Optional[float] = None
    scale: Optional[float] = None


@dataclass(frozen=True)
class TeacherConfig:
    """The teacher of plan ``kd``: a finished run, or a network trained as the plan's first stage.

    Args:
        checkpoint: a run folder or its ``model.safetensors``; null trains a teacher first.
        backbone: network of a teacher that is trained.
        weights: its initial weights.
        epochs: its length, on top of ``plan.epochs``; null means as many.
    """

    checkpoint: Optional[str] = None
    backbone: str = "resnet50"
    weights: str = "imagenet"
    epochs: Optional[int] = None


@dataclass(frozen=True)
class PlanConfig:
    """The sequence of stages.

    Args:
        name: ``srdl``, ``vanilla``, ``half``, ``no_reference``, ``no_restart``, ``stage_incomplete``, ``born_again`` or ``kd``.
        epochs: total number of epochs M over all stages.
        generations: stages of plan ``born_again``.
        first: what the first stage does otherwise.
        second: what every later stage does otherwise.
        teacher: of plan ``kd``.
    """

    name: str = "srdl"
    epochs: int = 120
    generations: int = 3
    first: StageConfig = field(default_factory=StageConfig)
    second: StageConfig = field(default_factory=StageConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)


@dataclass(frozen=True)
class LogConfig:
    """What is written down on the way.

    Args:
        eval_every: score after every so many epochs, for the log only; 0 never.
        eval_split: ``val`` scores the held-out identities, ``test`` the test split.
        tensorboard: write TensorBoard events beside the CSV log.
        checkpoint_minutes: save the training state inside long epochs this often; it is always saved after each epoch.
    """

    eval_every: int = 0
    eval_split: Literal["val", "test"] = "val"
    tensorboard: bool = True
    checkpoint_minutes: float = 10.0


@dataclass(frozen=True)
class Config:
    """A training run.

    Args:
        dataset: name of a reader, such as ``market1501``, ``folder``, ``csv`` or ``synthetic``.
        data_root: folder of the data sets (of ``csv``: the file); null means ``$REID_DATA``, or else ``datasets``.
        output: the run folder; null means ``runs/DATASET-BACKBONE-PLAN-sSEED``.
        seed: everything random in the run follows from it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` settles on bf16 where the device does it in hardware and a timed step is faster, else fp32.
        threads: CPU threads of torch; null means as many as there are cores.
        compile: compile the training step with ``torch.compile``.
        evaluate: what is scored when training is done: the ``test`` split, the held-out identities (``val``), or ``none``.
        data: images on their way into the network.
        augment: augmentation.
        model: the network.
        optimiser: SGD.
        schedule: drops of the learning rate.
        loss: cross-entropy and imitation.
        reference: how soft targets are made.
        plan: the stages.
        log: what is written down on the way.
    """

    dataset: str = "synthetic"
    data_root: Optional[str] = None
    output: Optional[str] = None
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Optional[int] = None
    compile: bool = False
    evaluate: Literal["test", "val", "none"] = "test"
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    plan: PlanConfig = field(default_factory=PlanConfig)
    log: LogConfig = field(default_factory=LogConfig)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.data.height, self.data.width


def data_root(given: str | None) -> Path:
    """``--data-root``, or else ``$REID_DATA``, or else ``datasets``."""
    return Path(given or os.environ.get("REID_DATA") or "datasets").expanduser()


# --- reading -----------------------------------------------------------------------------------------------------


class _Parser:
    """jsonargparse on one dataclass, with errors that name the near keys."""

    def __init__(self, kind: type, prog: str) -> None:
        import jsonargparse

        class Raising(jsonargparse.ArgumentParser):
            def error(self, message: str, ex: Exception | None = None) -> Any:
                raise UserError(*_explain(message, _keys(kind)))

        self.kind = kind
        self.parser = Raising(prog=prog, description=(kind.__doc__ or "").split("\n")[0], allow_abbrev=False)
        self.parser.add_argument("--config", action="config", help="a recipe: a YAML file, or the name of one that is installed")
        self.parser.add_class_arguments(kind, as_group=False)

    def parse(self, argv: Sequence[str], defaults: Path | None) -> Any:
        from jsonargparse import ArgumentError

        if defaults is not None:
            self.parser.default_config_files = [str(defaults)]
        try:
            parsed = self.parser.parse_args(list(argv))
            values = self.parser.instantiate(parsed).as_dict()
        except (argparse.ArgumentError, ArgumentError) as error:
            raise UserError(*_explain(str(error), _keys(self.kind))) from None
        values = {key: values[key] for key in (f.name for f in dataclasses.fields(self.kind))}
        return _checked(_built(self.kind, values))


def _built(kind: type, values: Any) -> Any:
    """A dataclass from what jsonargparse hands back (nested dataclasses come as such or as dictionaries)."""
    if not isinstance(values, dict):
        return values
    defaults = kind()
    parts = {}
    for f in dataclasses.fields(kind):
        value, default = values[f.name], getattr(defaults, f.name)
        if dataclasses.is_dataclass(default):
            value = _built(type(default), value)
        parts[f.name] = tuple(value) if isinstance(value, list) else value
    return kind(**parts)


def parse(kind: type[Options], argv: Sequence[str], prog: str = "", *, recipes: bool = False) -> Options:
    """The options of a command from its arguments.

    Args:
        kind: a dataclass with a default for every field.
        argv: arguments; in the names of flags dashes and underscores are the same.
        prog: the command, for its help.
        recipes: start from the recipe of the data set that is asked for (``configs/DATASET.yaml``).

    Raises:
        UserError: an unknown key (with the near ones), a value of another type, a recipe that is not there.
    """
    keys = _keys(kind)
    argv = [_underscored(word, keys) for word in argv]
    argv = _located_recipes(_with_true(argv, _keys(kind, of=bool)))
    defaults = None
    if recipes:
        dataset = _asked_dataset(argv)
        defaults = recipe(dataset) if dataset else recipe(kind().dataset)  # type: ignore[attr-defined]
    return _Parser(kind, prog).parse(argv, defaults)


def _underscored(word: str, keys: list[str]) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    if name not in keys and SHORT.get(name) in keys:
        name = SHORT[name]
    return "--" + name + equals + value


def _with_true(argv: list[str], switches: list[str]) -> list[str]:
    """A bare ``--flip`` means ``--flip true``."""
    said = []
    for position, word in enumerate(argv):
        said.append(word)
        ends = position + 1 == len(argv) or argv[position + 1].startswith("--")
        if word[2:] in switches and ends:
            said.append("true")
    return said


def _located_recipes(argv: list[str]) -> list[str]:
    """``--config`` takes a file, or the name of an installed recipe from any folder."""
    located = list(argv)
    for position, word in enumerate(argv):
        if word == "--config" and position + 1 < len(argv):
            located[position + 1] = str(_find_recipe(argv[position + 1]))
        elif word.startswith("--config="):
            located[position] = f"--config={_find_recipe(word.partition('=')[2])}"
    return located


def _find_recipe(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    found = recipe(Path(name).stem)
    if found is None:
        near = difflib.get_close_matches(Path(name).stem, recipe_names(), n=3)
        raise UserError(f"there is no recipe {name}", f"Near ones: {', '.join(near) or ', '.join(recipe_names())}.")
    return found


def _recipe_folder() -> Path:
    return Path(str(importlib.resources.files("reid_srdl.configs")))


def recipe_names() -> list[str]:
    """Names of the installed recipes."""
    return sorted(path.stem for path in _recipe_folder().glob("*.yaml"))


def recipe(name: str) -> Path | None:
    """The file of an installed recipe."""
    path = _recipe_folder() / f"{name}.yaml"
    return path if path.is_file() else None


def _asked_dataset(argv: Sequence[str]) -> str | None:
    """The data set that flags, or else the last ``--config`` with one, ask for."""
    asked = None
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        value = value if equals else (argv[position + 1] if position + 1 < len(argv) else "")
        if name == "--dataset":
            return value
        if name == "--config":
            asked = (_yaml(Path(value)) or {}).get("dataset", asked)
    return asked


def _yaml(path: Path) -> dict[str, Any] | None:
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not readable as YAML: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _keys(kind: type, prefix: str = "", *, of: type = object) -> list[str]:
    """Names of all fields, nested ones with dots; only those whose default is ``of`` a type."""
    keys: list[str] = []
    defaults = kind()
    for f in dataclasses.fields(kind):
        value = getattr(defaults, f.name)
        if dataclasses.is_dataclass(value):
            keys += _keys(type(value), f"{prefix}{f.name}.", of=of)
        elif isinstance(value, of):
            keys.append(prefix + f.name)
    return keys


_UNKNOWN = (
    re.compile(r"[Uu]nrecognized arguments?: (?:--)?(?P<key>[\w.\-]+)"),
    re.compile(r"(?:[Kk]ey|[Oo]ption|[Gg]roup key) [\"'](?P<key>[\w.\-]+)[\"'] is not expected"),
    re.compile(r"No action for (?:destination )?key [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"Group [\"'](?P<group>[\w.]+)[\"'] does not accept option [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"[Dd]oes not accept (?:nested )?key [\"']?(?P<key>[\w.\-]+)"),
    re.compile(r"[Uu]nexpected keyword argument [\"'](?P<key>[\w.\-]+)[\"']"),
)


def _explain(message: str, keys: list[str]) -> tuple[str, str]:
    """jsonargparse's message as one line, and the way out."""
    for pattern in _UNKNOWN:
        if found := pattern.search(message):
            unknown = ".".join(filter(None, [found.groupdict().get("group"), found["key"]]))
            near = difflib.get_close_matches(unknown, keys, n=3, cutoff=0.5)
            tail = unknown.rsplit(".", 1)[-1]
            near += [key for key in keys if difflib.SequenceMatcher(None, key.rsplit(".", 1)[-1], tail).ratio() > 0.75]
            near = list(dict.fromkeys(near))[:4]
            hint = f"Did you mean {' or '.join(near)}?" if near else "--help lists the keys."
            return f"there is no option {unknown!r}", hint
    lines = [line.strip(" -") for line in message.strip().splitlines() if line.strip(" -")]
    return " ".join(lines)[:400], "--print_config shows what is set, --help what each key takes."


# --- checking ----------------------------------------------------------------------------------------------------


def _checked(options: Any) -> Any:
    if isinstance(options, Config):
        check(options)
    return options


def check(config: Config) -> None:
    """Raises ``UserError`` for a value that no run can have."""
    positive = {
        "data.height": config.data.height,
        "data.width": config.data.width,
        "data.batch": config.data.batch,
        "data.instances": config.data.instances,
        "data.workers": config.data.workers,
        "optimiser.rate": config.optimiser.rate,
        "loss.temperature": config.loss.temperature,
        "loss.scale": config.loss.scale,
        "plan.epochs": config.plan.epochs,
        "plan.generations": config.plan.generations,
    }
    for key, value in positive.items():
        if not value > 0:
            raise UserError(f"{key} is {value}", "It must be above 0.")
    fractions = {"augment.flip": config.augment.flip, "augment.erase": config.augment.erase,
                 "loss.label_smoothing": config.loss.label_smoothing,
                 **{f"schedule.drops[{i}]": drop for i, drop in enumerate(config.schedule.drops)}}  # fmt: skip
    for key, value in fractions.items():
        if not 0 <= value <= 1:
            raise UserError(f"{key} is {value}", "It must lie between 0 and 1.")
    if config.data.sampler == "identity" and config.data.batch % config.data.instances:
        raise UserError(
            f"data.batch {config.data.batch} is not a multiple of data.instances {config.data.instances}",
            "The identity sampler needs whole people in a batch.",
        )


# --- saving ------------------------------------------------------------------------------------------------------


def as_yaml(config: Any) -> str:
    """The whole configuration as YAML, which ``--config`` reads again."""
    import yaml

    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def save(config: Config, path: files.Pathlike) -> None:
    files.write_text(path, as_yaml(config))


def load(path: files.Pathlike) -> Config:
    """A configuration that ``save`` wrote.

    Raises:
        UserError: the file is missing, or holds a key or value that this version does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not there", "A run folder holds config.yaml.")
    return _Parser(Config, "config").parse(["--config", str(path)], None)


def changed(before: Config, after: Config, prefix: str = "") -> list[str]:
    """Names of the fields in which two configurations differ."""
    names = []
    for f in dataclasses.fields(before):
        one, other = getattr(before, f.name), getattr(after, f.name)
        if dataclasses.is_dataclass(one):
            names += changed(one, other, f"{prefix}{f.name}.")
        elif one != other:
            names.append(prefix + f.name)
    return names


