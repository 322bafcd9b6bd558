from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.models.weights import _numpy_scalars, load_backbone, read_state


def backbone(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 6, 1))


def filled(network: nn.Module, value: float = 0.5) -> dict[str, Tensor]:
    return {name: torch.full_like(tensor, value) for name, tensor in network.state_dict().items()}


class Code:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nest", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3}, lambda state: {"model": state}]
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.pth.tar", "weights.pt"])
def test_torch_files_are_read_plain_and_nested(tmp_path: Path, name: str, nest) -> None:
    state = filled(backbone())
    torch.save(nest(state), tmp_path / name)
    assert read_state(tmp_path / name).keys() == state.keys()


def test_a_checkpoint_with_a_score_of_numpy_is_read(tmp_path: Path) -> None:
    file = tmp_path / "model-best.pth.tar"
    torch.save({"state_dict": filled(backbone()), "rank1": np.float64(0.9), "mAP": np.float32(0.7)}, file)
    assert read_state(file)["0.weight"].shape == (4, 3, 3, 3)


def test_a_checkpoint_of_python_2_is_read(tmp_path: Path) -> None:
    """Some of torchreid's zoo is: its words, and the bytes of NumPy's numbers, are strings without an encoding."""

    class Old(pickle._Pickler):
        dispatch = dict(pickle._Pickler.dispatch)

        def word(self, obj: str | bytes) -> None:
            encoded = obj.encode("latin1") if isinstance(obj, str) else obj
            self.write(pickle.SHORT_BINSTRING + bytes([len(encoded)]) + encoded)
            self.memoize(obj)

        dispatch[str] = dispatch[bytes] = word

    module = SimpleNamespace(Pickler=Old, dump=lambda obj, file, protocol=2: Old(file, protocol).dump(obj))
    state = OrderedDict(filled(backbone()))
    with open(tmp_path / "old.pth.tar", "wb") as file:
        torch.serialization._legacy_save({"state_dict": state, "rank1": np.float64(0.879)}, file, module, 2)
    with pytest.raises(UnicodeDecodeError), torch.serialization.safe_globals(_numpy_scalars()):
        torch.load(tmp_path / "old.pth.tar", weights_only=True)
    read = read_state(tmp_path / "old.pth.tar")
    assert read.keys() == state.keys() and torch.equal(read["0.weight"], state["0.weight"])


def test_safetensors_are_read(tmp_path: Path) -> None:
    state = filled(backbone())
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    read = read_state(tmp_path / "weights.safetensors")
    assert read.keys() == state.keys() and torch.equal(read["0.weight"], state["0.weight"])


@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_a_truncated_file_is_one_line(tmp_path: Path, form: str, kept: float) -> None:
    file = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pth")
    if form == "safetensors":
        safetensors.torch.save_file(filled(backbone()), file)
    else:
        torch.save(filled(backbone()), file, _use_new_zipfile_serialization=form == "zip")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(UserError, match="truncated") as caught:
        read_state(file)
    assert file.name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
def test_code_in_a_file_is_refused_and_never_run(tmp_path: Path, form: str, recwarn: pytest.WarningsRecorder) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pth"
    content = {"state_dict": filled(backbone()), "extra": Code(mark)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UserError, match="could run code|never run") as caught:
        read_state(file)
    assert not mark.exists()
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)
    assert not recwarn.list


def test_a_whole_pickled_network_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(backbone(), tmp_path / "whole.pth")
    with pytest.raises(UserError, match="torch.nn.modules"):
        read_state(tmp_path / "whole.pth")


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {}}])
def test_a_file_without_weights_says_what_is_needed(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "none.pth")
    with pytest.raises(UserError, match="holds no weights"):
        read_state(tmp_path / "none.pth")


@pytest.mark.parametrize(
    "odd", [torch.eye(3).to_sparse(), torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8), torch.eye(3, dtype=torch.complex64), torch.empty(3, device="meta")]
)
def test_numbers_in_another_form_than_a_network_s_are_refused_by_name(tmp_path: Path, odd: Tensor) -> None:
    torch.save({"first.weight": torch.eye(3), "last.weight": odd}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="x.pth holds last.weight in a form that no network here has"):
        read_state(tmp_path / "x.pth")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file of weights imagnet"):
        read_state("imagnet")
    with pytest.raises(UserError, match="is a folder"):
        read_state(tmp_path)


# --- fitting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "module.", "module.base.", "model.backbone.net."])
def test_prefixes_of_wrappers_are_taken_off(prefix: str) -> None:
    network = backbone()
    state = {prefix + name: tensor for name, tensor in filled(network).items()}
    state |= {prefix + "classifier.weight": torch.zeros(9, 6), "bottleneck.weight": torch.ones(6)}
    report = load_backbone(network, state, "somewhere")
    assert report.complete and report.share == 1
    assert set(report.unexpected) == {prefix + "classifier.weight", "bottleneck.weight"}
    assert all((tensor == torch.full_like(tensor, 0.5)).all() for tensor in network.state_dict().values())


