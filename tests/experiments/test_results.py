from reid_srdl.experiments import records, results
from reid_srdl.experiments.study import Cell


def record(rank1, mean):
    return {
        "scores": {"rank1": rank1, "mAP": mean}, "multi": None, "cross_entropy": 0.5, "stages": [{"seconds": 120.0}], "images": 10, "identities": 5,
        "hardware": {"processor": "P"}, "threads": 1, "precision": "fp32", "versions": {"torch": "2"}, "date": "2026-01-01",
    }  # fmt: skip


def test_the_page_shows_every_arm_with_its_spread_and_the_paired_difference(tmp_path):
    file = tmp_path / "market1501_osnet_x0_25.json"
    for seed, (one, other) in enumerate([(0.70, 0.66), (0.72, 0.66), (0.74, 0.69)]):
        records.add(file, Cell("vanilla", seed, None, False), record(one, 0.4))
        records.add(file, Cell("srdl", seed, None, False), record(other, 0.3))
    page = results.page(tmp_path, ["market1501_osnet_x0_25"])
    assert "| vanilla | 3 | 72.0 ± 2.0 (70.0, 72.0, 74.0) |" in page
    # Differences of -4, -6, -5: mean -5, SD 1, t(0.975, 2) = 4.303, so -5 ± 4.303 / sqrt(3).
    assert "| srdl − vanilla | 3 | -5.0 [-7.5, -2.5] |" in page
    assert "Not finished" in page  # label_smoothing and half


def test_a_single_seed_gets_no_interval(tmp_path):
    file = tmp_path / "market1501_osnet_x0_25.json"
    records.add(file, Cell("vanilla", 0, None, False), record(0.7, 0.4))
    records.add(file, Cell("srdl", 0, None, False), record(0.6, 0.4))
    page = results.page(tmp_path, ["market1501_osnet_x0_25"])
    assert "| srdl − vanilla | 1 | -10.0 | +0.0 |" in page and "One seed" in page
