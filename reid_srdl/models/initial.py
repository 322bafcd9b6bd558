"""Random initial weights of networks that are trained from scratch."""

from __future__ import annotations

from torch import nn


def draw_convolutions(network: nn.Module) -> None:
    """Draws convolutions from N(0, 2 / (k² · channels going out)), from torch's global state.

    That is K. He, X. Zhang, S. Ren, J. Sun. Delving Deep into Rectifiers. ICCV 2015, equation 14 (the backward signal
    keeps its size). The ResNet and DenseNet papers say that they start as that paper does, which leaves the choice
    between it and equation 10 (the forward signal); the code of Wide ResNets and of DenseNets takes 14. BatchNorm
    begins with scale 1 and shift 0, as PyTorch has it.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
