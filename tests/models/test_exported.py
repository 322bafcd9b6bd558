"""Files from elsewhere as networks, by what is said of their input; and files that are refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from reid_srdl.errors import UserError
from reid_srdl.models import exported_openvino
from reid_srdl.models.exported import InputOptions, file_hash, is_exported, open_exported

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GIVEN = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SAID = InputOptions((4, 2), MEAN, STD)
PIXELS = torch.randint(0, 256, (5, 3, 4, 2), generator=torch.Generator().manual_seed(0)).double()


def normalised() -> torch.Tensor:
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in GIVEN)
    return ((PIXELS / 255 - mean) / std).float()


def foreign(path, shape=("b", 3, 4, 2), kind=onnx.TensorProto.FLOAT, axes=(2, 3), inputs=1, outputs=1, keep=0):
    """A network whose embedding is the mean of each channel: what it was given can be read from what it makes."""
    helper = onnx.helper
    nodes = [helper.make_node("Cast", ["images0"], ["cast"], to=onnx.TensorProto.FLOAT)]
    rank = len(shape) if keep else len(shape) - len(axes)
    made = []
    for number in range(outputs):
        nodes.append(helper.make_node("ReduceMean", ["cast", "axes"], [f"out{number}"], keepdims=keep))
        made.append(helper.make_tensor_value_info(f"out{number}", onnx.TensorProto.FLOAT, [None] * rank))
    graph = helper.make_graph(
        nodes, "foreign", [helper.make_tensor_value_info(f"images{number}", kind, list(shape)) for number in range(inputs)], made,
        [helper.make_tensor("axes", onnx.TensorProto.INT64, [len(axes)], list(axes))],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def opened(path, options=SAID):
    return open_exported(path, options)


def means(mean, std, white, flip=False) -> np.ndarray:
    """What a network that was given ``(pixel - mean) / std`` makes."""
    pixels = (PIXELS / 255 * white).numpy()
    pixels = pixels[:, ::-1] if flip else pixels
    return ((pixels - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(std, (1, 3, 1, 1))).mean((2, 3))


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16])
def test_pixels_come_as_the_file_wants_them(kind, tmp_path):
    found = opened(foreign(tmp_path / "a.onnx", kind=kind))
    assert found.size == (4, 2) and found.facts is None and found.network.dimension == 3
    tolerance = 2e-3 if kind == onnx.TensorProto.FLOAT16 else 1e-5
    np.testing.assert_allclose(found.network.embed(normalised()), means(MEAN, STD, 1), atol=tolerance)


def test_order_and_unit_of_the_channels(tmp_path):
    path = foreign(tmp_path / "a.onnx")
    bgr = opened(path, InputOptions((4, 2), MEAN, STD, order="bgr"))
    np.testing.assert_allclose(bgr.network.embed(normalised()), means(MEAN, STD, 1, flip=True), atol=1e-5)
    bytes_ = opened(path, InputOptions((4, 2), (120, 110, 100), (60, 61, 62), white=255))
    np.testing.assert_allclose(bytes_.network.embed(normalised()), means((120, 110, 100), (60, 61, 62), 255), atol=1e-4)
    as_they_are = opened(path, InputOptions((4, 2), (0, 0, 0), (1, 1, 1), white=255))
    np.testing.assert_allclose(as_they_are.network.embed(normalised()), PIXELS.mean((2, 3)), rtol=1e-5)


def test_whole_numbers_need_no_normalisation(tmp_path):
    path = foreign(tmp_path / "a.onnx", kind=onnx.TensorProto.UINT8)
    np.testing.assert_array_equal(opened(path, InputOptions()).network.embed(normalised()), PIXELS.mean((2, 3)).float())
    with pytest.raises(UserError, match="whole numbers .* Leave --input.mean"):
        opened(path)


def test_channels_last(tmp_path):
    found = opened(foreign(tmp_path / "a.onnx", shape=("b", 4, 2, 3), axes=(1, 2)))
    np.testing.assert_allclose(found.network.embed(normalised()), means(MEAN, STD, 1), atol=1e-5)


@pytest.mark.parametrize("fixed", [1, 2, 8])
def test_a_fixed_number_of_images(fixed, tmp_path):
    found = opened(foreign(tmp_path / "a.onnx", shape=(fixed, 3, 4, 2)))
    np.testing.assert_allclose(found.network.embed(normalised()), means(MEAN, STD, 1), atol=1e-5)
    np.testing.assert_allclose(found.network.embed(normalised()[3:4]), means(MEAN, STD, 1)[3:4], atol=1e-5)


def test_a_free_size_is_that_which_is_said(tmp_path):
    path = foreign(tmp_path / "a.onnx", shape=("b", 3, "h", "w"))
    assert opened(path, InputOptions((4, 2), MEAN, STD)).size == (4, 2)
    with pytest.raises(UserError, match="does not say the size of its images. Give --input.size"):
        opened(path, InputOptions(None, MEAN, STD))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (InputOptions(), "does not say how its images are normalised. Give --input.size HEIGHT WIDTH, --input.mean"),
        (InputOptions((4, 2), MEAN), "does not say how its images are normalised"),
        (InputOptions((8, 2), MEAN, STD), "takes images of 4 x 2, not of 8 x 2"),
        (InputOptions((4, 2), MEAN, (0, 1, 1)), "Standard deviations are above 0"),
        (InputOptions((4, 2), MEAN, (1, float("nan"), 1)), r"--input.std is \(1, nan, 1\). They must be finite numbers"),
        (InputOptions((4, 2), (float("nan"), 0, 0), STD), r"--input.mean is \(nan, 0, 0\). They must be finite numbers"),
        (InputOptions((4, 2), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)), "are of pixels from 0 to 255. Add --input.white 255"),
    ],
)
def test_what_is_not_said_is_asked_for(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        opened(foreign(tmp_path / "a.onnx"), options)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"inputs": 2}, r"has 2 inputs \(images0, images1\)"),
        ({"outputs": 2}, r"has 2 outputs \(out0, out1\)"),
        ({"keep": 1}, r"makes out0 of shape . x 3 x 1 x 1, which is no vector an image"),
        ({"axes": (0, 3), "shape": (2, 3, 4, 2)}, "makes 3 x 4 of 2 images"),
        ({"shape": ("b", 3, 8), "axes": (2,)}, "takes images0 of shape . x 3 x 8, which is no image of three channels"),
        ({"shape": ("b", 1, 4, 2)}, "no image of three channels"),
        ({"kind": onnx.TensorProto.INT64}, "takes images0 as tensor\\(int64\\)"),
    ],
)
def test_other_networks_are_refused_in_one_line(network, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        opened(foreign(tmp_path / "a.onnx", **network))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.pt2"])
def test_no_such_kind_of_file(name, tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint"):
        opened(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x08\x09no network at all")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.\w+ cannot be read as") as error:
        opened(tmp_path / name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_external_data_of_onnx_counts(tmp_path):
    """Two networks with equal graph files are two networks."""
    hashes = []
    for value in (1.0, 2.0):
        helper, folder = onnx.helper, tmp_path / str(value)
        folder.mkdir()
        weight = onnx.numpy_helper.from_array(np.full((3, 4), value, dtype=np.float32), "weight")
        nodes = [helper.make_node("GlobalAveragePool", ["images"], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["flat"]), helper.make_node("MatMul", ["flat", "weight"], ["out"])]
        ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("images", ["b", 3, 4, 2]), ("out", ["b", 4]))]
        model = helper.make_model(helper.make_graph(nodes, "foreign", ends[:1], ends[1:], [weight]), opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, folder / "a.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
        assert opened(folder / "a.onnx").network.dimension == 4
        hashes.append(file_hash(folder / "a.onnx"))
    assert (tmp_path / "1.0/a.onnx").read_bytes() == (tmp_path / "2.0/a.onnx").read_bytes() and hashes[0] != hashes[1]


def with_weights_in(place, path, where):
    """A network whose weights (3, 4) are in a file."""
    helper = onnx.helper
    weight = onnx.TensorProto(name="weight", data_type=onnx.TensorProto.FLOAT, dims=[3, 4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", place), ("offset", "0"), ("length", "48")):
        weight.external_data.add(key=key, value=value)
    constant, product = helper.make_node("Constant", [], ["weight"], value=weight), helper.make_node("MatMul", ["flat", "weight"], ["out"])
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("images", ["b", 3, 4, 2]), ("out", ["b", 4]))]
    nodes = [helper.make_node("GlobalAveragePool", ["images"], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["flat"])]
    if where == "constant":
        nodes += [constant, product]
    elif where == "branch":
        branch = helper.make_graph([constant, product], "branch", [], ends[1:])
        nodes += [helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True])), helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)]
    else:
        nodes.append(product)
    graph = helper.make_graph(nodes, "foreign", ends[:1], ends[1:], [weight] if where == "initializer" else [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
def test_external_data_counts_wherever_it_is(where, tmp_path):
    path, seen = with_weights_in("weights.bin", tmp_path / "a.onnx", where), {}
    for value in (1, 2):
        np.full(12, value, np.float32).tofile(tmp_path / "weights.bin")
        found = opened(path)
        seen[found.hash] = found.network.embed(normalised())
    assert len(seen) == 2
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UserError, match="has no weights.bin beside it"):
        file_hash(path)


@pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
def test_external_data_lies_beside(where, tmp_path):
    (tmp_path / "a").mkdir()
    np.ones(12, np.float32).tofile(tmp_path / "weights.bin")
    for place in ("../weights.bin", str(tmp_path / "weights.bin")):
        path = with_weights_in(place, tmp_path / "a/a.onnx", where)
        with pytest.raises(UserError):
            opened(path)
        with pytest.raises(UserError, match="wants its weights from .*weights.bin, outside of its folder"):
            file_hash(path)
    (tmp_path / "a/weights.bin").symlink_to(tmp_path / "weights.bin")
    assert len(file_hash(with_weights_in("weights.bin", tmp_path / "a/a.onnx", where))) == 64


def test_weights_of_openvino_lie_beside(tmp_path):
    pytest.importorskip("openvino")
    (tmp_path / "a.xml").write_text("<net/>")
    with pytest.raises(UserError, match="has no a.bin beside it"):
        opened(tmp_path / "a.xml")


def test_openvino_files_from_elsewhere(tmp_path):
    openvino = pytest.importorskip("openvino")
    model = exported_openvino.core().read_model(foreign(tmp_path / "a.onnx"))
    openvino.serialize(model, tmp_path / "a.xml", tmp_path / "a.bin")
    found = opened(tmp_path / "a.xml")
    np.testing.assert_allclose(found.network.embed(normalised()), means(MEAN, STD, 1), atol=1e-5)
    before = found.hash
    (tmp_path / "a.bin").write_bytes((tmp_path / "a.bin").read_bytes() + b"\0")
    assert file_hash(tmp_path / "a.xml") != before, "the weights are half of the network"


SIGNALLED = """
import faulthandler, os, signal, sys
from pathlib import Path

