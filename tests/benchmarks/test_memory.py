import subprocess
import sys
import time

import numpy as np

from benchmarks.memory import MB, peak_memory


def test_what_a_task_holds_is_seen_although_it_lets_go_of_it():
    def held():
        array = np.ones(64 * MB, np.uint8)
        time.sleep(0.3)  # memory is read from time to time, and later than asked for on a busy machine
        return array.sum()

    assert 50 * MB < peak_memory(held) < 130 * MB


def test_what_its_children_hold_counts():
    hold = "import time; held = bytearray(b'x') * (64 << 20); time.sleep(0.3)"
    assert peak_memory(lambda: subprocess.run([sys.executable, "-c", hold], check=True)) > 50 * MB
