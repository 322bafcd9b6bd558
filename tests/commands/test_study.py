"""``study``: what it lists, and what it refuses."""

from __future__ import annotations

import shlex

import pytest

from reid_srdl import config
from reid_srdl.commands import study
from reid_srdl.errors import UserError
from reid_srdl.experiments import records, runner
from reid_srdl.experiments.study import Cell

NAME = "market1501_mobilenet_v2_strong"


def test_a_dry_run_lists_commands_that_are_the_runs(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text("{title: t, about: a, recipe: synthetic, arms: {a: {plan.name: vanilla}, b: {plan.name: srdl}, c: {}}, seeds: {default: 2, b: 1}, baseline: a, compare: []}")
    flags = ["--records", str(tmp_path), "--data_root", "sets here", "--weights", "w.safetensors", "--threads", "3", "--arms", "a, b"]
    assert study.run([str(own), "--dry_run", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["a-s0", "b-s0", "a-s1"]
    assert all(line.endswith("--threads 3 --model.weights w.safetensors --data_root 'sets here'") for line in lines)
    assert study.run([str(own), "--dry_run", *flags, "--only_seeds", "1"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["a-s1"]
    for seeds, name in (("0,x", "'x'"), ("2", "'2'"), ("1,", "''"), ("-1", "'-1'")):
        with pytest.raises(UserError, match=f"has no seed {name}") as caught:
            study.run([str(own), f"--only_seeds={seeds}"])
        assert caught.value.hint == "Its seeds are 0 to 1."
    with pytest.raises(UserError, match="has no seed '1' of b") as caught:
        study.run([str(own), "--dry_run", "--arms", "b", "--only_seeds", "1"])
    assert caught.value.hint == "It has seed 0 alone."


def test_a_dry_run_prints_the_very_commands_that_are_run(tmp_path, capsys, monkeypatch):
    own, begun = tmp_path / "own.yaml", []
    tune = "tune: {key: optimiser.rate, values: [0.1], holdout_identities: 3}"
    own.write_text(f"{{title: t, about: a, recipe: synthetic, arms: {{a: {{}}, b: {{}}}}, seeds: {{default: 1}}, baseline: a, compare: [], ensembles: {{pair: [a, a+1]}}, {tune}}}")
    flags = ["--records", str(tmp_path), "--runs", str(tmp_path / "my runs"), "--threads", "1", "--data_root", "sets"]
    finished = {Cell("a", 0, rate, True): score for rate, score in ((0.1, 0.5), (0.05, 0.4), (0.2, 0.4))} | {Cell("a", seed, 0.1, False): 0.5 for seed in (0, 1)}
    for cell, score in finished.items():
        records.add(tmp_path / "own.json", cell, {"scores": {"mAP": score}, "precision": "fp32"})
    assert study.run([str(own), "--dry_run", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["b-0.1-s0-tune", "pair-s0"]
    folder = tmp_path / "my runs" / "own"
    assert f"--evaluate val --output '{folder}/b-0.1-s0-tune'" in lines[0]
    assert f"eval --checkpoint '{folder}/a-0.1-s0' --members '{folder}/a-0.1-s1'" in lines[1]
    monkeypatch.setattr(runner.Children, "run", lambda self, words, log, environment: begun.append(shlex.join(words[3:])) or log.touch() or 1)
    with pytest.raises(UserError, match="ended with code 1"):
        study.run([str(own), *flags])
    assert len(begun) == 1 and lines[0].endswith(begun[0])
    parsed = config.parse(config.Config, shlex.split(lines[0].partition(" train ")[2]), recipes=True)
    config.save(parsed, folder / "b-0.1-s0-tune" / "config.yaml")
    assert study.run([str(own), "--dry_run", *flags]) == 0
    resumed, joined = capsys.readouterr().out.splitlines()
    assert resumed.endswith(f"train --resume '{folder}/b-0.1-s0-tune' --data_root sets") and joined.endswith(" --data_root sets")


def test_an_ensemble_may_be_asked_for(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text("{title: t, about: a, recipe: synthetic, arms: {a: {plan.name: vanilla}}, seeds: {default: 2}, baseline: a, compare: [], ensembles: {pair: [a, a+1]}}")
    assert study.run([str(own), "--dry_run", "--arms", "pair", "--records", str(tmp_path)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["a-s0", "a-s1", "a-s2"]


def test_what_is_unknown_is_said(tmp_path, capsys):
    with pytest.raises(UserError, match="has no arm nothing"):
        study.run([NAME, "--arms", "nothing"])
    with pytest.raises(UserError, match="jobs is 0"):
        study.run([NAME, "--jobs", "0"])
    with pytest.raises(UserError, match="there are no records"):
        study.run(["--write", "--records", str(tmp_path)])
    assert study.run([]) == 2 and NAME in capsys.readouterr().out


def test_the_help_lists_the_studies(capsys):
    with pytest.raises(SystemExit):
        study.run(["--help"])
    text = capsys.readouterr().out
    assert text.startswith("usage: reid-srdl study NAME [options]") and NAME in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{title: t, about: a, recipe: r, arm: {}, seeds: {default: 1}, baseline: a, compare: []}", "it has no arms; it may have: title"),
        ("{title: t, about: a, recipe: r, arms: {a: {}}, seed: 1, seeds: {default: 1}, baseline: a, compare: []}", "it knows no seed; it may have"),
        ("{title: t, about: a, recipe: r, arms: {a: {}}, seeds: {default: 0}, baseline: a, compare: []}", "seeds.default is 0"),
        ("{dataset: synthetic}", "it has no title"),
    ],
)
def test_a_study_that_is_not_whole_says_what_it_lacks(text, message, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError, match=f"is not whole: {message}"):
        study.run([str(tmp_path / "own.yaml"), "--dry_run"])


def test_pictures_are_linked_from_where_the_page_is(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "row.json").write_text('{"cells": []}')
    (folder / "fig4-flatness.md").write_text("# Flatness\n")
    (folder / "fig4-unit.png").touch()
    assert study.run(["--write", "--records", str(folder), "--output", str(folder / "page.md")]) == 0
    assert "![unit](fig4-unit.png)" in (folder / "page.md").read_text()
