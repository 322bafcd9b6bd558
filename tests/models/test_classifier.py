from __future__ import annotations

import pytest
import torch
from torch import nn

from reid_srdl import seeds
from reid_srdl.errors import UserError
from reid_srdl.models import IdentityClassifier, Output, build


class Map(nn.Module):
    """Images (B, 3, H, W) to a map (B, 8, H/2, W/2)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(images)).relu()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(3))


def network(neck: str = "none") -> IdentityClassifier:
    with seeds.forked(7):
        return IdentityClassifier(Map(), 8, 5, neck)


def test_the_embedding_is_the_average_of_the_map_and_the_classifier_stands_on_it(images: torch.Tensor) -> None:
    trained = network().eval()
    output = trained(images)
    assert isinstance(output, Output)
    expected = trained.backbone(images).flatten(2).mean(2)
    torch.testing.assert_close(output.embedding, expected)
    assert output.features is output.embedding
    torch.testing.assert_close(output.logits, expected @ trained.classifier.weight.T + trained.classifier.bias)


def test_a_vector_of_a_backbone_is_taken_as_it_is(images: torch.Tensor) -> None:
    pooled = nn.Sequential(Map(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    trained = IdentityClassifier(pooled, 8, 5).eval()
    assert torch.equal(trained(images).embedding, pooled(images))


@pytest.mark.parametrize("neck", ["none", "bnneck"])
def test_embed_is_the_embedding_without_the_classifier(images: torch.Tensor, neck: str) -> None:
    trained = network(neck).eval()
    expected = trained(images).embedding

    def refuse(*_: object) -> None:
        raise AssertionError("the classifier was computed")

    trained.classifier.register_forward_hook(refuse)
    assert torch.equal(trained.embed(images), expected)


def test_bnneck_normalises_the_features_and_has_no_biases(images: torch.Tensor) -> None:
    trained = network("bnneck")
    output = trained(images)
    mean, variance = output.features.mean(0), output.features.var(0, unbiased=False)
    torch.testing.assert_close(output.embedding, (output.features - mean) / (variance + trained.neck.eps).sqrt())
    output.logits.square().sum().backward()
    assert trained.neck.bias.grad is None and trained.neck.weight.grad is not None
    assert trained.classifier.bias is None
    wide = IdentityClassifier(Map(), 8, 4000, "bnneck").classifier.weight
    assert wide.std().item() == pytest.approx(0.001, rel=0.05)
    trained.eval()
    assert not torch.equal(trained(images).embedding, trained(images).features)


@pytest.mark.parametrize("neck", ["none", "bnneck"])
def test_logits_are_computed_in_float32_under_autocast(images: torch.Tensor, neck: str) -> None:
    trained = network(neck).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert trained.backbone.convolution(images).dtype == torch.bfloat16
        output = trained(images)
        embedding = trained.embed(images)
    assert {value.dtype for value in (*output, embedding)} == {torch.float32}
    # Computed, not only returned, in float32: rounding to bfloat16 would be a thousand times coarser.
    torch.testing.assert_close(output.logits, trained.classifier(output.embedding), rtol=1e-6, atol=1e-7)


def test_float64_stays_float64(images: torch.Tensor) -> None:
    assert network().double()(images.double()).logits.dtype == torch.float64


@pytest.mark.parametrize("neck", ["none", "bnneck"])
def test_channels_last_changes_nothing_but_rounding(images: torch.Tensor, neck: str) -> None:
    usual = network(neck).eval()(images)
    last = network(neck).eval().to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    for expected, actual in zip(usual, last, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("neck", ["none", "bnneck"])
def test_the_forward_pass_is_one_graph(images: torch.Tensor, neck: str) -> None:
    trained = network(neck).eval()
    compiled = torch.compile(trained, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), trained(images))


def test_every_trained_parameter_gets_a_gradient(images: torch.Tensor) -> None:
    # Ranks of a distributed run would wait for one that gets none.
    trained = network("bnneck")
    trained(images).logits.sum().backward()
    assert [name for name, value in trained.named_parameters() if value.requires_grad and value.grad is None] == []


def test_building_is_deterministic_in_the_seed_and_leaves_the_callers_state() -> None:
    def state(seed: int) -> dict[str, torch.Tensor]:
        with seeds.forked(seed, "weights"):
            return build("shufflenet_v2_x0_5", 5).state_dict()

    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = state(1), state(1), state(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert not torch.equal(first["backbone.conv1.0.weight"], other["backbone.conv1.0.weight"])


def test_a_restart_from_weights_has_the_same_backbone_and_another_classifier(tmp_path) -> None:
    file = tmp_path / "pretrained.pth"
    torch.save(build("shufflenet_v2_x0_5", 5).backbone.state_dict(), file)

    def restart(seed: int) -> IdentityClassifier:
        with seeds.forked(seed, "restart"):
            return build("shufflenet_v2_x0_5", 5, weights=str(file))

    first, second = restart(1), restart(2)
    assert first.weights_report is not None and first.weights_report.complete
    for name, tensor in first.backbone.state_dict().items():
        assert torch.equal(tensor, second.backbone.state_dict()[name]), name
    assert not torch.equal(first.classifier.weight, second.classifier.weight)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"neck": "bnnek"}, "bnnek"), ({"num_classes": 0}, "0 classes"), ({"last_stride": 3}, "3")],
)
def test_options_that_do_not_exist_are_named(options: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        build("shufflenet_v2_x0_5", **{"num_classes": 5, **options})
