"""Functions by name, and whether the code of somebody else's is still the same."""

from __future__ import annotations

import importlib.util

from reid_srdl import models
from reid_srdl.registered import code_of, function_of


def module_of(file, text):
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("somebodys", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_function_stands_for_itself_and_a_name_for_where_it_is():
    assert function_of("reid_srdl.models:build") is function_of(models.build) is models.build


def test_the_code_of_others_is_known_by_its_file_and_the_package_s_by_its_version(tmp_path):
    one = code_of(module_of(tmp_path / "a.py", "def net():\n    return 1\n").net)
    assert one == code_of(module_of(tmp_path / "b.py", "def net():\n    return 1\n").net) != code_of(module_of(tmp_path / "c.py", "def net():\n    return 2\n").net)
    assert code_of(models.build) is None


def test_code_that_was_typed_in_is_known_too():
    space = {}
    exec("def net():\n    return 1", space)
    assert code_of(space["net"])
