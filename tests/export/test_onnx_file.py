"""What other programs see of an ONNX file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reid_srdl.export import Wanted, write

onnx = pytest.importorskip("onnx")


def test_input_and_outputs_have_their_names_and_a_free_number_of_images(trained, tmp_path):
    write(trained, Wanted("onnx", logits=True), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    (images,), (embedding, logits) = model.graph.input, model.graph.output
    assert (images.name, embedding.name, logits.name) == ("images", "embedding", "logits")
    tensor = images.type.tensor_type
    assert tensor.elem_type == onnx.TensorProto.UINT8 and tensor.shape.dim[0].dim_param and [d.dim_value for d in tensor.shape.dim[1:]] == [3, 32, 16]
    facts = json.loads({entry.key: entry.value for entry in model.metadata_props}["reid_srdl"])
    assert facts["format"] == "reid_srdl export 1" and facts["size"] == [32, 16] and facts["model"]["backbone"] == "small"
    np.testing.assert_allclose(facts["mean"], [0.485, 0.456, 0.406])
    assert not any(tensor.data_location for tensor in model.graph.initializer), "weights lie outside the file"
