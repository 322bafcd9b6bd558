"""Names to networks without their classifier: torchvision, torchreid, timm, and our own."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import socket
import sys
import types
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from ..errors import UserError
from .weights import Report, load_backbone, read_state

Size = tuple[int, int]
# Seconds to wait for a server before saying that there is none.
PATIENCE = 10.0


class Made(NamedTuple):
    """A backbone from images (B, 3, H, W) to a map (B, D, h, w) or a vector (B, D); its D; what filled it, if known."""

    network: nn.Module
    dimension: int
    report: Report | None


def create(name: str, *, weights: str, last_stride: int, image_size: Size | None, own: Mapping[str, str]) -> Made:
    """The backbone called ``name``; see :func:`reid_srdl.models.build` for the arguments.

    Args:
        own: names of our own networks to ``"module:function"``.
    """
    library, _, inner = name.rpartition(":")
    imagenet = weights == "imagenet"
    if library == "torchreid":
        made = _from_torchreid(inner, imagenet)
    elif library == "timm":
        made = _from_timm(inner, imagenet, image_size)
    elif name in own:
        made = _from_own(name, own[name], imagenet)
    elif not library and name in _torchvision_names():
        made = _from_torchvision(name, imagenet)
    else:
        raise _unknown(name, own)
    if last_stride == 1:
        _keep_last_stage_large(made.network, name)
    elif last_stride != 2:
        raise UserError(f"a last stride of {last_stride} cannot be built", "Choose 1 or 2.")
    if weights not in ("none", "imagenet"):
        made = made._replace(report=load_backbone(made.network, read_state(weights), weights, name))
    if image_size is not None:
        _probe(made.network, image_size, name)
    return made


def _unknown(name: str, own: Mapping[str, str]) -> UserError:
    names = [*own, *_torchvision_names()]
    if importlib.util.find_spec("torchreid"):
        names += [f"torchreid:{inner}" for inner in _torchreid_factory(_torchreid_models())]
    # The name after the colon decides too, so that osnet_x0_25 finds torchreid:osnet_x0_25.
    inner = {full.rpartition(":")[2]: full for full in reversed(names)}
    near = difflib.get_close_matches(name, names, n=3) or [
        inner[match] for match in difflib.get_close_matches(name.rpartition(":")[2], inner, n=3)
    ]
    return _no_such(name, near)


def _no_such(name: str, near: list[str]) -> UserError:
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return UserError(f"unknown network {name!r}", f"{hint}Networks are torchvision's, torchreid:NAME and timm:NAME.")


def _no_weights(name: str) -> UserError:
    return UserError(f"there are no ImageNet weights of {name}", "Use --model.weights none, or a file of weights.")


def _no_download(name: str, error: BaseException) -> UserError:
    return UserError(
        f"the ImageNet weights of {name} are not in the cache and cannot be fetched ({type(error).__name__})",
        "Run the command once with a network connection, so that they are cached, or name a file of weights with "
        "--model.weights FILE (--model.weights none starts from scratch).",
    )


@contextlib.contextmanager
def _short_patience() -> Iterator[None]:
    # The libraries open connections without a time limit of their own.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _probe(network: nn.Module, size: Size, name: str) -> Tensor:
    """The answer (1, D, …) to an image of zeros, channels last as in training; in eval mode it changes nothing."""
    was_training = network.training
    try:
        with torch.no_grad():
            return network.eval()(torch.zeros(1, 3, *size).contiguous(memory_format=torch.channels_last))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).strip().split("\n")[0][:120]
        raise UserError(
            f"{name} cannot take images of {size[0]}x{size[1]} pixels ({reason})",
            "Choose another --data.height and --data.width, or another --model.backbone.",
        ) from error
    finally:
        network.train(was_training)


def _keep_last_stage_large(network: nn.Module, name: str) -> None:
    """Stride 1 in a ResNet's last stage (Luo et al. 2019): a map twice as high and wide, to the same weights."""
    stage = getattr(network, "layer4", None)
    first = next(stage.children(), nn.Identity()) if isinstance(stage, nn.Module) else nn.Identity()
    # Blocks note their stride too; only layers without parts of their own act on it.
    leaves = [module for module in first.modules() if not list(module.children())]
    strided = [module for module in leaves if getattr(module, "stride", 1) in (2, (2, 2))]
    if not strided or not all(isinstance(module, nn.Conv2d) for module in strided):
        raise UserError(f"the last stride of {name} cannot be 1", "Only ResNets have it: use --model.last_stride 2.")
    for convolution in strided:
        convolution.stride = (1, 1)


# --- our own ---------------------------------------------------------------------------------------------------------


def _from_own(name: str, target: str, imagenet: bool) -> Made:
    if imagenet:
        raise _no_weights(name)
    module, _, function = target.partition(":")
    network = getattr(importlib.import_module(module), function)()
    return Made(network, network.dimension, None)


