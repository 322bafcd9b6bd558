from reid_srdl.experiments import published, records, results, study, tables
from reid_srdl.experiments.study import Cell

from .test_results import record


def test_the_page_ends_with_what_others_print_and_what_was_measured(tmp_path):
    file = tmp_path / "market1501_osnet_x0_25.json"
    for seed, rank1 in enumerate((0.70, 0.72)):
        records.add(file, Cell("vanilla", seed, None, False), record(rank1, 0.4))
    records.add(file, Cell("half", 0, None, False), record(0.6, 0.3))
    last = results.page(tmp_path, ["market1501_osnet_x0_25"], {}).partition(published.TITLE)[2]
    assert "| ResNet-50, SRDL | [Lan, Zhu, Gong 2018](https://arxiv.org/abs/1811.07598) | 89.3 |  |" in last
    assert last.rstrip().endswith("| OSNet x0.25 from scratch, 128x64, 40 epochs, `vanilla` | measured here, n = 2 | 71.0 ± 1.4 | 40.0 ± 0.0 |")
    assert "half" not in last, "a control is no system"


def test_without_runs_of_ours_there_is_nothing_to_set_beside():
    plan = study.read("market1501_osnet_x0_25")
    assert published.section({plan.name: (plan, {})}) == []


def test_what_is_stated_is_whole():
    stated = tables.stated("published")
    for entry in stated["published"]:
        assert stated["sources"][entry["source"]].startswith("[") and 0 < entry["rank1"] <= 100
    for entry in stated["measured"]:
        assert set(entry["arms"]) <= set(study.read(entry["study"]).arms)
    paper = {row.network: row.paper for name in tables.names() for row in tables.read(name).rows if row.dataset == "market1501"}
    printed = {entry["system"]: entry["rank1"] for entry in stated["published"] if entry["source"] == "srdl"}
    assert printed["ResNet-50, vanilla"] == paper["resnet50"]["vanilla"] and printed["DenseNet-121, SRDL"] == paper["densenet121"]["srdl"]
