import pytest
import torch

from reid_srdl.config import Config, PlanConfig
from reid_srdl.training import compiling, plans
from reid_srdl.training.compiling import compiled

from .test_engine import run, trainer

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "more", "mode"),
    [(GPU, {}, "reduce-overhead"), (GPU, {"parts": 2}, "default"), (GPU, {"world": 2}, "default"), (torch.device("cpu"), {}, "default")],
)
def test_only_where_no_gradients_are_added_up_a_gpu_s_passes_are_captured(device, more, mode, monkeypatch):
    asked = []
    monkeypatch.setattr(compiling.torch, "compile", lambda network, **how: asked.append(how) or network)
    network = torch.nn.Linear(2, 2)
    assert compiled(network, device, **more) is network
    assert asked == [{"mode": mode, "dynamic": False}], "a graph a batch size"


def test_a_stage_trains_a_compiled_network_to_the_same_weights(watch, monkeypatch):
    stage = plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1)))[0]
    whole, seen = torch.compile, []
    # What is compiled is looked at; the code of the C++ compiler, which takes its minutes, is not.
    monkeypatch.setattr(compiling.torch, "compile", lambda network, **how: seen.append(network) or whole(network, backend="eager", dynamic=how["dynamic"]))
    plain, made = trainer(stage), trainer(stage)
    made._compiled = True
    rows = [run(one, watch) for one in (plain, made)]
    assert seen and rows[0][0]["loss"] == pytest.approx(rows[1][0]["loss"], rel=1e-6)
    for one, other in zip(plain.network.parameters(), made.network.parameters(), strict=True):
        torch.testing.assert_close(one, other)
