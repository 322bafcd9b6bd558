import dataclasses

from reid_srdl import files
from reid_srdl.experiments import lines, soft_targets
from reid_srdl.experiments.study import Cell, Study

BELIEFS = {"temperature": 3.0, "classes": 10, "entropy_share": 0.4, "agreement": 0.9, "label": 0.8, "ece": 0.05, "images": 5, "entropy": 1.0}


def _study():
    arms = {"vanilla": {"plan.name": "vanilla"}, "srdl": {"plan.name": "srdl"}, "stage_incomplete": {"plan.name": "stage_incomplete"}}
    return Study(name="s", title="S", recipe="cifar100", about="", arms=arms, seeds={"default": 2}, baseline="vanilla", compare=())


def _record(top1, beliefs=None):
    return {"scores": {"top1": top1}, "stages": [{"seconds": 1.0}], "soft_targets": [] if beliefs is None else [{"stage": "first", **beliefs, "followed": 0.75}]}


def test_a_record_keeps_what_each_stage_believed_and_whether_it_was_followed(tmp_path):
    for name, followed in (("1-first", {"last_network": {"same": 0.75}}), ("2-second", {})):
        (tmp_path / "stages" / name).mkdir(parents=True)
        (tmp_path / "stages" / name / "model.safetensors").touch()
        files.write_json(tmp_path / "stages" / name / "diagnostics.json", {"soft_targets": BELIEFS, **followed})
    (tmp_path / "stages" / "3-third").mkdir()  # wrote nothing down
    one, other = soft_targets.of_run(tmp_path)
    assert (one["stage"], one["agreement"], one["followed"]) == ("first", 0.9, 0.75)
    assert (other["stage"], other["followed"]) == ("second", None) and "images" not in other


def test_stages_come_in_the_order_of_their_numbers(tmp_path):
    for number in range(1, 12):
        folder = tmp_path / "stages" / f"{number}-generation{number}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").touch()
        files.write_json(folder / "diagnostics.json", {"soft_targets": BELIEFS})
    assert [one["stage"] for one in soft_targets.of_run(tmp_path)] == [f"generation{number}" for number in range(1, 12)]


def test_premature_targets_stand_beside_what_they_cost():
    study = _study()
    premature = {**BELIEFS, "agreement": 0.3}
    found = {Cell("vanilla", seed, None, False): _record(0.5 + 0.01 * seed) for seed in range(2)}
    found |= {Cell("srdl", seed, None, False): _record(0.53 + 0.01 * seed, BELIEFS) for seed in range(2)}
    found |= {Cell("stage_incomplete", seed, None, False): _record(0.46 + 0.01 * seed, premature) for seed in range(2)}
    shown = lines.of(study, found)
    _, text = soft_targets.section(study, found, shown)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[2] == ["srdl", "2", "40.0", "90.0", "5.0", "75.0", "soft and mostly right", "+3.0 [+3.0, +3.0]", "vanilla"]
    assert rows[3][3] == "30.0" and rows[3][6] == "premature" and rows[3][7].startswith("-4.0")
    assert len(rows) == 4  # vanilla learnt from labels alone


def test_there_is_no_table_where_no_record_has_soft_targets():
    study = _study()
    found = {Cell("vanilla", 0, None, False): _record(0.5), Cell("srdl", 0, None, False): {key: value for key, value in _record(0.6).items() if key != "soft_targets"}}
    shown = lines.of(study, found)
    assert soft_targets.section(study, found, shown) == []


def test_of_several_stages_what_the_last_one_learnt_from_is_shown():
    record = _record(0.6, BELIEFS)
    record["soft_targets"].append({**record["soft_targets"][0], "stage": "second", "agreement": 0.5})
    found = {Cell("vanilla", 0, None, False): _record(0.5), Cell("srdl", 0, None, False): record}
    _, text = soft_targets.section(_study(), found, lines.of(_study(), found))
    assert "| srdl | 1 | 40.0 | 50.0 |" in text


def test_a_gain_is_over_the_control_that_the_study_names():
    """On top of another recipe, the baseline is no control."""
    study = dataclasses.replace(_study(), compare=(("stage_incomplete", "srdl"), ("srdl", "vanilla")))
    found = {Cell(arm, 0, None, False): _record(top1, BELIEFS) for arm, top1 in (("vanilla", 0.5), ("srdl", 0.6), ("stage_incomplete", 0.53))}
    _, text = soft_targets.section(study, found, lines.of(study, found))
    assert "| +10.0 | vanilla |" in text and "| -7.0 | srdl |" in text
