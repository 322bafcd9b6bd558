import io

import pytest

from reid_srdl import progress
from reid_srdl.config import Config
from reid_srdl.training.plans import build


def row(epoch):
    return {"epoch": epoch, "rate": 0.1, "loss": 1.0, "cross_entropy": 0.9, "imitation": None, "accuracy": 0.5, "images_per_s": 100.0, "seconds": 60.0}


def test_a_line_for_each_epoch_where_there_is_no_terminal(capsys):
    stage = build(Config())[0]
    display = progress.TrainingDisplay()
    display.epoch_begins(stage, 0, 2, steps=5, done=0)
    display.step_ends(32, 1.0)
    display.epoch_ends(row(2))
    said = capsys.readouterr().err
    assert "first" in said and "3/60" in said and "50.0%" in said and "57 min left" in said


def test_quiet_ranks_say_nothing(capsys):
    display = progress.TrainingDisplay(quiet=True)
    display.says("hello")
    display.epoch_begins(build(Config())[0], 0, 0, steps=5, done=0)
    display.epoch_ends(row(0))
    assert capsys.readouterr().err == ""


def test_tracked_hands_on_all_items():
    assert list(progress.tracked("x")(range(4))) == [0, 1, 2, 3]


def test_a_metric_term_is_said_where_there_is_one(capsys):
    display = progress.TrainingDisplay()
    display.epoch_begins(build(Config())[0], 0, 0, steps=5, done=0)
    display.epoch_ends(row(0))
    assert "metric" not in capsys.readouterr().err
    display.epoch_ends({**row(0), "metric": 0.125})
    assert "metric 0.125" in capsys.readouterr().err


def test_waiting_for_images_is_said_once_and_with_the_way_out(capsys):
    display = progress.TrainingDisplay()
    display.epoch_begins(build(Config())[0], 0, 0, steps=5, done=0)
    display.epoch_ends({**row(0), "waited": 3.0})
    assert "waited" not in capsys.readouterr().err  # 5 % of 60 s
    display.epoch_ends({**row(1), "waited": 15.0})
    display.epoch_ends({**row(2), "waited": 15.0})
    said = capsys.readouterr().err
    assert said.count("waited for images 25% of the time: raise --data.workers") == 1


def test_a_listener_that_has_gone_ends_no_process_by_itself():
    """rich would exit with code 1; the commands have one of their own for this."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        progress.terminal(file=Gone()).print("a table")
