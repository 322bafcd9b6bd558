"""OpenVINO's precisions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reid_srdl import runs
from reid_srdl.errors import UserError
from reid_srdl.export import Wanted, openvino_file, parity, samples, write
from reid_srdl.models import exported_openvino

openvino = pytest.importorskip("openvino")


class Gated(nn.Module):
    """Groups, BatchNorm and a gate of squeeze and excitation, where rounding goes wrong first."""

    dimension = 16

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1), nn.Sigmoid())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.deep(self.stem(images))
        return found * self.gate(found)


@pytest.fixture
def gated(trained):
    torch.manual_seed(0)
    trained.network.backbone = Gated()
    trained.network.train()
    trained.network(torch.randn(64, 3, 32, 16) + 0.3)
    trained.network.eval()
    return trained


def _has_bf16() -> bool:
    return "BF16" in exported_openvino.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.skipif(not _has_bf16(), reason="this processor does not compute in bf16")
def test_bf16_is_a_word_to_the_processor(trained, people, tmp_path):
    write(trained, Wanted("openvino", "bf16"), tmp_path / "half.xml")
    write(trained, Wanted("openvino"), tmp_path / "full.xml")
    assert (tmp_path / "half.bin").read_bytes() == (tmp_path / "full.bin").read_bytes()
    pixels = samples.pixels(trained, people.query, 12, seed=0, purpose="check")
    half, full = (parity.measure(trained, runs.load(tmp_path / name), pixels)["embedding"] for name in ("half.xml", "full.xml"))
    # Without a hint fp32 would be bf16 here, too.
    assert full.difference < 1e-5 * full.largest and 1e-4 * half.largest < half.difference and half.cosine_lowest > 0.99
    assert runs.load(tmp_path / "half.xml").model_hash != runs.load(tmp_path / "full.xml").model_hash


def test_bf16_needs_a_processor_that_has_it(trained, tmp_path, monkeypatch):
    class Old:
        def get_property(self, *args):
            return ["FP32", "INT8"]

    monkeypatch.setattr(exported_openvino, "core", Old)
    with pytest.raises(UserError, match="does not compute in bf16"):
        write(trained, Wanted("openvino", "bf16"), tmp_path / "half.xml")


@pytest.mark.slow
def test_int8_is_near_the_network_for_any_number_of_images(gated, people, tmp_path):
    pytest.importorskip("nncf")
    calibration = [image[None].numpy() for image in samples.pixels(gated, people.train, 40, seed=0, purpose="calibration")]
    write(gated, Wanted("openvino", "int8"), tmp_path / "int8.xml", calibration)
    model = exported_openvino.core().read_model(tmp_path / "int8.xml")
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    assert kinds.count("FakeQuantize") >= 4, "nothing was rounded"
    # Weights that hang on computed shapes are rounded wrongly where the number of images is free.
    assert not {"Broadcast", "VariadicSplit"} & set(kinds)
    at_gates = [node for node in model.get_ordered_ops() if node.get_friendly_name() in openvino_file.gates(model)]
    feeding = {each.get_source_output().get_node().get_type_name() for node in at_gates for each in node.inputs()}
    assert at_gates and "FakeQuantize" not in feeding
    exported = runs.load(tmp_path / "int8.xml")
    pixels = samples.pixels(gated, people.query, 12, seed=0, purpose="check")
    for batch in (1, 5, 12):
        found = parity.measure(gated, exported, pixels, batch=batch)["embedding"]
        assert found.cosine_lowest > 0.97 and found.difference > 1e-4 * found.largest
    assert exported.facts.precision == "int8" and exported.facts.source == gated.model_hash


def test_gates_are_found_and_nothing_else(gated, tmp_path):
    write(gated, Wanted("openvino"), tmp_path / "model.xml")
    model = exported_openvino.core().read_model(tmp_path / "model.xml")
    names = set(openvino_file.gates(model))
    kinds = sorted(node.get_type_name() for node in model.get_ordered_ops() if node.get_friendly_name() in names)
    assert kinds == ["Convolution", "Convolution", "Multiply"]


def test_many_threads_may_embed_with_one_file(trained, people, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    write(trained, Wanted("openvino"), tmp_path / "a.xml")
    opened = runs.load(tmp_path / "a.xml")
    files = people.query.files[:6]
    alone = [opened.embed([file]) for file in files]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda row: opened.embed([files[row % 6]]), range(120)))
    assert all((together[row] == alone[row % 6]).all() for row in range(120))
