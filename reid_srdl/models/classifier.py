"""A backbone, its pooled embedding, and a linear classifier over the identities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .full_precision import wide

if TYPE_CHECKING:
    from .weights import Report

Neck = Literal["none", "bnneck"]


class Output(NamedTuple):
    """What a network computes for a batch of images, all in float32.

    Args:
        embedding: (B, D), what is compared between images.
        features: (B, D), the pooled features: without a neck the embedding itself, else the input of the neck's BatchNorm.
        logits: (B, C), of the training classes.
    """

    embedding: Tensor
    features: Tensor
    logits: Tensor


class IdentityClassifier(nn.Module):
    """Backbone, global average over its map, an optional BatchNorm, a linear classifier.

    The classifier is applied directly to the embedding: any dropout that the library puts before its own classifier
    (MobileNetV2 has one of 0.2) is left out with that classifier, as the paper's feature has none.

    Without a neck, the classifier starts as PyTorch's ``Linear`` does. With ``bnneck`` (Luo et al. 2019, "Bag of
    Tricks and a Strong Baseline for Deep Person Re-identification"), a BatchNorm whose shift is held at 0 makes the
    embedding from the features, and the classifier has no bias and is drawn from N(0, 0.001²).

    Random weights are drawn from torch's global state.

    Args:
        backbone: maps images (B, 3, H, W) to a map (B, D, h, w) or a vector (B, D).
        dimension: D.
        num_classes: C.
        neck: ``none`` or ``bnneck``.

    Attributes:
        weights_report: which weights of the backbone came from a file or a download; ``None`` if none did or it is not known.
    """

    def __init__(self, backbone: nn.Module, dimension: int, num_classes: int, neck: Neck = "none") -> None:
        super().__init__()
        self.backbone = backbone
        self.dimension = dimension
        self.num_classes = num_classes
        self.weights_report: Report | None = None
        self.neck: nn.BatchNorm1d | None = None
        self.classifier = nn.Linear(dimension, num_classes, bias=neck == "none")
        if neck == "bnneck":
            self.neck = nn.BatchNorm1d(dimension)
            self.neck.bias.requires_grad_(False)
            nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, images: Tensor) -> Output:
        """``images``: (B, 3, H, W), normalised."""
        features = self._features(images)
        embedding = self._embedding(features)
        with torch.autocast(images.device.type, enabled=False):
            logits = self.classifier(embedding)
        return Output(embedding, features, logits)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of ``images`` (B, 3, H, W), without computing the classifier."""
        return self._embedding(self._features(images))

    def _features(self, images: Tensor) -> Tensor:
        # Whatever precision the backbone runs in, from here on it is float32.
        features = self.backbone(images)
        if features.ndim == 4:
            return features.mean((2, 3), dtype=wide(features.dtype))
        return features.to(wide(features.dtype))

    def _embedding(self, features: Tensor) -> Tensor:
        if self.neck is None:
            return features
        with torch.autocast(features.device.type, enabled=False):
            return self.neck(features)
