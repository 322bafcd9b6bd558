"""Which mistakes and which classes are shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_srdl.evaluation.predictions import Predictions
from reid_srdl.report import classes
from reid_srdl.report.evaluated import Evaluated


def said(rows: list[tuple[int, int, float]], names: tuple[str, ...] = ("ash", "beech", "<cedar>")) -> Predictions:
    """From (label, predicted, confidence)."""
    labels, predicted, confidence = (np.array(column) for column in zip(*rows, strict=True))
    paths = tuple(f"test/{row}.png" for row in range(len(rows)))
    return Predictions(paths, labels, predicted, np.float32(confidence), np.float32(confidence), np.arange(len(names)), names)


SAID = said([(0, 0, 0.99), (0, 1, 0.6), (1, 2, 0.9), (1, 2, 0.7), (1, 0, 0.7), (2, 2, 0.5)])


def evaluated(predictions: Predictions | None) -> Evaluated:
    return Evaluated("trees", {"protocol": {"dataset": "trees"}, "classification": {"top1": 1 / 3}}, predictions=predictions)


def test_mistakes_come_by_confidence():
    assert classes.mistakes(SAID) == [2, 3, 4, 1] and classes.mistakes(SAID, most=2) == [2, 3]
    assert classes.mistakes(said([(0, 0, 0.9)])) == []


def test_the_worst_classes_come_first():
    found = classes.worst(SAID)
    assert [(one.label, one.images, one.right, one.taken_for) for one in found] == [(1, 3, 0, (2, 2)), (0, 2, 0.5, (1, 1)), (2, 1, 1, None)]
    assert len(classes.worst(SAID, most=2)) == 2


def test_the_section_shows_pictures_where_they_are(tmp_path):
    (tmp_path / "test").mkdir()
    cv2.imwrite(str(tmp_path / "test/2.png"), np.zeros((8, 8, 3), np.uint8))
    html = classes.classes_section(Path("runs/a"), evaluated(SAID), [tmp_path])
    assert html.count("<img") == 1 and html.count('class="mistake"') == 4 and "taken for &lt;cedar&gt;" in html and "90.0 % sure" in html
    assert "--data_root" not in html and "4 images are wrong" in html
    html = classes.classes_section(Path("runs/a"), evaluated(SAID), [])
    assert "<img" not in html and "reid-srdl report runs/a --dataset trees --data_root DIR" in html and "2.png" in html


def test_a_name_is_text_wherever_it_stands(tmp_path):
    (tmp_path / "test").mkdir()
    cv2.imwrite(str(tmp_path / "test/0.png"), np.zeros((8, 8, 3), np.uint8))
    html = classes.classes_section(Path("runs/a"), evaluated(said([(0, 1, 0.9)], ('"><script>x', "beech"))), [tmp_path])
    assert "<img" in html and "<script" not in html and 'alt="&quot;&gt;&lt;script&gt;x: test/0.png"' in html


def test_many_classes_show_the_worst_only():
    many = said([(label, label, 0.5) for label in range(30)], tuple(map(str, range(30))))
    html = classes.classes_section(Path("runs/a"), evaluated(many), [])
    assert "The worst of 30 classes" in html and html.count("<tr>") == 1 + classes.WORST and "all of 30 images are right" in html


@pytest.mark.parametrize("nothing", [None, Evaluated("people", {"single": {"rank1": 1}})])
def test_what_was_not_classified_has_no_such_section(nothing):
    assert classes.classes_section(Path("runs/a"), nothing, []) == ""


def test_without_predictions_it_says_where_they_come_from():
    assert "reid-srdl eval --checkpoint runs/a --dataset trees" in classes.classes_section(Path("runs/a"), evaluated(None), [])
