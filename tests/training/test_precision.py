import pytest
import torch

from reid_srdl.errors import UserError
from reid_srdl.models import IdentityClassifier, build
from reid_srdl.training import precision

CPU = torch.device("cpu")


def settle(wanted, *networks):
    return precision.settle(wanted, networks, device=CPU, size=(32, 16), batch=4)


def test_what_is_asked_for_is_taken():
    assert settle("bf16", build("small", 5)) == ("bf16", {})
    assert settle("fp32") == ("fp32", {})


def test_without_hardware_for_it_nothing_is_timed(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert settle("auto") == ("fp32", {})


def test_with_it_the_faster_one_wins_and_the_network_is_untouched(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    network = build("small", 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    settled, timed = settle("auto", network)
    assert settled in timed and set(timed) == {"fp32", "bf16"}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    monkeypatch.setattr(precision, "step_seconds", lambda network, place, size, batch: {"fp32": 2.0, "bf16": 1.0}[place.precision])
    assert settle("auto", network)[0] == "bf16"
    monkeypatch.setattr(precision, "step_seconds", lambda network, place, size, batch: {"fp32": 1.0, "bf16": 0.9}[place.precision])
    assert settle("auto", network)[0] == "fp32", "chance alone makes such a difference"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "one")
    assert settle("auto", network) == ("fp32", {}), "processes that time for themselves might differ"


def test_fp16_needs_a_gpu():
    with pytest.raises(UserError, match="needs a GPU"):
        settle("fp16")
    assert precision.settle("fp16", [], device=torch.device("cuda"), size=(32, 16), batch=4) == ("fp16", {})


class _ReadsWhatNobodyWrote(torch.nn.Module):
    """A backbone with a bug as kernels have it: its output depends on what lay in memory before, for which a counter stands."""

    dimension = 4

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.lay_there = 0

    def forward(self, images):
        self.lay_there += 1
        return self.layer(images.mean((2, 3))) + self.lay_there


def test_bf16_that_reads_what_nobody_wrote_is_not_taken_however_fast(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    monkeypatch.setattr(precision, "step_seconds", lambda network, place, size, batch: {"fp32": 2.0, "bf16": 1.0}[place.precision])
    sound = IdentityClassifier(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Dropout(0.5)), 4, 5)
    assert settle("auto", sound)[0] == "bf16", "dropout draws the same again"
    assert settle("auto", IdentityClassifier(_ReadsWhatNobodyWrote(), 4, 5))[0] == "fp32"
    with pytest.raises(UserError, match="reads what nobody wrote. Use --precision fp32"):
        settle("bf16", IdentityClassifier(_ReadsWhatNobodyWrote(), 4, 5))
    # Whichever of the networks of a run it is.
    assert settle("auto", sound, IdentityClassifier(_ReadsWhatNobodyWrote(), 4, 5))[0] == "fp32"
    with pytest.raises(UserError, match="reads what nobody wrote"):
        settle("bf16", sound, IdentityClassifier(_ReadsWhatNobodyWrote(), 4, 5))


def test_what_does_not_fit_into_the_gpu_is_not_taken(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    fits: set[str] = set()

    def step_seconds(network, place, size, batch):
        if place.precision not in fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1.0

    monkeypatch.setattr(precision, "step_seconds", step_seconds)
    assert settle("auto", None) == ("bf16", {}), "which takes less; training says so if it does not fit either"
    fits.add("bf16")
    assert settle("auto", None) == ("bf16", {"bf16": 1.0}) and settle("auto", None, None) == ("bf16", {"bf16": 2.0})


def test_bf16_is_refused_by_a_gpu_that_only_emulates_it(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    with pytest.raises(UserError, match="no bf16 in hardware. Use --precision fp16"):
        precision.settle("bf16", [], device=torch.device("cuda"), size=(32, 16), batch=4)