faulthandler.enable()
from reid_srdl.models.exported_openvino import open_file

first, second = (open_file(Path(sys.argv[1])) for _ in range(2))
del first
del second
signal.signal(signal.SIGTERM, lambda *_: print("arrived", flush=True))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_arrive_where_networks_of_openvino_came_and_went(tmp_path):
    """Each of its cores gives the thread a stack for handlers, and the last that goes would leave that of one that is gone."""
    openvino = pytest.importorskip("openvino")
    openvino.serialize(exported_openvino.core().read_model(foreign(tmp_path / "a.onnx")), tmp_path / "a.xml", tmp_path / "a.bin")
    done = subprocess.run([sys.executable, "-c", SIGNALLED, str(tmp_path / "a.xml")], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "arrived\n"), done.stderr


@pytest.mark.parametrize(("name", "library"), [("a.onnx", "onnxruntime"), ("a.xml", "openvino")])
def test_a_missing_library_is_named_with_its_extra(name, library, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(UserError, match=rf"{library} cannot be imported .*pip install 'reid-srdl\[export\]'"):
        opened(tmp_path / name)


def test_suffixes():
    assert is_exported("a/b.ONNX") and is_exported("b.xml") and is_exported("b.pt2") and not is_exported("runs/demo") and not is_exported("a.safetensors")
