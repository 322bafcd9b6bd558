"""A network in the form in which it embeds fastest: fewer passes over its maps, and weights that need not be converted again for each batch."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .classifier import IdentityClassifier
from .full_precision import FullPrecision

TOLERANCE = 1e-4
"""Largest difference between the embeddings of both forms, in parts of the largest number."""


def for_embedding(network: IdentityClassifier, size: tuple[int, int], dtype: torch.dtype | None = None) -> IdentityClassifier:
    """The same embeddings, up to rounding, in less time; for ``embed`` alone.

    A BatchNorm behind a convolution becomes part of it (Jacob et al. 2018, Eq. 11), and convolutions and linear layers keep their weights in the
    precision that autocast would bring them to each time. Each of the two is tried on an image of noise: what cannot be traced, or comes
    out otherwise, stays as it was.

    Args:
        network: in eval mode; it is not changed, and its later changes are not followed.
        size: (height, width) of its input.
        dtype: that autocast multiplies in; none where nothing is cast.

    Returns:
        A copy, or the network itself where neither can be done.
    """
    device = next(network.parameters()).device
    noise = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    # On the CPU, since a GPU may round what it multiplies in float32 (TF32), and the two forms would seem to differ.
    exact = network if device.type == "cpu" else copy.deepcopy(network).cpu()
    folded = _tried(_folded, exact, noise, None)
    made = network if folded is exact else folded.to(device)
    return made if dtype is None else _tried(partial(_cast, dtype=dtype), made, noise.to(device), dtype)


def _tried(step: Callable[[IdentityClassifier], bool], network: IdentityClassifier, image: torch.Tensor, dtype: torch.dtype | None) -> IdentityClassifier:
    try:
        made = copy.deepcopy(network)
        with torch.no_grad():
            if not step(made):
                return network
        with torch.inference_mode(), torch.autocast(image.device.type, dtype=dtype, enabled=dtype is not None):
            before, after = network.embed(image), made.embed(image)
    except Exception:  # a backbone is anybody's code
        return network
    return made if float((before - after).abs().max()) <= TOLERANCE * float(before.abs().max()) else network


def _folded(network: IdentityClassifier) -> bool:
    before = _norms(network.backbone)
    network.backbone = _fold(network.backbone)
    return _norms(network.backbone) < before


def _norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """What holds no BatchNorm need not be looked into, nor be fit for it."""
        return not _norms(module) or super().is_leaf_module(module, name)


def _fold(module: nn.Module) -> nn.Module:
    """What takes its place; where a module cannot be traced as a whole, the parts of it that can."""
    if not _norms(module):
        return module
    try:
        traced = fx.GraphModule(module, _Tracer().trace(module))
    except Exception:  # as above
        for name, part in list(module.named_children()):
            setattr(module, name, _fold(part))
        return module
    return traced if _take_up(traced) else module


def _take_up(traced: fx.GraphModule) -> bool:
    """Makes BatchNorms parts of the convolutions before them; whether there were any."""
    modules = dict(traced.named_modules())
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    pairs = []
    for node in traced.graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        # What stands in several places cannot take up a BatchNorm of one of them.
        if calls[node.target] == calls[before.target] == 1 and _fit(modules[before.target], modules[node.target]):
            pairs.append((before, node))
    for before, node in pairs:
        traced.set_submodule(before.target, fuse_conv_bn_eval(modules[before.target], modules[node.target]))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return bool(pairs)


def _fit(before: nn.Module, norm: nn.Module) -> bool:
    # Types derived from these may compute something else.
    return type(before) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_mean is not None


def _cast(network: IdentityClassifier, dtype: torch.dtype) -> bool:
    never_cast = {part for module in network.backbone.modules() if isinstance(module, FullPrecision) for part in module.modules()}
    chosen = [module for module in network.backbone.modules() if type(module) in (nn.Conv2d, nn.Linear) and module not in never_cast]
    for module in chosen:
        module.to(dtype)
    return bool(chosen)
