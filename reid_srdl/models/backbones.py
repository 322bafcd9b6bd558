"""Networks by name, without their classifier: torchvision's, torchreid's, fast-reid's, timm's, and the package's own."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping

from torch import nn

from ..errors import UserError
from ..registered import Target, function_of
from . import from_fastreid, from_timm, from_torchreid, from_torchvision
from .making import Made, Size, no_such, no_weights, probe
from .pooling import TRIAL, Pooling, load_power, with_pooling
from .weights import load_backbone, made_for, read_state

# The prefix before the colon of a name, to the function that makes the network: (name after the colon, whether ImageNet's
# weights are wanted, size of the images if known). torchvision's networks and the package's own have names without a colon.
LIBRARIES: dict[str, Callable[[str, bool, Size | None], Made]] = {
    "torchreid": from_torchreid.create,
    "fastreid": from_fastreid.create,
    "timm": from_timm.create,
}


def create(name: str, *, weights: str, last_stride: int, pooling: Pooling, image_size: Size | None, own: Mapping[str, Target]) -> Made:
    """The backbone called ``name``; see :func:`reid_srdl.models.build` for the arguments.

    Args:
        own: the package's own networks, as in ``BACKBONES``.
    """
    made = _make(name, weights == "imagenet", image_size, own)
    if last_stride == 1:
        _keep_last_stage_large(made.network, name)
    elif last_stride != 2:
        raise UserError(f"a last stride of {last_stride} cannot be built", "Choose 1 or 2.")
    state = {} if weights in ("none", "imagenet") else read_state(weights)
    if state and name.startswith("timm:"):
        state = from_timm.resized_positions(made.network, state, made_for(weights))
    elif state:
        state = from_torchvision.resized_positions(made.network, state)
    if state:
        made = made._replace(report=load_backbone(made.network, state, weights, name))
    # After the weights are loaded, because most files know only the network's own pooling.
    made = made._replace(network=with_pooling(made.network, pooling, name, image_size or TRIAL))
    powers = load_power(made.network, state)
    if made.report is not None:
        made = made._replace(report=dataclasses.replace(made.report, unexpected=tuple(key for key in made.report.unexpected if key not in powers)))
    if image_size is not None:
        answer = probe(made.network, image_size, name)
        if answer.ndim < 2 or answer.shape[1] != made.dimension:
            raise UserError(f"{name} answers with shape {tuple(answer.shape)}, and its dimension is {made.dimension}", "They must agree: a map (B, D, h, w) or a vector (B, D).")
    return made


def _make(name: str, imagenet: bool, image_size: Size | None, own: Mapping[str, Target]) -> Made:
    library, _, inner = name.rpartition(":")
    if library in LIBRARIES:
        return LIBRARIES[library](inner, imagenet, image_size)
    if name in own:
        return _from_own(name, own[name], imagenet)
    if name in from_torchvision.names():
        return from_torchvision.create(name, imagenet)
    raise _unknown(name, own)


def _from_own(name: str, target: Target, imagenet: bool) -> Made:
    if imagenet:
        raise no_weights(name)
    network = function_of(target)()
    if not isinstance(getattr(network, "dimension", None), int):
        raise UserError(f"the network {name} has no dimension", "Give it the attribute: the D of what it answers with, (B, D, h, w) or (B, D).")
    return Made(network, network.dimension, None)


def _unknown(name: str, own: Mapping[str, Target]) -> UserError:
    names = [*own, *from_torchvision.names(), *from_torchreid.names(), *from_fastreid.names()]
    # The name after the colon is compared, too, so that osnet_x0_25 finds torchreid:osnet_x0_25.
    inner = {full.rpartition(":")[2]: full for full in reversed(names)}
    near = difflib.get_close_matches(name, names, n=3) or [
        inner[match] for match in difflib.get_close_matches(name.rpartition(":")[2], inner, n=3)
    ]
    return no_such(name, near)


def _keep_last_stage_large(network: nn.Module, name: str) -> None:
    """Sets stride 1 in a ResNet's last stage (Luo et al. 2019): the map becomes twice as high and wide, the weights stay the same."""
    stage = getattr(network, "layer4", None)
    first = next(stage.children(), nn.Identity()) if isinstance(stage, nn.Module) else nn.Identity()
    # Blocks have an attribute stride, too, but only layers without submodules act on theirs.
    leaves = [module for module in first.modules() if not list(module.children())]
    strided = [module for module in leaves if getattr(module, "stride", 1) in (2, (2, 2))]
    if not strided or not all(isinstance(module, nn.Conv2d) for module in strided):
        raise UserError(
            f"the last stride of {name} cannot be 1", "Only ResNets of four stages have it: use --model.last_stride 2."
        )
    for convolution in strided:
        convolution.stride = (1, 1)
