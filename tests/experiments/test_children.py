import os
import signal
import sys
import threading
import time

import pytest

from reid_srdl.errors import UserError
from reid_srdl.experiments import runner
from reid_srdl.experiments.children import Children
from reid_srdl.experiments.study import Study
from reid_srdl.training.termination import Terminated

SLEEPS = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
PLAN = Study("s", "t", "a", "synthetic", {"a": {"plan.name": "vanilla"}}, {"default": 3}, "a", ())


def wait_for(log):
    while not (log.is_file() and log.read_text()):
        time.sleep(0.01)


def test_a_program_writes_into_its_log_and_says_how_it_ended(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    assert Children().run([sys.executable, "-c", "print('after'); raise SystemExit(3)"], log) == 3
    assert log.read_text() == "before\nafter\n"


def test_the_living_end_and_no_other_begins(tmp_path):
    children, codes = Children(), []
    waits = threading.Thread(target=lambda: codes.append(children.run(SLEEPS, tmp_path / "log")))
    waits.start()
    wait_for(tmp_path / "log")
    children.end()
    waits.join(20)
    assert codes == [-signal.SIGTERM]
    assert children.run(SLEEPS, tmp_path / "other") == -signal.SIGTERM and not (tmp_path / "other").read_text()


def test_sigterm_to_a_study_ends_its_runs(tmp_path, monkeypatch):
    codes = []

    def run_cell(plan, cell, place, children):
        codes.append(children.run(SLEEPS, tmp_path / f"{cell.name}.log"))
        raise UserError("it was ended", "")

    def ends():
        wait_for(tmp_path / "a-s0.log")
        wait_for(tmp_path / "a-s1.log")
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runner, "run_cell", run_cell)
    threading.Thread(target=ends).start()
    with pytest.raises(Terminated):
        runner.carry_out(PLAN, runner.Place(tmp_path, tmp_path / "record.json", jobs=2), says=print)
    assert codes == [-signal.SIGTERM] * 2, "the third was never begun"
