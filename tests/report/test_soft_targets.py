"""What is shown of the soft targets of a run."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from reid_srdl import config as configuration
from reid_srdl import diagnostics, files
from reid_srdl.config import Config, EmaConfig, ReferenceConfig
from reid_srdl.report.soft_targets import soft_targets_section

FACTS = {"stages": [{"name": "first", "folder": "1-first"}, {"name": "second", "folder": "2-second"}]}


@pytest.fixture
def noted(tmp_path):
    """A run whose first stage gave soft targets."""
    found = diagnostics.describe([(torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]), torch.tensor([0, 1]))], 3)
    values = {"soft_targets": found.as_json(), "verdict": "", "last_network": {"images": 2000, "same": 0.912, "overlap": 0.876}}
    files.write_json(tmp_path / "stages/1-first" / diagnostics.FILE, values)
    configuration.save(Config(), tmp_path / "config.yaml")
    return tmp_path


def test_the_figures_and_what_they_mean(noted):
    html = soft_targets_section(noted, FACTS)
    found = diagnostics.SoftTargets.of_json(files.read_json(noted / "stages/1-first" / diagnostics.FILE)["soft_targets"])
    assert diagnostics.verdict(found) in html and f"{found.entropy:.2f}<small> nats" in html and "at T = 3" in html
    assert "91.2<small> %" in html and "0.876" in html and "2,000 training images" in html
    assert html.count("<svg") == 2 and "<h3>" not in html


def test_before_the_run_is_finished_nothing_is_compared(noted):
    path = noted / "stages/1-first" / diagnostics.FILE
    files.write_json(path, {key: value for key, value in files.read_json(path).items() if key != "last_network"})
    html = soft_targets_section(noted, FACTS)
    assert "The last network agrees" not in html and "<svg" in html


def test_several_have_the_names_of_their_stages(noted):
    files.write_json(noted / "stages/2-second" / diagnostics.FILE, files.read_json(noted / "stages/1-first" / diagnostics.FILE))
    html = soft_targets_section(noted, FACTS)
    assert html.count("<h3>") == 2 and "stage second" in html


def test_a_run_without_soft_targets_has_no_such_section(tmp_path):
    assert soft_targets_section(tmp_path, FACTS) == ""


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (ReferenceConfig(), "written down once: without augmentation; with running statistics"),
        (ReferenceConfig(flip=True, shuffle=True), "without augmentation, averaged over the image and its mirror image, the wrong ones shuffled, so that they know nothing (a control);"),
        (ReferenceConfig(views=4, weights="ema", top_k=10), "averaged over 4 views of each, all but one augmented, by its averaged weights, the 10 likeliest only;"),
    ],
)
def test_it_says_how_they_were_made(noted, made, told):
    configuration.save(dataclasses.replace(Config(), reference=made, ema=EmaConfig(decay=0.99)), noted / "config.yaml")
    assert told in soft_targets_section(noted, FACTS)
