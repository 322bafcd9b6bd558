"""The graph that all formats are made of: pixels in, embedding out, with the normalisation inside."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ..data.augment import MEAN, STD, normalised
from ..errors import UserError, first_line
from ..models import IdentityClassifier
from ..models.exported_facts import IMAGES, ExportFacts
from ..runs import Trained
from . import Wanted
from .quiet import quiet


class FromPixels(nn.Module):
    """A network preceded by the normalisation that it was trained with.

    Args:
        network: in eval mode.
        logits: whether logits are a second output.
    """

    def __init__(self, network: IdentityClassifier, logits: bool = False) -> None:
        super().__init__()
        self.network, self.logits = network, logits

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Takes uint8 ``(B, 3, H, W)`` in RGB; returns embeddings ``(B, D)``, and logits ``(B, C)`` where they are wanted."""
        if not self.logits:
            return (self.network.embed(normalised(images)),)
        output = self.network(normalised(images))
        return output.embedding, output.logits


def program_of(trained: Trained, *, logits: bool = False) -> torch.export.ExportedProgram:
    """The network as a program of ``torch.export``, for any number of images of its input size.

    Raises:
        UserError: the network is an exported file already, or does things that a graph cannot express.
    """
    if not isinstance(trained.network, IdentityClassifier):
        raise UserError("this is an exported file already", "Export from the run folder or model.safetensors that it was made from.")
    # The channels-last order of weights is of no use to other programs, and torch.export's files would warn about it.
    network = copy.deepcopy(trained.network).to(memory_format=torch.contiguous_format).eval()
    example = torch.zeros(2, 3, *trained.size, dtype=torch.uint8)  # two images: a graph traced with one image would take only one
    try:
        with torch.no_grad(), quiet("torch.export"):
            return torch.export.export(
                FromPixels(network, logits), (example,), dynamic_shapes={IMAGES: {0: torch.export.Dim("batch")}}, strict=False
            )
    except Exception as error:  # whatever the network's code runs into when it is traced
        raise UserError(f"{trained.model.backbone} cannot be exported ({first_line(error)})", "Its code does what no graph can hold.") from error


def facts_of(trained: Trained, wanted: Wanted) -> ExportFacts:
    """What the file will say about itself."""
    return ExportFacts(
        source=trained.model_hash, model=trained.model, size=trained.size, crop=trained.crop, precision=wanted.precision, metric=wanted.metric,
        mean=MEAN, std=STD, labels=tuple(trained.labels.tolist()) if wanted.logits else (),
    )  # fmt: skip
