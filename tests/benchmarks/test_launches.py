import pytest

from benchmarks import launches
from benchmarks.training import Setup


@pytest.mark.slow
def test_eager_and_compiled_are_timed_in_turns(monkeypatch):
    whole = launches.Bench.trainer
    asked = []

    def trainer(bench, *what, compiled=False):
        asked.append(compiled)
        return whole(bench, *what)  # the C++ compiler takes minutes, and what is timed here is no matter

    monkeypatch.setattr(launches.Bench, "trainer", trainer)
    report = launches.run(2, Setup("resnet32", (32, 32), batch=4, steps=1, identities=10))
    assert asked == [False, True] and set(report.seconds) == {"eager", "compiled"}
    ratio, eager, compiled = report.figures
    assert all(len(values) == 2 for values in report.seconds.values()) and ratio.value > 0
    assert min(4 / value for value in report.seconds["eager"]) <= eager.value <= max(4 / value for value in report.seconds["eager"])
    assert compiled.least is None, "a CPU is measured, and asked for nothing"
