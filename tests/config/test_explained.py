"""The parser's messages say what is wrong and what is near."""

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError


def parse(*argv, **more):
    return configuration.parse(Config, list(argv), **more)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--plan.epoch", "3"], "plan.epochs"),
        (["--epochs", "3"], "plan.epochs"),
        (["--modle.backbone", "x"], "model.backbone"),
        (["--loss.temprature", "3"], "loss.temperature"),
    ],
)
def test_a_misspelt_key_names_the_near_ones(argv, named):
    with pytest.raises(UserError, match="there is no option") as caught:
        parse(*argv)
    assert named in str(caught.value)


def test_a_misspelt_key_in_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("plan:\n  epochz: 7\n")
    with pytest.raises(UserError, match=r"plan\.epochs"):
        parse("--config", str(file))


def test_a_word_without_an_option_is_named():
    with pytest.raises(UserError, match="the word 'runs/a' belongs to no option"):
        parse("runs/a")
