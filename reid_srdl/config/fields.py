"""Every choice that a run is made of, with its default and its unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Optional

from ..ranges import number
from .learning import EmaConfig, LossConfig, MetricConfig, OptimiserConfig, ReferenceConfig, ScheduleConfig

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB values in 0..1, by which all images are normalised: most pretrained networks expect it."""
MOST_PIXELS = 8192
"""Pixels of a side at most: beyond it a single image takes gigabytes in a network."""
MOST_EPOCHS = 1_000_000
"""Epochs at most: a plan holds the rate of each."""
MOST_THREADS = 4096
"""CPU threads at most: more than any machine has cores. Torch accepts any number of 31 bits, and ends the process where the system cannot start as many."""


@dataclass(frozen=True)
class DataConfig:
    """Images on their way into the network.

    Args:
        height: height in pixels that the network is trained and used at.
        width: width in pixels.
        batch: images in a global batch, whatever the number of devices.
        sampler: ``random`` permutes all images; ``identity`` draws ``instances`` images of each of ``batch / instances`` people.
        instances: images of one person in a batch of the identity sampler.
        train_identities: keep the first so many training identities in ascending order of label, of each of several joined sets; all if null.
        holdout_identities: the last so many training identities, of each of several joined sets, never train and are scored as a validation set.
        train_per_class: of a classification set, keep the first so many training images of each class in order of path; all if null.
        holdout_per_class: of a classification set, so many training images of each class never train and are its validation set: the last ones, or those after the first train_per_class.
        crop: ``imagenet`` trains on random-resized crops (Szegedy et al. 2015) and uses the centre of an image resized by 256/224; ``none``
            takes whole images.
        memory_gb: decoded images up to this many GiB are held in memory, more are streamed from disk.
        workers: threads that decode.
        skip_corrupt: leave unreadable training images out instead of stopping before the first step.
    """

    height: int = number(256, above=0, most=MOST_PIXELS)
    width: int = number(128, above=0, most=MOST_PIXELS)
    batch: int = number(32, above=0)
    sampler: Literal["random", "identity"] = "random"
    instances: int = number(4, above=0)
    train_identities: Optional[int] = None
    holdout_identities: int = number(0, least=0)
    train_per_class: Optional[int] = number(None, above=0)
    holdout_per_class: int = number(0, least=0)
    crop: Literal["none", "imagenet"] = "none"
    memory_gb: float = number(4.0, least=0)
    workers: int = number(2, above=0)
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

    flip: float = number(0.5, least=0, most=1)
    pad: int = 4
    pad_mode: Literal["reflect", "zeros"] = "reflect"
    erase: float = number(0.0, least=0, most=1)


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Args:
        backbone: a torchvision classification network (``resnet50``), ``torchreid:NAME``, ``fastreid:NAME``, ``timm:NAME``, or one of our own.
        weights: ``imagenet`` (the library's own download), ``none``, or a file of weights.
        neck: ``bnneck`` puts a BatchNorm between the pooled feature and the classifier; the embedding is its output.
        last_stride: stride of the last stage of a ResNet, 2 or 1.
        pooling: what makes a vector of the last map: its average (``avg``), its largest values (``max``), or their generalised mean with a learnt
            power (``gem``).
    """

    backbone: str = "resnet50"
    weights: str = "imagenet"
    neck: Literal["none", "bnneck"] = "none"
    last_stride: Literal[1, 2] = 2
    pooling: Literal["avg", "gem", "max"] = "avg"


@dataclass(frozen=True)
class StageConfig:
    """What one stage of a plan does otherwise than the run; null means as the run.

    Args:
        epochs: length of the stage; the other of two has what is left. A plan of one stage over all epochs does not ask.
        rate: base learning rate.
        label_smoothing: of its cross-entropy.
        scale: of its loss, as ``loss.scale``.
    """

    epochs: Optional[int] = None
    rate: Optional[float] = number(None, above=0)
    label_smoothing: Optional[float] = number(None, least=0, most=1)
    scale: Optional[float] = number(None, above=0)


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
    epochs: Optional[int] = number(None, above=0, most=MOST_EPOCHS)


@dataclass(frozen=True)
class PlanConfig:
    """The sequence of stages.

    Args:
        name: ``srdl``, ``vanilla``, ``early_stopped``, ``half``, ``no_reference``, ``no_restart``, ``continued``, ``stage_incomplete``,
            ``born_again`` or ``kd``.
        epochs: total number of epochs M over all stages.
        generations: stages of plan ``born_again``.
        first: what the first stage does otherwise.
        second: what every later stage does otherwise.
        teacher: of plan ``kd``.
    """

    name: str = "srdl"
    epochs: int = number(120, above=0, most=MOST_EPOCHS)
    generations: int = number(3, above=0)
    first: StageConfig = field(default_factory=StageConfig)
    second: StageConfig = field(default_factory=StageConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)


@dataclass(frozen=True)
class LogConfig:
    """What is written down on the way.

    Args:
        eval_every: score after every so many epochs, for the log only; 0 never.
        eval_split: ``val`` scores the held-out identities or images, ``test`` the test split.
        diagnostics: say what the soft targets are like when they are made, and after training how the network agrees with them (a pass
            over 2,000 training images at most; of a classification set, the earlier stages are scored as well).
        tensorboard: write TensorBoard events beside the CSV log.
        wandb: tell Weights & Biases the same figures (``pip install 'reid-srdl[wandb]'``; ``WANDB_MODE=offline`` needs no account).
        checkpoint_minutes: save the training state inside long epochs this often; it is always saved after each epoch.
    """

    eval_every: int = number(0, least=0)
    eval_split: Literal["val", "test"] = "val"
    diagnostics: bool = True
    tensorboard: bool = True
    wandb: bool = False
    checkpoint_minutes: float = number(10.0, least=0)


@dataclass(frozen=True)
class Config:
    """A training run.

    Args:
        dataset: name of a reader, such as ``market1501``, ``folder``, ``csv`` or ``synthetic``; several re-identification sets are joined by ``+``.
        data_root: folder of the data sets (of ``csv``: the file); null means ``$REID_DATA``, or else ``datasets``.
        output: the run folder; null means ``runs/DATASET-BACKBONE-PLAN-sSEED``.
        seed: everything random in the run follows from it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` settles on bf16 where the device does it in hardware and a timed step is faster, else fp32; ``fp16`` is for GPUs without
            bf16, with a scaled loss.
        threads: CPU threads of torch; null means as many as there are cores.
        compile: compile the network for training with ``torch.compile``; on a GPU as CUDA graphs, which small networks gain most by.
        evaluate: what is scored when training is done: the ``test`` split, the held-out identities or images (``val``), or ``none``.
        distance: how embeddings are compared where the run is scored: ``euclidean`` (squared, as in faiss), or the ``cosine`` that a BNNeck wants.
        data: images on their way into the network.
        augment: augmentation.
        model: the network.
        optimiser: who makes a step, at which rates.
        schedule: the learning rate from epoch to epoch.
        loss: cross-entropy and imitation.
        metric: a loss on distances or angles beside them.
        ema: an average of the weights.
        reference: how soft targets are made.
        plan: the stages.
        log: what is written down on the way.
    """

    dataset: str = "synthetic"
    data_root: Optional[str] = None
    output: Optional[str] = None
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    threads: Optional[int] = number(None, above=0, most=MOST_THREADS, why="; left out, it is the number of cores")
    compile: bool = False
    evaluate: Literal["test", "val", "none"] = "test"
    distance: Literal["euclidean", "cosine"] = "euclidean"
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    metric: MetricConfig = field(default_factory=MetricConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    plan: PlanConfig = field(default_factory=PlanConfig)
    log: LogConfig = field(default_factory=LogConfig)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.data.height, self.data.width