# --- torchvision -----------------------------------------------------------------------------------------------------


def _torchvision_names() -> list[str]:
    return torchvision.models.list_models(module=torchvision.models)


def _from_torchvision(name: str, imagenet: bool) -> Made:
    network, dimension = without_head(_torchvision_network(name))
    if not imagenet:
        return Made(network, dimension, None)
    offered = torchvision.models.get_model_weights(name)
    # The first recipe's where there are several: those of the paper's time, which the field's numbers stand on.
    chosen = getattr(offered, "IMAGENET1K_V1", offered.DEFAULT)
    try:
        with _short_patience():
            state = chosen.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise _no_download(name, error) from error
    return Made(network, dimension, load_backbone(network, state, f"torchvision's {chosen}", name))


def _torchvision_network(name: str) -> nn.Module:
    if name in ("googlenet", "inception_v3"):
        # Auxiliary classifiers would make the output a tuple in training. The input transform undoes ImageNet's
        # normalisation in favour of the one that the published weights were trained with.
        return torchvision.models.get_model(name, aux_logits=False, init_weights=True, transform_input=True)
    return torchvision.models.get_model(name)


def without_head(network: nn.Module) -> tuple[nn.Module, int]:
    """Cuts a torchvision network's head off before its first layer with weights; what remains keeps its names.

    Returns:
        The network, whose output is the pooled vector (B, D), and D.
    """
    models = torchvision.models
    attribute = next(name for name in ("fc", "classifier", "head", "heads") if hasattr(network, name))
    head = getattr(network, attribute)
    layers = [head] if isinstance(head, nn.Linear) else list(head)
    cut = next(index for index, layer in enumerate(layers) if isinstance(layer, nn.Linear | nn.Conv2d))
    dimension = layers[cut].in_channels if isinstance(layers[cut], nn.Conv2d) else layers[cut].in_features
    if isinstance(network, models.VisionTransformer):
        return AnySizeViT(network), dimension
    if isinstance(network, models.MNASNet):
        return Layers(network.layers), dimension
    if isinstance(network, models.VGG | models.AlexNet):
        # They flatten a 7x7 (6x6) map into their classifier; the embedding is its average.
        height, width = network.avgpool.output_size
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        dimension //= height * width
    kept: list[nn.Module] = [nn.Identity() if isinstance(layer, nn.Dropout) else layer for layer in layers[:cut]]
    if isinstance(network, models.SqueezeNet):
        kept = [nn.AdaptiveAvgPool2d(1)]  # its pooling stands at the end of the head that was cut off
    setattr(network, attribute, nn.Sequential(*kept))
    return network, dimension


