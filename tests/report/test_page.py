"""The page: everything in one file, and every part says how it is filled while its data is missing."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reid_srdl import data, embeddings, files, runs
from reid_srdl.commands import eval as evaluation
from reid_srdl.commands import report
from reid_srdl.config import EmaConfig
from reid_srdl.data.decoding import decode
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation.protocol import score
from reid_srdl.report import embedding_map, page
from reid_srdl.report.page import ALL, Extras
from reid_srdl.training.run import train

pytest.importorskip("faiss", reason="ranked lists are made with faiss")

HEADER = "epoch,rate,loss,cross_entropy,imitation,accuracy,images_per_s,seconds,waited,val_rank1,val_mAP\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as training leaves it, of two stages."""
    folder = tmp_path / "runs" / "a & b"
    stages = []
    for number, name in enumerate(("first", "second")):
        imitation = 0.5 if number else ""
        lines = [f"{epoch},{0.1 if epoch < 2 else 0.01},{3 - epoch},{2 - epoch / 2},{imitation},{epoch / 4},500,1.5,0.1,," for epoch in range(3)]
        stage = runs.stage_folder(folder, number, name)
        files.write_text(stage / runs.LOG, HEADER + "\n".join(lines) + "\n")
        stages.append({"name": name, "folder": stage.name, "epochs": 3, "seconds": 4.5, "shared": not number, "images_per_s": 500.0, "final": {"accuracy": 0.5}})
    facts = {
        "finished": True, "dataset": "people", "images": 54, "identities": 6, "data_hash": "d" * 64, "plan": "srdl", "seed": 3, "device": "cpu",
        "precision": "fp32", "threads": 1, "processes": 1, "hardware": {"processor": "A processor", "cores": 2, "system": "Linux"},
        "versions": {"torch": "2.9"}, "started": "2026-11-23T23:35:00Z", "stages": stages,
    }  # fmt: skip
    files.write_json(folder / runs.FACTS, facts)
    files.write_text(folder / runs.CONFIG, "dataset: people\nplan:\n  name: <srdl>\n")
    return folder


@pytest.fixture
def evaluated(run: Path, people) -> Path:
    """The same, scored on ``people`` by their mean colours."""
    pair = []
    for split in (people.query, people.gallery):
        vectors = [decode(file).reshape(-1, 3).mean(axis=0) for file in split.files]
        pair.append(Embeddings(vectors, paths=split.paths, labels=split.labels, cameras=split.cameras))
        embeddings.save(pair[-1], run / "eval" / "people" / f"{split.name}.npz")
    files.write_json(run / "eval" / "people" / "metrics.json", score(*pair, multi=(pair[0], 0)).metrics)
    return run


