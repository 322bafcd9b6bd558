"""What a stage learns by: optimiser, schedule, losses, averages and soft targets, with defaults and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from ..ranges import number

_NOTHING_NEW = ", or nothing new would ever count"


@dataclass(frozen=True)
class OptimiserConfig:
    """Who makes a step of the gradient: SGD unless told otherwise, as in Section 4 of the paper.

    Args:
        name: ``sgd``; ``adam`` (Kingma and Ba 2015), whose weight decay is part of the gradient; ``amsgrad``, which is Adam with the largest second
            moment so far (Reddi et al. 2018); ``adamw``, whose weight decay is apart from it (Loshchilov and Hutter 2019).
        rate: base learning rate.
        momentum: of SGD.
        nesterov: Nesterov's momentum, of SGD.
        betas: decay of the first and second moment, of the others.
        weight_decay: L2 penalty on all parameters (of ``adamw`` the decay of weights that takes its place).
        spare_norms: no weight decay of biases, of the parameters of normalisations, and of what a library's network says should have none.
        backbone_rate: rate of the backbone as a share of that of neck and classifier.
        frozen_epochs: so many first epochs of each stage leave the backbone as it is, its running statistics too, and train what stands on it.
        clip: longest gradient over all parameters; a longer one is scaled down to it. No limit if null.
        accumulate: a batch passes through the network in so many parts, whose gradients add up to one step; it takes the memory of one part.
    """

    name: Literal["sgd", "adam", "amsgrad", "adamw"] = "sgd"
    rate: float = number(0.1, above=0)
    momentum: float = number(0.9, least=0, below=1, why=_NOTHING_NEW)
    nesterov: bool = True
    betas: tuple[float, float] = number((0.9, 0.999), least=0, below=1, why=_NOTHING_NEW)
    weight_decay: float = number(2e-4, least=0)
    spare_norms: bool = False
    backbone_rate: float = number(1.0, above=0)
    frozen_epochs: int = number(0, least=0)
    clip: Optional[float] = number(None, above=0)
    accumulate: int = number(1, above=0)


@dataclass(frozen=True)
class ScheduleConfig:
    """How the rate changes from epoch to epoch. Every stage goes through a schedule of its own.

    Args:
        name: ``steps`` multiplies the rate by ``factor`` at each of ``drops`` (Eq. 3 and 4); ``cosine`` takes it down along half a cosine (Loshchilov
            and Hutter 2017) from the end of the warm-up to ``final``.
        drops: fractions of the schedule's length; a drop at f of n epochs holds from the first epoch e >= f * n, counted from 0.
        factor: of each drop.
        warmup_epochs: over so many first epochs the rate grows linearly from ``warmup_from`` to 1 of what it would be; epoch 0 has ``warmup_from``.
        warmup_from: share of the rate that a warm-up begins with.
        final: share of the base rate that a cosine would reach one epoch after its last.
    """

    name: Literal["steps", "cosine"] = "steps"
    drops: tuple[float, ...] = number((0.5, 0.75), least=0, most=1)
    factor: float = number(0.1, above=0, most=1)
    warmup_epochs: int = number(0, least=0)
    warmup_from: float = number(0.1, least=0, most=1)
    final: float = number(0.0, least=0, most=1)


@dataclass(frozen=True)
class LossConfig:
    """Eq. 6 and 7: ``scale * (cross_entropy * CE(label_smoothing) + imitation * KL(reference || current))``, the divergence at ``temperature``.

    Args:
        cross_entropy: weight of the cross-entropy; 0 leaves it to the other terms.
        label_smoothing: probability spread over all classes in the cross-entropy's targets.
        temperature: T of the softmax in the imitation term.
        imitation: weight of the imitation term; null means T squared.
        ramp_epochs: the weight grows as exp(-5 (1 - e/ramp)^2) over so many epochs; 0 means at once, as the paper has it.
        ramp_share: the same as a share of the stage's epochs, for recipes of any length.
        scale: of these terms together; a metric term has a weight of its own (``metric.weight``).
    """

    cross_entropy: float = number(1.0, least=0)
    label_smoothing: float = number(0.0, least=0, most=1)
    temperature: float = number(3.0, above=0, most=1000)
    imitation: Optional[float] = number(None, least=0)
    ramp_epochs: int = number(0, least=0)
    ramp_share: float = number(0.0, least=0, most=1)
    scale: float = number(1.0, above=0)


@dataclass(frozen=True)
class MetricConfig:
    """A loss on distances or angles, added to that of the identities. Soft targets have no part in it: they speak of the classifier's logits alone.

    ``triplet`` and ``circle`` compare the images of a batch by their ``features`` (before a BNNeck, as Luo et al. 2019 do), and need several of each
    person in it. ``arcface`` and ``cosface`` are cross-entropies with a margin on the angles between the embedding and the class vectors of the
    network's own classifier, which they train: nothing is to be kept beside the network.

    Args:
        name: ``none``; ``triplet``, the hardest positive and negative of each image (Hermans et al. 2017); ``circle`` (Sun et al. 2020); ``arcface``
            (Deng et al. 2019); ``cosface`` (Wang et al. 2018).
        weight: of the term in the whole loss.
        margin: of ``triplet`` in Euclidean distance, null being the soft margin; of ``circle`` in cosine (null: 0.25); of ``arcface`` in radians
            (null: 0.5); of ``cosface`` in cosine (null: 0.35).
        scale: that cosines are multiplied by: of ``circle`` (null: 128), ``arcface`` and ``cosface`` (null: 64).
    """

    name: Literal["none", "triplet", "circle", "arcface", "cosface"] = "none"
    weight: float = number(1.0, above=0)
    margin: Optional[float] = number(None, least=0)
    scale: Optional[float] = number(None, above=0)

    @property
    def pairs(self) -> bool:
        """Whether images of a batch are compared with each other, so that it must hold several of one person."""
        return self.name in ("triplet", "circle")


@dataclass(frozen=True)
class EmaConfig:
    """Exponential moving average of the weights and running statistics over the steps of a stage.

    Args:
        decay: of the weights' share a step, such as 0.999; 0 keeps no average. The average is that of the steps there have been
            (``sum d^(t-i) w_i / sum d^(t-i)``): it does not remember the initial weights.
        use: a stage hands its average on, to be scored, to go on from and to be imitated; else its last weights.
    """

    decay: float = number(0.0, least=0, below=1, why=_NOTHING_NEW)
    use: bool = True


@dataclass(frozen=True)
class ReferenceConfig:
    """How soft targets are made (Eq. 5).

    Args:
        weights: whose beliefs: of the network that the earlier stage hands on (``used``), of its ``last`` weights, or of their average (``ema``,
            which needs ``ema.decay``). A checkpoint is taken as it is.
        flip: average the beliefs about the image and its mirror, as probabilities at the loss's temperature.
        views: average those about so many views in the same way: the image as it is, and others augmented as in training. Each is a pass of its own.
        top_k: keep the largest k values of a row only; all if null.
        shuffle: a control: the values of the wrong classes change places within each row, as soft as before but knowing nothing.
    """

    weights: Literal["used", "last", "ema"] = "used"
    flip: bool = False
    views: int = number(1, above=0, most=1000)
    top_k: Optional[int] = number(None, above=0)
    shuffle: bool = False
