"""Recipes by name and in files."""

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config, recipes
from reid_srdl.errors import UserError


def parse(*argv, **more):
    return configuration.parse(Config, list(argv), **more)


def test_a_recipe_is_found_by_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse("--config", "configs/market1501_osnet_x0_25_cpu.yaml", recipes=True).data.batch == 64
    with pytest.raises(UserError, match="market1501_osnet_x0_25_cpu"):
        parse("--config", "market1501_osnet_cpu", recipes=True)


def test_every_recipe_is_valid():
    names = configuration.recipe_names()
    assert "market1501" in names
    for name in names:
        parse("--config", name, recipes=True)


def test_a_wrong_path_is_no_installed_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("nowhere/cifar10.yaml", "mine/demo.yml", "demo.yml"):
        with pytest.raises(UserError, match="there is no recipe"):
            parse("--config", path)
    assert parse("--config", "cifar10").dataset == parse("--config", "configs/cifar10.yaml").dataset == "cifar10"


def test_an_empty_recipe_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("# nothing yet\n")
    with pytest.raises(UserError, match="mine.yaml is empty"):
        parse("--config", str(tmp_path / "mine.yaml"))


NESTED = "- &a0 [x, x, x, x, x, x, x, x]\n" + "".join(f"- &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]\n" for i in range(1, 12))
"""A list of eight to the twelfth words, which must not be spelt out."""


@pytest.mark.parametrize(
    ("text", "words"), [("output: 2024-02-30\n", "not readable as YAML"), ("[" * 3000, "not readable as YAML"), ("- a\n- b\n", r"holds \['a', 'b'\], which is no recipe"), (NESTED, "which is no recipe")]
)
def test_what_is_no_recipe_is_named(tmp_path, text, words):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        recipes.read(tmp_path / "mine.yaml")


@pytest.mark.parametrize("text", ["data: &a {x: *a}\n", "schedule: {drops: &a [0.5, [*a]]}\n"])
def test_a_recipe_that_contains_itself_is_named(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    for read in (recipes.read, configuration.load):
        with pytest.raises(UserError, match="mine.yaml holds a value that contains itself"):
            read(tmp_path / "mine.yaml")
