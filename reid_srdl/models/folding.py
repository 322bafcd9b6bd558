"""Rewrites a network so that it embeds faster: with fewer passes over its maps, and with weights that are not converted again for each batch."""

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
"""The largest allowed difference between the embeddings of both forms, as a fraction of the largest number."""


def for_embedding(network: IdentityClassifier, size: tuple[int, int], dtype: torch.dtype | None = None) -> IdentityClassifier:
    """A network that makes the same embeddings, up to rounding, in less time; for ``embed`` only.

    A BatchNorm after a convolution becomes part of it (Jacob et al. 2018, Eq. 11), and convolutions and linear layers keep their weights in the
    precision that autocast would convert them to each time. Each of the two steps is tried on an image of noise: one that fails, or that
    changes the embedding, is not taken.

    Args:
        network: in eval mode; it is not changed, and later changes to it have no effect on the result.
        size: (height, width) of its input.
        dtype: the type that autocast multiplies in; None where nothing is cast.

    Returns:
        A copy, or the network itself where neither can be done.
    """
    device = next(network.parameters()).device
    noise = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    # On the CPU, since a GPU may round float32 products (TF32), so that the two forms would seem to differ.
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
        """Modules without a BatchNorm are not traced into, so they need not be traceable."""
        return not _norms(module) or super().is_leaf_module(module, name)


def _fold(module: nn.Module) -> nn.Module:
    """The module with its BatchNorms folded; where it cannot be traced as a whole, those of its parts that can."""
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
    """Makes BatchNorms part of the convolutions before them; returns whether there were any."""
    modules = dict(traced.named_modules())
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    pairs = []
    for node in traced.graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        # A convolution that is used in several places cannot take up the BatchNorm of one of them.
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
    # Subclasses may compute something else.
    return type(before) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_mean is not None


def _cast(network: IdentityClassifier, dtype: torch.dtype) -> bool:
    never_cast = {part for module in network.backbone.modules() if isinstance(module, FullPrecision) for part in module.modules()}
    chosen = [module for module in network.backbone.modules() if type(module) in (nn.Conv2d, nn.Linear) and module not in never_cast]
    for module in chosen:
        module.to(dtype)
    return bool(chosen)