def test_the_online_half_of_a_contrastive_checkpoint_is_found() -> None:
    # MoCo stores two networks of one architecture and a queue; equal fits take the first by name.
    network = backbone()
    state = {f"module.encoder_k.{name}": tensor for name, tensor in filled(network, 0.1).items()}
    state |= {f"module.encoder_q.{name}": tensor for name, tensor in filled(network, 0.9).items()}
    assert load_backbone(network, state, "moco").complete


def test_a_part_is_reported_as_a_part_and_the_rest_keeps_its_values() -> None:
    network = backbone()
    before = network[2].weight.clone()
    state = {name: tensor for name, tensor in filled(network).items() if not name.startswith("2.")}
    report = load_backbone(network, state, "half.pth")
    assert not report.complete
    assert report.missing == ("2.weight", "2.bias") and report.mismatched == ()
    assert "ONLY PART of the backbone comes from half.pth: 7 of 9 tensors" in str(report) and "2.weight" in str(report)
    assert torch.equal(network[2].weight, before) and (network[0].weight == 0.5).all()


def test_other_shapes_are_reported_with_both() -> None:
    network = backbone()
    state = filled(network) | {"2.weight": torch.zeros(7, 4, 1, 1)}
    report = load_backbone(network, state, "file")
    assert report.mismatched == (("2.weight", (7, 4, 1, 1), (6, 4, 1, 1)),)
    assert "7x4x1x1 for 6x4x1x1" in str(report)
    assert not (network[2].weight == 0).all()


def test_counters_of_batches_may_be_absent() -> None:
    network = backbone()
    state = {name: tensor for name, tensor in filled(network).items() if "num_batches" not in name}
    assert load_backbone(network, state, "old").complete


@pytest.mark.parametrize("keep", [[], ["1.num_batches_tracked"]])
def test_nothing_that_matches_is_an_error(keep: list[str]) -> None:
    network = backbone()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = {name: tensor for name, tensor in filled(network).items() if name in keep} | {"stem.weight": torch.zeros(2)}
    with pytest.raises(UserError, match="nothing in other.pth fits resnet"):
        load_backbone(network, state, "other.pth", "resnet")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def on_paper(name: str) -> nn.Module:
    """A backbone with shapes and without values, which is all that fitting looks at."""
    with torch.device("meta"):
        return build(name, 5).backbone


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("resnet18", "resnet34"),
        ("resnet50", "resnet18"),
        ("densenet121", "densenet169"),
        ("mobilenet_v2", "efficientnet_b0"),
    ],
)
def test_a_checkpoint_of_another_architecture_is_an_error_even_where_much_fits(ours: str, theirs: str) -> None:
    with pytest.raises(UserError, match=f"their.pth is of another architecture than {ours}"):
        load_backbone(on_paper(ours), on_paper(theirs).state_dict(), "their.pth", ours)


def test_a_smaller_network_of_the_same_blocks_is_a_part() -> None:
    report = load_backbone(on_paper("resnet34"), on_paper("resnet18").state_dict(), "resnet18.pth")
    assert not report.complete and "ONLY PART" in str(report) and 0.4 < report.share < 0.6


def test_torchvisions_names_of_mobilenet_fill_it_but_for_the_classifier(tmp_path: Path) -> None:
    import torchvision

    source = torchvision.models.mobilenet_v2()
    file = tmp_path / "mobilenet_v2_imagenet.safetensors"
    safetensors.torch.save_file(source.state_dict(), file)
    network = build("mobilenet_v2", 7, weights=str(file))
    report = network.weights_report
    assert report.complete and report.share == 1 and report.missing == ()
    assert set(report.unexpected) == {"classifier.1.weight", "classifier.1.bias"}
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        expected = source.eval().features(images).mean((2, 3))
        torch.testing.assert_close(network.eval().embed(images), expected)


def test_a_network_of_ours_fills_its_own_backbone(tmp_path: Path) -> None:
    trained = build("shufflenet_v2_x0_5", 5, neck="bnneck")
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "model.safetensors")
    network = build("shufflenet_v2_x0_5", 9, weights=str(tmp_path / "model.safetensors"))
    assert network.weights_report.complete
    assert torch.equal(network.backbone.conv5[0].weight, trained.backbone.conv5[0].weight)


def test_the_old_names_of_densenet_are_known() -> None:
    network = on_paper("densenet121")
    state = {name: torch.empty_like(tensor) for name, tensor in network.state_dict().items()}
    old = {}
    for name, tensor in state.items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in name:
                name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        old[name] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    old = {name: tensor for name, tensor in old.items() if "num_batches" not in name}
    assert load_backbone(network, old, "densenet121-a639ec97.pth").complete
