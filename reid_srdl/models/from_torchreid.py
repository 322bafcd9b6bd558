"""Backbones from torchreid (Zhou and Xiang 2019), of which only the models are imported."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .full_precision import FullPrecision
from .making import Made, Size, no_download, no_such, no_weights, short_patience, without_dropout
from .weights import Report, load_backbone


def _models() -> types.ModuleType:
    """torchreid's model factory, without the rest of the package.

    ``import torchreid`` also imports its engines, data managers and metrics, and with them libraries that it does not
    declare. So empty packages take the place of its own while the models are imported.
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


def _factory(models: types.ModuleType) -> Mapping[str, Any]:
    return vars(models)["__model_factory"]


def names() -> list[str]:
    """Names with their prefix; none where torchreid is not installed."""
    if importlib.util.find_spec("torchreid") is None:
        return []
    return [f"torchreid:{name}" for name in _factory(_models())]


def create(name: str, imagenet: bool, image_size: Size | None = None) -> Made:
    """torchreid's ``name``, which returns a vector (B, D); ``image_size`` is not used.

    Raises:
        UserError: torchreid is not installed; an unknown name; a network with several classifiers; weights that cannot be fetched.
    """
    models = _models()
    full = f"torchreid:{name}"
    if name not in _factory(models):
        near = difflib.get_close_matches(name, _factory(models), n=3)
        raise no_such(full, [f"torchreid:{other}" for other in near])
    network = models.build_model(name, num_classes=1, pretrained=False, use_gpu=False)
    classifier = getattr(network, "classifier", None)
    if not isinstance(classifier, nn.Linear):
        raise UserError(
            f"{full} has a classifier for each of several parts, which one identity classifier cannot replace",
            "Choose another network, such as torchreid:osnet_x1_0.",
        )
    # These networks return classifier(vector) in training, the vector in evaluation: now it is the vector in both.
    network.classifier = nn.Identity()
    without_dropout(network)
    if isinstance(last := getattr(network, "fc", None), nn.Sequential):  # behind the pooling, as in OSNet
        network.fc = FullPrecision(*last)
    report = _imagenet(models, name, network) if imagenet else None
    return Made(network, classifier.in_features, report)


def _imagenet(models: types.ModuleType, name: str, network: nn.Module) -> Report:
    """Fills ``network`` with the tensors that torchreid's download changes in a network of that name.

    torchreid only warns where it has no weights or they do not fit. So the tensors that it filled are found by comparing
    with a network of the same random weights without the download; the rest of ``network`` keeps its own random weights.
    """
    full = f"torchreid:{name}"

    def state(pretrained: bool) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return models.build_model(name, num_classes=1, pretrained=pretrained, use_gpu=False).state_dict()

    drawn = state(pretrained=False)
    try:
        with short_patience():
            filled = state(pretrained=True)
    except ImportError as error:
        hint = f"Install it with: pip install {error.name}"
        raise UserError(f"torchreid needs {error.name} to fetch weights", hint) from error
    except Exception as error:  # each of its downloaders has exceptions of its own
        raise no_download(full, error) from error
    changed = {key: tensor for key, tensor in filled.items() if not torch.equal(tensor, drawn[key])}
    if not changed:
        raise no_weights(full)
    return load_backbone(network, changed, f"torchreid's ImageNet weights of {name}", full)
