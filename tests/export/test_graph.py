"""The graph takes pixels of any number of images."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torchvision

from reid_srdl.data.augment import MEAN, STD, clean
from reid_srdl.errors import UserError
from reid_srdl.export import Wanted
from reid_srdl.export.graph import facts_of, program_of
from reid_srdl.models import exported_facts
from reid_srdl.models.from_torchvision import AnySizeViT


@pytest.mark.parametrize("count", [1, 2, 7])
def test_pixels_go_in_and_what_the_network_says_comes_out(trained, count):
    pixels = torch.randint(0, 256, (count, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
    with torch.no_grad():
        embedding, logits = program_of(trained, logits=True).module()(pixels)
        expected = trained.network(clean(pixels, (32, 16)))
    torch.testing.assert_close(embedding, expected.embedding)
    torch.testing.assert_close(logits, expected.logits)


def test_facts_are_read_as_they_were_written(trained, tmp_path):
    facts = facts_of(trained, Wanted("onnx", logits=True, metric="cosine"))
    assert exported_facts.read_facts(facts.as_json(), tmp_path) == facts
    assert facts.source == trained.model_hash and facts.labels == (3, 5, 9) and (facts.mean, facts.std) == (MEAN, STD)
    assert facts_of(trained, Wanted("onnx")).labels == ()


def test_what_cannot_be_a_graph_is_said(trained):
    class Moody(torch.nn.Module):
        def forward(self, images):
            return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))

    trained.network.backbone = Moody()
    with pytest.raises(UserError, match="small cannot be exported"):
        program_of(trained)
    with pytest.raises(UserError, match="exported file already"):
        program_of(dataclasses.replace(trained, network=torch.nn.Identity()))


def test_a_vision_transformer_of_torchvision_is_a_graph_for_any_number_of_images(trained):
    network = torchvision.models.VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=4)
    trained.network.backbone, trained.network.neck, trained.network.classifier = AnySizeViT(network.eval()), None, torch.nn.Linear(8, 3)
    pixels = torch.randint(0, 256, (5, 3, 32, 16), dtype=torch.uint8)
    made = program_of(trained, logits=False).module()(pixels)
    torch.testing.assert_close(made[0] if isinstance(made, tuple) else made, trained.network.embed(clean(pixels, (32, 16))).detach(), atol=1e-4, rtol=1e-4)