class Reader(HTMLParser):
    """Which elements there are, what they point to, and whether each is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.targets: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.names.append(tag)
        self.targets += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "srcset")]
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.names.append(tag)
        self.targets += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_everything_is_in_the_one_file(evaluated, people):
    path = page.write(evaluated, data=people)
    assert path == evaluated / "report.html"
    html = path.read_text()
    read = Reader(html)
    assert not read.open and not {"script", "link", "iframe"} & set(read.names)
    assert html.count("Content-Security-Policy") == 1
    assert all(target.startswith(("data:image/jpeg;base64,", "#")) for target in read.targets)
    assert not re.search(r"@import|url\((?!#)", html)
    assert read.names.count("svg") == 5  # the CMC curve, loss, rate, imitation, accuracy
    pictures = [target for target in read.targets if target.startswith("data:")]
    assert len(pictures) > 60 and base64.b64decode(pictures[0].split(",")[1]).startswith(b"\xff\xd8")
    assert path.stat().st_size < 2_000_000


@pytest.fixture
def fast_map(monkeypatch) -> None:
    monkeypatch.setattr(embedding_map, "usual", lambda: "tsne")
    monkeypatch.setattr(embedding_map, "project", lambda vectors, by, seed: vectors[:, :2].astype(float))


def test_all_parts_are_in_the_one_file_and_nothing_is_fetched(evaluated, people, fast_map):
    html = page.write(evaluated, data=people, extras=ALL).read_text()
    read = Reader(html)
    assert not read.open and not {"link", "iframe", "object"} & set(read.names)
    assert all(target.startswith(("data:image/jpeg;base64,", "#")) for target in read.targets)
    assert not re.search(r"@import|url\((?!#)|https?://|<script[^>]+src", re.sub(r'xmlns(:xlink)?="[^"]+"', "", html))
    for title in ("More queries", "A map of some people", "Between cameras", "The same person or not"):
        assert f"<h2>{title}</h2>" in html
    assert "Further parts" not in html
    shown = json.loads(html.split('id="browse-data">')[1].split("</script>")[0])
    metrics = files.read_json(evaluated / "eval/people/metrics.json")
    assert len(shown["queries"]) == 12 and all(shown["jpegs"])
    assert sum(query["first"] == 1 for query in shown["queries"]) / 12 == pytest.approx(metrics["single"]["rank1"])
    assert sum(query["ap"] for query in shown["queries"]) / 12 == pytest.approx(metrics["single"]["mAP"], abs=1e-3)


def test_a_quick_page_says_how_the_rest_is_made(evaluated, people, fast_map):
    html = page.write(evaluated, data=people).read_text()
    assert f"reid-srdl report '{evaluated}' --dataset people" in unescape(html) and "a map of the embeddings" in html
    html = page.write(evaluated, data=people, extras=Extras(browse=5, map=True)).read_text()
    assert "Left out here, since they take longer: where likeness comes from in the images." in html


def test_the_page_never_outgrows_its_budget(evaluated, people, monkeypatch):
    whole = page.write(evaluated, data=people, extras=Extras(browse=200)).stat().st_size
    monkeypatch.setattr(page, "LARGEST", whole - 8_000)
    path = page.write(evaluated, data=people, extras=Extras(browse=200))
    assert path.stat().st_size <= whole - 8_000 and "there was no room" in path.read_text()
    shown = json.loads(path.read_text().split('id="browse-data">')[1].split("</script>")[0])["queries"]
    assert 0 < len(shown) < 12
    monkeypatch.setattr(page, "LARGEST", 1_000)
    assert "More queries" not in page.write(evaluated, data=people, extras=Extras(browse=200)).read_text()


def test_likeness_is_traced_back_in_the_other_network_of_a_stage_that_kept_an_average(config, people, watch, monkeypatch, fast_map):
    monkeypatch.setattr(data, "read", lambda name, root: people)
    folder = train(dataclasses.replace(config, plan=dataclasses.replace(config.plan, name="vanilla", epochs=2), ema=EmaConfig(decay=0.9)), people, watch=watch)
    last = folder / "stages/1-first/last.safetensors"
    evaluation.run(["--checkpoint", str(last), "--device", "cpu"])
    (scored,) = (path.parent.name for path in folder.glob("eval/*-last/metrics.json"))
    assert report.run([str(folder), "--dataset", scored, "--browse", "0"]) == 0
    part = (folder / "report.html").read_text().split("<h2>Where likeness comes from</h2>")[1].split("</section>")[0]
    assert part.count("<img") == 24
    last.unlink()
    report.run([str(folder), "--dataset", scored, "--browse", "0"])
    assert "of another network than the run holds" in (folder / "report.html").read_text()


def test_likeness_is_traced_back_in_the_networks_own_images(config, people, watch, monkeypatch, fast_map, capsys):
    monkeypatch.setattr(data, "read", lambda name, root: people)
    folder = train(config, people, watch=watch)
    evaluation.run(["--checkpoint", str(folder), "--device", "cpu"])
    assert report.run([str(folder)]) == 0
    html = (folder / "report.html").read_text()
    part = html.split("<h2>Where likeness comes from</h2>")[1].split("</section>")[0]
    assert part.count('<span class="caption">Map of 8 × 4 places. AP ') == 6 and part.count("<img") == 24
    assert part.count("where likeness comes from, query") == part.count("where likeness comes from, nearest") == 6
    report.run([str(folder), "--attention", "false", "--map", "false", "--browse", "0"])
    html = (folder / "report.html").read_text()
    assert "Where likeness comes from" not in html and "<script" not in html
    report.run([str(folder), "--parts", "quick"])
    assert (folder / "report.html").read_text().split("<footer>")[0] == html.split("<footer>")[0]
    # Whose embeddings are of another network than the run's, nothing is traced in.
    path = next(folder.glob("eval/*/metrics.json"))
    metrics = files.read_json(path)
    files.write_json(path, metrics | {"protocol": metrics["protocol"] | {"checkpoint": "e" * 64}})
    report.run([str(folder), "--browse", "0"])
    assert "of another network than the run holds" in (folder / "report.html").read_text()
    with pytest.raises(UserError, match="browse is -1"):
        report.run([str(folder), "--browse", "-1"])


def test_scores_are_those_of_the_file_as_percentages(evaluated, people):
    html = page.write(evaluated, data=people).read_text()
    metrics = files.read_json(evaluated / "eval/people/metrics.json")
    for name in ("rank1", "mAP", "mAP_trapezoid", "mINP"):
        assert f"<td>{100 * metrics['single'][name]:.2f}<small> %</small></td>" in html
    assert "12 queries against 24 gallery images" in html and "Multi-query" in html


def test_what_is_named_by_others_is_escaped(evaluated, people):
    html = page.write(evaluated, data=people).read_text()
    assert "<h1>a &amp; b</h1>" in html and "&lt;srdl&gt;" in html and "<srdl>" not in html


def test_a_name_that_is_no_text_is_on_the_page(evaluated, fast_map):
    for name in ("query", "gallery"):
        path = evaluated / "eval/people" / f"{name}.npz"
        one = embeddings.load(path)
        embeddings.save(dataclasses.replace(one, paths=[f"{name}/Jos\udce9-{number}.png" for number in range(len(one))]), path)
    assert "gallery/Jos\\udce9-" in page.write(evaluated, extras=ALL).read_text(encoding="utf-8")


def test_nothing_but_the_time_changes(evaluated, people):
    one, two = (re.sub(r"<footer>.*</footer>", "", page.write(evaluated, data=people).read_text()) for _ in range(2))
    assert one == two


def test_before_scoring_it_says_how_to_score(run):
    html = page.write(run).read_text()
    assert f"reid-srdl eval --checkpoint '{run}' --dataset people" in unescape(html)
    assert "What was found" not in html and Reader(html).names.count("svg") == 4


def test_scores_on_another_data_set_are_not_taken_for_those_of_this(evaluated):
    html = page.write(evaluated, dataset="market1501").read_text()
    assert "Not scored on market1501 yet" in html and "There are scores on people" in html and "mINP" not in html


def test_without_the_data_set_names_stand_for_pictures(evaluated):
    html = page.write(evaluated).read_text()
    assert "--data_root DIR" in html and "<img" not in html and "0011_c1s1_000000_00.png" in html


def test_without_embeddings_the_scores_are_still_there(evaluated, people):
    (evaluated / "eval/people/query.npz").unlink()
    html = page.write(evaluated, data=people).read_text()
    assert "were not kept" in html and "CMC curve" in html and "<td>" in html


def test_a_run_that_has_just_begun(run):
    facts = files.read_json(run / runs.FACTS)
    facts["finished"] = False
    for stage in facts["stages"]:
        (run / "stages" / stage["folder"] / runs.LOG).unlink()
        for key in ("seconds", "images_per_s", "final", "shared"):
            del stage[key]
    files.write_json(run / runs.FACTS, facts)
    html = page.write(run).read_text()
    assert unescape(html).count(f"reid-srdl train --resume '{run}'") == 2
    assert not Reader(html).open


def test_a_classification_run(run):
    files.write_json(run / runs.FACTS, {**files.read_json(run / runs.FACTS), "kind": "classes"})
    found = {"protocol": {"dataset": "people", "images": 10}, "classification": {"top1": 0.9312, "top5": 0.99, "loss": 0.25, "ece": 0.031}}
    files.write_json(run / "eval/people/metrics.json", found)
    html = page.write(run).read_text()
    assert "93.12<small> %</small>" in html and "<td>0.250</td>" in html and "6 classes" in html
    assert "CMC" not in html and "What was found" not in html and "Reliability" not in html and "was not kept" in html
    assert "99.0<small>%" in html and "99.00<small> %" in html
    files.write_json(run / "eval/people/metrics.json", found | {"protocol": {"dataset": "people", "images": 10, "classes": 5}})
    assert "Top-5" not in page.write(run).read_text()
    files.write_json(run / "eval/people-1-first/metrics.json", {**found, "classification": {**found["classification"], "ece": 0.125}})
    html = page.write(run).read_text()
    assert "First stage" in html and "12.50<small> %</small>" in html and "3.10<small> %</small>" in html


def test_a_run_on_classes_is_no_matter_of_people_before_it_is_scored_either(run):
    assert f"calibrate '{run}'" in unescape(page.write(run).read_text())
    files.write_json(run / runs.FACTS, {**files.read_json(run / runs.FACTS), "kind": "classes"})
    html = unescape(page.write(run).read_text())
    assert "6 classes" in html and "calibrate" not in html
    found = {"protocol": {"dataset": "people", "images": 10}, "classification": {"top1": 0.9312, "top5": 0.99, "loss": 0.25, "ece": 0.031}}
    files.write_json(run / "eval/people/metrics.json", found)
    assert "calibrate" not in unescape(page.write(run).read_text())


def test_scores_that_are_not_known_are_dashes(evaluated, people):
    path = evaluated / "eval/people/metrics.json"
    metrics = files.read_json(path)
    files.write_json(path, metrics | {"multi": dict.fromkeys(metrics["multi"], None)})
    assert "<td>–</td>" in page.write(evaluated, data=people).read_text()


def test_another_place_and_no_run_folder(run, tmp_path, monkeypatch):
    assert page.write(run, output=tmp_path / "elsewhere.html").is_file() and not (run / "report.html").exists()
    with monkeypatch.context() as patched, pytest.raises(UserError, match="Is a directory. Name a file in it with --output."):
        patched.setattr(page, "evaluation_of", lambda *asked: pytest.fail("the page was begun"))
        page.write(run, output=tmp_path)
    with pytest.raises(UserError, match="no run folder"):
        page.write(tmp_path)


def test_the_command_writes_the_page_and_says_what_comes_next(run, capsys):
    assert report.run([str(run)]) == 0
    told = capsys.readouterr().out
    assert str(run / "report.html") in told and f"reid-srdl eval --checkpoint '{run}'" in told
    with pytest.raises(UserError, match="no run folder"):
        report.run([str(run.parent)])
    before = (run / "report.html").read_bytes()
    with pytest.raises(UserError, match="no scores on peple"):
        report.run([str(run), "--dataset", "peple"])
    assert (run / "report.html").read_bytes() == before
    with pytest.raises(UserError, match="needs the run folder"):
        report.run(["--dataset", "people"])
    with pytest.raises(UserError, match="dataset"):
        report.run([str(run), "--datset", "people"])


@pytest.mark.parametrize(
    ("dataset", "known"), [("folder", True), ("market1501+msmt17", True), ("folder-val", False), ("folder@site", False), ("folder-flip", False), ("market1501+val", False)]
)
def test_scores_that_are_not_there_come_from_a_command_that_works(evaluated, dataset, known):
    with pytest.raises(UserError) as caught:
        report.run([str(evaluated), "--dataset", dataset])
    hint = caught.value.hint
    assert hint.startswith("Its scores are of: people.") and (f"eval --checkpoint '{evaluated}' --dataset {dataset}" in hint) == ("New ones" in hint) == known


def test_pictures_are_from_the_place_that_was_scored(evaluated, people, monkeypatch):
    asked = []
    monkeypatch.setattr(data, "read", lambda name, root: asked.append((name, str(root))) or people)
    files.write_text(evaluated / runs.CONFIG, "dataset: people\ndata_root: photos\n")
    report.run([str(evaluated), "--parts", "quick"])
    path = evaluated / "eval" / "people@site"
    (evaluated / "eval" / "people").rename(path)
    metrics = files.read_json(path / "metrics.json")
    files.write_json(path / "metrics.json", metrics | {"protocol": metrics["protocol"] | {"dataset": "people", "data_root": "/site"}})
    report.run([str(evaluated), "--parts", "quick"])
    report.run([str(evaluated), "--parts", "quick", "--data_root", "a copy"])
    assert asked == [("people", "photos"), ("people", "/site"), ("people", "a copy")]
    assert f"reid-srdl report '{evaluated}' --dataset people@site --data_root 'a copy'" in unescape((evaluated / "report.html").read_text())


def test_the_epoch_that_is_kept_is_named():
    stage = {"final": {"epoch": 4.0}}
    assert page._which_epoch({"stages": [stage]}) == "For the curve only: the result is the last epoch’s"
    assert page._which_epoch({"stages": [{**stage, "kept": {"by": "val_mAP", "epoch": 2.0}}]}).startswith("The result is that of epoch 3 of the last stage")
