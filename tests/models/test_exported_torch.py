"""``torch.export``'s files, whose own reader would run what they hold."""

from __future__ import annotations

import json
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch

from reid_srdl.errors import UserError
from reid_srdl.models import exported_torch
from reid_srdl.models.exported import Exported, InputOptions, open_exported

GIVEN = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of what the network is handed."""
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
"""Those that the file wants."""


def opened(path) -> Exported:
    return open_exported(path, InputOptions((4, 2), MEAN, STD))


class Means(torch.nn.Module):
    def forward(self, images):
        return images.mean((2, 3))


@pytest.fixture
def program(tmp_path):
    made = torch.export.export(Means(), (torch.zeros(2, 3, 4, 2),), dynamic_shapes={"images": {0: torch.export.Dim("batch")}})
    torch.export.save(made, tmp_path / "a.pt2")
    return tmp_path / "a.pt2"


def test_programs_from_elsewhere(program):
    white = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2)) / 255
    mean, std, given_mean, given_std = (np.reshape(values, (3, 1, 1)) for values in (MEAN, STD, *GIVEN))
    made = opened(program).network.embed(torch.from_numpy((white - given_mean) / given_std).float())
    np.testing.assert_allclose(made, ((white - mean) / std).mean((2, 3)), atol=1e-5)


class Touch:
    """What a pickle can do."""

    def __init__(self, file) -> None:
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def altered(path, ending, change) -> None:
    """Rewrites the members of an archive that end so."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert any(name.endswith(ending) for name in members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if name.endswith(ending) else data)


def replaced(data: bytes, name: str, text: str) -> bytes:
    """All that the program says under a name as something else."""

    def walk(value):
        if isinstance(value, dict):
            return {key: text if key == name else walk(inner) for key, inner in value.items()}
        return [walk(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(walk(json.loads(data))).encode()


@pytest.mark.parametrize("how", ["pickle", "flag", "expression", "guards", "library", "opaque", "twice", "name", "tree"])
def test_nothing_that_a_program_holds_is_run(how, program, tmp_path):
    there = tmp_path / "was_here"
    code = f"__import__('pathlib').Path({str(there)!r}).touch()"
    if how == "pickle":
        altered(program, "sample_inputs/model.pt", lambda data: pickle.dumps(Touch(there), protocol=2))
    elif how == "flag":
        altered(program, "weights_config.json", lambda data: json.dumps({"config": {"w": {"path_name": "weight_0", "use_pickle": True}}}).encode())
    elif how == "expression":
        altered(program, "models/model.json", lambda data: replaced(data, "expr_str", code))
    elif how == "guards":
        altered(program, "models/model.json", lambda data: json.dumps({**json.loads(data), "guards_code": [code]}).encode())
    elif how == "opaque":  # a value whose folder makes PyTorch unpickle it
        altered(program, "constants_config.json", lambda data: json.dumps({"config": {"w": {"path_name": "opaque_obj_/weight_0", "use_pickle": False}}}).encode())
        with zipfile.ZipFile(program, "a") as archive:
            archive.writestr("a/data/constants/opaque_obj_/weight_0", pickle.dumps(Touch(there), protocol=2))
    elif how == "twice":  # of which Python reads the last, and PyTorch another
        with zipfile.ZipFile(program) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(program, "w", zipfile.ZIP_STORED) as archive, pytest.warns(UserWarning, match="Duplicate name"):
            for name, data in members.items():
                for _ in range(2 if name.endswith("model.pt") else 0):
                    archive.writestr(name, pickle.dumps(Touch(there), protocol=2))
                archive.writestr(name, data)
    elif how == "name":
        altered(program, "models/model.json", lambda data: data.replace(b'"images"', json.dumps(f"images={code}").encode()))
    elif how == "tree":
        evil = json.dumps([1, {"type": "builtins.dict", "context": json.dumps([f"a={code}"]), "children_spec": []}])
        altered(program, "models/model.json", lambda data: replaced(data, "in_spec", evil))
    else:
        with zipfile.ZipFile(program, "a") as archive:
            archive.writestr("a/data/aotinductor/model/model.so", b"\x7fELF")
    with pytest.raises(UserError, match="which could run code of its own"):
        opened(program)
    assert not there.exists()


ENUM = {"type": "builtins.tuple", "context": json.dumps({"__enum__": True, "fqn": "innocent_looking", "name": "x"})}
DEFAULT = {"type": "collections.defaultdict", "context": {"default_factory_module": "innocent_looking", "default_factory_name": "x", "dict_context": []}}


@pytest.mark.parametrize("where", ["in_spec", "out_spec"])
@pytest.mark.parametrize("imports", [ENUM, DEFAULT, {**ENUM, "context": json.dumps([json.loads(ENUM["context"])])}], ids=["enum", "defaultdict", "inside"])
def test_nothing_that_a_program_names_is_imported(imports, where, program, tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/innocent_looking.py").write_text(f"__import__('pathlib').Path({str(tmp_path / 'was_here')!r}).touch()")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": [{**imports, "children_spec": [leaf]}, leaf]}])
    altered(program, "models/model.json", lambda data: replaced(data, where, tree))
    with pytest.raises(UserError, match="which could run code of its own"):
        opened(program)
    assert not (tmp_path / "was_here").exists() and "innocent_looking" not in sys.modules


class Nested(Means):
    def forward(self, images):
        return {"embedding": [super().forward(images)], "more": (images.mean((1, 2, 3)),)}


def test_results_in_containers_are_read(tmp_path):
    torch.export.save(torch.export.export(Nested(), (torch.zeros(2, 3, 4, 2),)), tmp_path / "a.pt2")
    assert [len(port.shape) for port in exported_torch.open_file(tmp_path / "a.pt2").outputs] == [2, 1]


def test_a_program_of_an_older_pytorch_is_named_so(program):
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
    with pytest.raises(UserError, match="was written by a PyTorch before 2.8"):
        opened(program)
