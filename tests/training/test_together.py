"""What processes have in common is compared, and what another machine writes is waited for."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import pytest
import torch

from reid_srdl.devices import Place
from reid_srdl.errors import UserError
from reid_srdl.training import together


@dataclasses.dataclass(frozen=True)
class Second(Place):
    """The second of two, beside a first one that has said ``first`` each time."""

    first: tuple[Any, ...] = ()

    def gathered(self, mine: Any) -> list[Any]:
        return [*self.first, mine] if len(self.first) == 1 else [self.first[0], mine]


def second(first: Any) -> Second:
    return Second(torch.device("cpu"), rank=1, world=2, first=(first,))


def test_other_images_or_flags_are_named():
    together.check_same_work(second({"list": "48", "configuration": "a"}), {"list": "48", "configuration": "a"})
    with pytest.raises(UserError, match="rank 1 has another list than rank 0: 47, not 48"):
        together.check_same_work(second({"list": "48", "configuration": "a"}), {"list": "47", "configuration": "a"})


def test_a_folder_that_another_sees_otherwise_is_refused(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("{}")
    wanted = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # SHA-256 of those two characters
    assert second(wanted).gathered(True) == [wanted, True]
    together.check_same_folder(Place(torch.device("cpu")), path)
    together.check_same_folder(second(wanted), path, seconds=0)
    path.write_text("{ }")
    with pytest.raises(UserError, match="rank 1 does not find in .* what rank 0 has written there"):
        together.check_same_folder(second(wanted), path, seconds=0)


def test_what_is_seen_late_is_waited_for(tmp_path):
    path = tmp_path / "model"
    writer = threading.Timer(0.5, path.touch)
    writer.start()
    began = time.monotonic()
    together.await_files(second(None), path, seconds=30)
    assert 0.4 < time.monotonic() - began < 20
    together.await_files(Place(torch.device("cpu")), tmp_path / "never", seconds=30)  # the first has written it itself
    with pytest.raises(UserError, match="rank 1 does not find .*never"):
        together.await_files(second(None), tmp_path / "never", seconds=0)
