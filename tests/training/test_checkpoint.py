import os

import pytest
import torch

from reid_srdl.errors import UserError
from reid_srdl.training import checkpoint

STATE = {"epoch": 3, "network": {"w": torch.arange(5.0)}, "optimiser": {"state": {0: {"m": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}}


def test_what_is_saved_is_loaded(tmp_path):
    checkpoint.save(STATE, tmp_path / "resume.pt")
    loaded = checkpoint.load(tmp_path / "resume.pt")
    assert loaded["epoch"] == 3 and torch.equal(loaded["network"]["w"], STATE["network"]["w"])
    assert loaded["optimiser"]["param_groups"] == [{"lr": 0.1}]
    assert os.listdir(tmp_path) == ["resume.pt"]


@pytest.mark.parametrize("where", [0, 40, 200, -1])
def test_a_flipped_bit_is_found(tmp_path, where):
    file = tmp_path / "resume.pt"
    checkpoint.save(STATE, file)
    data = bytearray(file.read_bytes())
    data[where] ^= 4
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"resume\.pt"):
        checkpoint.load(file)


@pytest.mark.parametrize("content", [b"", b"SRDL1", b"something else\nentirely"])
def test_truncated_and_foreign_files(tmp_path, content):
    (tmp_path / "resume.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"resume\.pt"):
        checkpoint.load(tmp_path / "resume.pt")


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "evil"),))

    checkpoint.save({"x": Evil()}, tmp_path / "resume.pt")
    with pytest.raises(Exception, match="(?i)weights.only|unsupported"):
        checkpoint.load(tmp_path / "resume.pt")
    assert not (tmp_path / "evil").exists()
