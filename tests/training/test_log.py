import pytest

from reid_srdl import runs
from reid_srdl.errors import UserError
from reid_srdl.runs import read_log
from reid_srdl.training import log
from reid_srdl.training.run import train

from .test_run import with_plan


def row(epoch):
    return {"epoch": epoch, "rate": 0.1, "loss": 1.25, "imitation": None, "seconds": 2.0}


def test_rows_come_back_as_numbers(tmp_path):
    for epoch in range(3):
        log.append(tmp_path / "log.csv", row(epoch))
    rows = read_log(tmp_path)
    assert [r["epoch"] for r in rows] == [0, 1, 2]
    assert rows[1]["loss"] == 1.25 and rows[1]["imitation"] is None and rows[1]["val_mAP"] is None


def test_cut_back_and_half_written_lines(tmp_path):
    file = tmp_path / "log.csv"
    for epoch in range(3):
        log.append(file, row(epoch))
    file.write_text(file.read_text() + "3,0.1,1.")  # killed while it wrote
    assert len(read_log(tmp_path)) == 3
    log.cut(file, 2)
    log.append(file, row(2))
    assert [r["epoch"] for r in read_log(tmp_path)] == [0, 1, 2]
    assert file.read_text().splitlines()[1].startswith("0,0.1,1.25,")
    assert read_log(tmp_path / "none") == []


def test_a_column_of_the_metric_term_stands_in_logs_that_have_one(tmp_path):
    plain, other = tmp_path / "a" / "log.csv", tmp_path / "b" / "log.csv"
    for epoch in range(3):
        log.append(plain, row(epoch))
        log.append(other, {**row(epoch), "metric": 0.5 + epoch})
    assert "metric" not in plain.read_text() and [r["metric"] for r in read_log(other.parent)] == [0.5, 1.5, 2.5]
    log.cut(other, 2)
    log.append(other, {**row(2), "metric": 9.0})
    assert [(r["epoch"], r["metric"], r["loss"]) for r in read_log(other.parent)] == [(0, 0.5, 1.25), (1, 1.5, 1.25), (2, 9.0, 1.25)]
    log.cut(other, 0)
    log.append(other, {**row(0), "metric": 7.0})
    assert [r["metric"] for r in read_log(other.parent)] == [7.0], "cut back to nothing it begins anew with its own head"


def test_a_finished_stage_without_its_log_is_named_and_so_is_a_log_that_is_no_text(config, people, watch):
    vanilla = with_plan(config, name="vanilla", epochs=1)
    stage = train(vanilla, people, watch=watch) / "stages/1-first"
    (stage / "log.csv").write_bytes(b"epoch\n\xff\n")
    with pytest.raises(UserError, match=r"log\.csv is damaged"):
        train(vanilla, people, watch=watch, resume=True)
    (stage / "log.csv").write_text("")
    with pytest.raises(UserError, match=r"log\.csv holds no epoch of a stage that is finished. Remove .*model\.safetensors .*train --resume"):
        train(vanilla, people, watch=watch, resume=True)
    (stage / "model.safetensors").unlink()
    assert len(runs.read_log(train(vanilla, people, watch=watch, resume=True) / "stages/1-first")) == 1
