"""SIGTERM ends a run where it can go on from."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading

import pytest

from reid_srdl import runs
from reid_srdl.errors import UserError
from reid_srdl.training import checkpoint
from reid_srdl.training.run import train
from reid_srdl.training.termination import Terminated, Termination

from .test_run import equal, weights


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_is_raised_at_once_and_the_former_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), Termination() as termination:
        terminate()
        pytest.fail("it went on")
    assert termination.asked and signal.getsignal(signal.SIGTERM) is before


def test_what_must_not_be_cut_in_two_ends_where_it_says_or_at_its_end():
    reached = []
    with pytest.raises(Terminated), Termination() as termination:
        with termination.deferred():
            terminate()
            reached.append(termination.asked)
        reached.append("behind")
    assert reached == [True]


def test_a_library_may_make_another_error_of_it():
    with pytest.raises(Terminated) as found, Termination():
        try:
            terminate()
        except Terminated:
            raise ValueError("invalid bounding box") from None
    assert isinstance(found.value.__cause__, ValueError)


def test_what_goes_wrong_while_it_is_deferred_is_said():
    """Such as a disk that is too full for the state."""
    with pytest.raises(OSError, match="no space"), Termination() as termination, termination.deferred():
        terminate()
        raise OSError("no space")


def test_what_went_wrong_before_it_came_is_said():
    """Such as a connection to another process: torchrun sends SIGTERM to those who are left, whatever they are about to say."""
    with pytest.raises(OSError, match="no space"), Termination() as termination:
        try:
            with termination.deferred():
                raise OSError("no space")
        finally:
            terminate()
    with pytest.raises(UserError, match="rank 0 lost another"), Termination():
        try:
            terminate()
        finally:
            raise UserError("rank 0 lost another of the 3 processes", "See why.")


def test_in_another_thread_it_changes_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with Termination():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("at", [1, 3, 5, 11, 15])
def test_a_terminated_run_has_saved_its_last_step_and_ends_with_the_same_bits(config, people, watch, tmp_path, at):
    """3 steps an epoch, 2 + 3 epochs: inside an epoch, at its end, and at that of a stage and of all."""
    whole = weights(train(config, people, watch=watch))

    class Terminating(type(watch)):
        def step_ends(self, images, loss):
            super().step_ends(images, loss)
            if self.steps == at:
                terminate()

    broken = dataclasses.replace(config, output=str(tmp_path / "b/run"))
    with pytest.raises(Terminated), Termination() as termination:
        train(broken, people, watch=Terminating(), termination=termination)
    state = checkpoint.load(tmp_path / "b/run/resume.pt")
    stage, step = (0, at) if at <= 6 else (1, at - 6)
    assert (state["stage"], 3 * state["epoch"] + state["step"]) == (stage, step)
    again = type(watch)()
    folder = train(broken, people, watch=again, resume=True)
    assert equal(whole, weights(folder)) and again.steps == 15 - at
    assert [len(runs.read_log(stage)) for stage in runs.finished_stages(folder)] == [2, 3]
