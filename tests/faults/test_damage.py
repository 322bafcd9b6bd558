"""Files of a run that were truncated, or had a bit flipped, while nobody looked."""

from __future__ import annotations

import shutil

import pytest

from .conftest import end_of, go_on

FIRST, SECOND = "stages/1-first", "stages/2-second"


@pytest.fixture
def broken_off(start, plan, whole, tmp_path, tmp_path_factory, request):
    """A copy, without its store, of a run that was killed in its second stage; it is made once."""
    cache = request.config.stash.setdefault(_BROKEN, {})
    if not cache:
        run = tmp_path_factory.mktemp("broken") / "runs/run"
        going = start(*plan, "--output", run, folder=run / SECOND, at=3, do="kill").wait()
        assert going.code == -9 and (run / "resume.pt").is_file() and (run / FIRST / "reference.safetensors").is_file()
        cache["run"] = run
    return shutil.copytree(cache["run"], tmp_path / "copy/run")


_BROKEN = pytest.StashKey[dict]()


def flipped(data: bytes, share: float) -> bytes:
    damaged = bytearray(data)
    damaged[int(share * (len(data) - 1))] ^= 16
    return bytes(damaged)


DAMAGES = {
    "truncated": lambda data: data[: len(data) * 2 // 3],
    "empty": lambda data: b"",
    "a bit early": lambda data: flipped(data, 0.1),
    "a bit in the middle": lambda data: flipped(data, 0.5),
    "the last bit": lambda data: flipped(data, 1.0),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["resume.pt", f"{FIRST}/model.safetensors", f"{FIRST}/reference.safetensors"])
def test_it_is_named_with_the_way_out_which_leads_to_the_same_end(start, plan, whole, broken_off, name, damage):
    file = broken_off / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    before = {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()}
    ended = go_on(start, plan, broken_off)
    assert ended.code == 2 and ended.line.startswith("reid-srdl train: ") and str(file) in ended.line, ended.said
    assert "elete" in ended.line
    assert {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()} == before
    file.unlink()
    assert go_on(start, plan, broken_off).code == 0
    assert end_of(broken_off) == whole.end


def test_a_damaged_stage_in_the_store_is_trained_again(start, plan, whole, tmp_path):
    """A run's files are the store's under a second name; both were damaged together."""
    run = tmp_path / "runs/run"
    assert start(*plan, "--output", run).wait().code == 0
    for model in (tmp_path / "runs/.stages").glob("*/model.safetensors"):
        content = flipped(model.read_bytes(), 0.7)
        model.unlink()
        model.write_bytes(content)
    again = start(*plan, "--output", tmp_path / "runs/again").wait()
    assert again.code == 0 and "taken from an earlier run" not in again.said
    assert end_of(tmp_path / "runs/again") == whole.end
