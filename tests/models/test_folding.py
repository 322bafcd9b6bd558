"""The form for embedding makes the same embeddings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reid_srdl.models import IdentityClassifier, build
from reid_srdl.models.folding import for_embedding

SIZE = (64, 32)
IMAGES = torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def shaken(network: IdentityClassifier) -> IdentityClassifier:
    """As after training: statistics, scales and shifts that are not 0 and 1."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            for values, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.6, 1.5), (module.weight.data, 0.7, 1.3), (module.bias.data, -0.2, 0.2)):
                values.copy_(low + (high - low) * torch.rand(values.shape, generator=generator))
    return network.eval().to(memory_format=torch.channels_last)


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def equal(one: IdentityClassifier, other: IdentityClassifier) -> bool:
    with torch.inference_mode():
        return torch.allclose(one.embed(IMAGES), other.embed(IMAGES), rtol=1e-3, atol=1e-4)


# In a DenseNet's blocks one of two BatchNorms stands before its convolution, where it cannot become part of it.
@pytest.mark.parametrize(
    ("backbone", "left"),
    [("resnet18", 0), ("mobilenet_v2", 0), ("shufflenet_v2_x0_5", 0), ("densenet121", 62), ("torchreid:osnet_x0_25", 0), ("resnet32", 0), ("timm:resnet18", 0)],
)
def test_batchnorms_behind_convolutions_become_part_of_them(backbone, left):
    torch.manual_seed(0)
    network = shaken(build(backbone, 4, neck="bnneck", image_size=SIZE))
    before, kept = norms(network), {name: value.clone() for name, value in network.state_dict().items()}
    made = for_embedding(network, SIZE)
    assert made is not network and norms(made.backbone) == left < before and equal(network, made)
    assert norms(network) == before and all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())


def classifier(backbone: nn.Module) -> IdentityClassifier:
    torch.manual_seed(0)
    return shaken(IdentityClassifier(backbone, 4, 3))


class Twice(nn.Module):
    """The same convolution and BatchNorm in two places."""

    def __init__(self):
        super().__init__()
        self.begin, self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images):
        maps = self.begin(images)
        return self.norm(self.conv(self.norm(self.conv(maps))))


class Beside(nn.Module):
    """A map that is used before the BatchNorm, too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images):
        maps = self.conv(images)
        return maps + self.norm(maps)


class ByValue(nn.Module):
    """What it does hangs on what it sees."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images):
        return self.norm(self.conv(images if images.mean() > 0 else -images))


class ByType(ByValue):
    """Traced, it would do something else without a word."""

    def forward(self, images):
        return self.norm(self.conv(images * 2 if isinstance(images, torch.Tensor) else images))


@pytest.mark.parametrize("backbone", [Twice, Beside])
def test_what_stands_in_several_places_is_let_alone(backbone):
    network = classifier(backbone())
    made = for_embedding(network, SIZE)
    assert norms(made) == 1 and equal(network, made)


@pytest.mark.parametrize("backbone", [ByValue, ByType])
def test_what_cannot_be_traced_stays_as_it_is(backbone):
    network = classifier(backbone())
    assert for_embedding(network, SIZE) is network
    cast = for_embedding(network, SIZE, torch.bfloat16)
    assert norms(cast) == 1 and cast.backbone.conv.weight.dtype == torch.bfloat16 and network.backbone.conv.weight.dtype == torch.float32


def test_weights_are_kept_in_the_precision_that_they_are_multiplied_in():
    """To the bits that autocast itself would make of them."""
    torch.manual_seed(0)
    network = shaken(build("resnet18", 4, neck="bnneck"))
    plain, cast = for_embedding(network, (128, 64)), for_embedding(network, (128, 64), torch.bfloat16)
    assert {module.weight.dtype for module in cast.backbone.modules() if isinstance(module, nn.Conv2d)} == {torch.bfloat16} and cast.neck.weight.dtype == torch.float32
    images = torch.randn(2, 3, 128, 64)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain.embed(images), cast.embed(images))


def test_what_is_computed_in_float32_is_not_cast(needs):
    needs("torchreid")
    made = for_embedding(build("torchreid:osnet_x0_25", 4, image_size=SIZE).eval(), SIZE, torch.bfloat16)
    assert made.backbone.fc[0].weight.dtype == torch.float32 and made.backbone.conv1.conv.weight.dtype == torch.bfloat16