class Layers(nn.Module):
    """Layers one after another, to a map (B, D, h, w); for networks whose own class stands in the way.

    torchvision's MNASNet refuses a state without a version mark, and safetensors do not keep one.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class AnySizeViT(nn.Module):
    """torchvision's Vision Transformer for images of any size that its patches divide; the output is the class token.

    Position embeddings are for the size that the network was made for (a square grid); for another grid they are
    interpolated bicubically, as usual (Dosovitskiy et al. 2021, section 3.2).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.patch_size: int = network.patch_size
        self.grid: int = network.image_size // network.patch_size
        self.conv_proj = network.conv_proj
        self.class_token = network.class_token
        self.encoder = network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D)."""
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(f"height and width must be multiples of {self.patch_size}")
        tokens = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        tokens = tokens + self._positions((height // self.patch_size, width // self.patch_size))
        return self.encoder.ln(self.encoder.layers(self.encoder.dropout(tokens)))[:, 0]

    def _positions(self, grid: Size) -> Tensor:
        positions = self.encoder.pos_embedding
        if grid == (self.grid, self.grid):
            return positions
        of_class, of_patches = positions[:, :1], positions[:, 1:]
        of_patches = of_patches.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        of_patches = functional.interpolate(of_patches, size=grid, mode="bicubic", antialias=True, align_corners=False)
        return torch.cat([of_class, of_patches.flatten(2).transpose(1, 2)], dim=1)


# --- torchreid -------------------------------------------------------------------------------------------------------


def _torchreid_models() -> types.ModuleType:
    """torchreid's model factory, without the rest of the package.

    ``import torchreid`` also imports its engines, data managers and metrics, and with them libraries that it does not
    declare. So its packages are stood in for by bare ones while the models are imported.
    """
    if "torchreid" in sys.modules or "torchreid.reid.models" in sys.modules:
        return importlib.import_module("torchreid.reid.models")
    found = importlib.util.find_spec("torchreid")
    if found is None or found.origin is None:
        raise UserError("torchreid is not installed", "Install it with: pip install torchreid")
    root = Path(found.origin).parent
    for package, folder in (("torchreid", root), ("torchreid.reid", root / "reid")):
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(folder)]
    try:
        return importlib.import_module("torchreid.reid.models")
    except ImportError as error:
        hint = "Install it again with: pip install torchreid"
        raise UserError(f"torchreid's models cannot be imported ({error})", hint) from error
    finally:
        # Whoever imports torchreid later gets the real one.
        del sys.modules["torchreid"], sys.modules["torchreid.reid"]


def _torchreid_factory(models: types.ModuleType) -> Mapping[str, Any]:
    return vars(models)["__model_factory"]


def _from_torchreid(name: str, imagenet: bool) -> Made:
    models = _torchreid_models()
    full = f"torchreid:{name}"
    if name not in _torchreid_factory(models):
        near = difflib.get_close_matches(name, _torchreid_factory(models), n=3)
        raise _no_such(full, [f"torchreid:{other}" for other in near])
    network = models.build_model(name, num_classes=1, pretrained=False, use_gpu=False)
    classifier = getattr(network, "classifier", None)
    if not isinstance(classifier, nn.Linear):
        raise UserError(
            f"{full} has a classifier for each of several parts, which one identity classifier cannot replace",
            "Choose another network, such as torchreid:osnet_x1_0.",
        )
    # In training these networks return classifier(vector), in evaluation the vector: now it is the vector in both.
    network.classifier = nn.Identity()
    report = _torchreid_imagenet(models, name, network) if imagenet else None
    return Made(network, classifier.in_features, report)


def _torchreid_imagenet(models: types.ModuleType, name: str, network: nn.Module) -> Report:
    """Fills ``network`` with what torchreid's download changes in a network of that name.

    torchreid only warns where it has no weights or they do not fit, so what it filled is found by comparing with the
    same draw without them; the rest of ``network`` keeps its own draw.
    """
    full = f"torchreid:{name}"

    def state(pretrained: bool) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return models.build_model(name, num_classes=1, pretrained=pretrained, use_gpu=False).state_dict()

    drawn = state(pretrained=False)
    try:
        with _short_patience():
            filled = state(pretrained=True)
    except ImportError as error:
        hint = f"Install it with: pip install {error.name}"
        raise UserError(f"torchreid needs {error.name} to fetch weights", hint) from error
    except Exception as error:  # each of its downloaders has exceptions of its own
        raise _no_download(full, error) from error
    changed = {key: tensor for key, tensor in filled.items() if not torch.equal(tensor, drawn[key])}
    if not changed:
        raise _no_weights(full)
    return load_backbone(network, changed, f"torchreid's ImageNet weights of {name}", full)


# --- timm ------------------------------------------------------------------------------------------------------------


def _from_timm(name: str, imagenet: bool, image_size: Size | None) -> Made:
    try:
        import timm
    except ImportError:
        raise UserError("timm is not installed", "Install it with: pip install timm") from None
    full = f"timm:{name}"
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise _no_such(full, [f"timm:{other}" for other in near])
    try:
        published = timm.get_pretrained_cfg(name)
    except RuntimeError:  # the tag after the dot is unknown
        tagged = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        raise _no_such(full, [f"timm:{other}" for other in tagged[:3]]) from None
    options: dict[str, Any] = {"num_classes": 0}
    if image_size is not None and published is not None and published.fixed_input_size:
        options["img_size"] = image_size
    if imagenet:
        options |= _timm_weights(full, published)
    try:
        with _short_patience():
            network = timm.create_model(name, **options)
    except Exception as error:  # the Hub's client, timm and torch have exceptions of their own
        if imagenet:
            raise _no_download(full, error) from error
        raise
    size = image_size or (published.input_size[1:] if published is not None else (224, 224))
    return Made(network, _probe(network, size, full).shape[1], None)


def _timm_weights(full: str, published: Any) -> dict[str, Any]:
    """How timm is told to fill the network: from the Hub's cache where it is there, else from the Hub.

    Asked for weights without a network, the Hub's client tries again for most of a minute; so that is found out first.
    """
    if published is None or not (published.hf_hub_id or published.url or published.file):
        raise _no_weights(full)
    options: dict[str, Any] = {"pretrained": True}
    if not published.hf_hub_id:
        return options
    import huggingface_hub

    for filename in (published.hf_hub_filename, "model.safetensors", "pytorch_model.bin"):
        cached = filename and huggingface_hub.try_to_load_from_cache(published.hf_hub_id, filename)
        if isinstance(cached, str):
            return options | {"pretrained_cfg_overlay": {"file": cached}}
    try:
        request = urllib.request.Request(huggingface_hub.constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        pass  # an answer, if not the friendliest
    except OSError as error:
        raise _no_download(full, error) from error
    return options
