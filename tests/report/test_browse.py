"""Lists to look through: which queries, what the page is handed of each, and that it stays within its bytes."""

from __future__ import annotations

import base64
import dataclasses
import json

import cv2
import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.report import browse
from reid_srdl.report.evaluated import Ranked, ranked

pytest.importorskip("faiss", reason="ranked lists are made with faiss")


def test_half_are_failures_and_half_successes_while_there_are_enough_of_both():
    first = np.array([1] * 50 + [7] * 30 + [np.nan] * 5)
    rows = browse.choose(first, most=40, seed=0)
    assert len(set(rows.tolist())) == 40 and (first[rows] == 1).sum() == (first[rows] > 1).sum() == 20
    # Whatever is cut off from the end, both kinds stay.
    assert abs(int((first[rows[:11]] == 1).sum()) - 5) <= 1


def test_the_rarer_kind_is_there_in_full_and_the_other_fills_up():
    first = np.array([1.0] * 50 + [3.0] * 4 + [np.nan])
    rows = browse.choose(first, most=40)
    assert len(rows) == 40 and {50, 51, 52, 53} <= set(rows.tolist()) and 54 not in rows
    assert len(browse.choose(first, most=200)) == 54 and len(browse.choose(np.full(3, np.nan))) == 0


def test_the_draw_goes_by_the_seed():
    first = np.ones(100)
    assert (browse.choose(first, most=10, seed=1) == browse.choose(first, most=10, seed=1)).all()
    assert (browse.choose(first, most=10, seed=1) != browse.choose(first, most=10, seed=2)).any()
    assert (browse.choose(first, most=10, seed=-1) != browse.choose(first, most=10, seed=1)).any()


@pytest.fixture
def found(tmp_path) -> Ranked:
    """Two queries at one place and a third apart; what is found lies on a line, and the images are there."""
    gallery = Embeddings(
        np.column_stack([np.arange(1, 7), np.zeros(6)]),
        paths=tuple(f"gallery/{number}.png" for number in range(6)),
        labels=np.array([2, 0, 1, 1, 2, 1]),
        cameras=np.array([2, 3, 2, 3, 1, 1]),
    )
    query = Embeddings(np.array([[0, 0], [0, 0], [7, 0]]), paths=("query/a.png", "query/b.png", "query/<script>.png"), labels=np.array([1, 2, 1]), cameras=np.array([1, 1, 2]))
    rng = np.random.default_rng(0)
    (tmp_path / "gallery").mkdir()
    (tmp_path / "query").mkdir()
    for path in (*gallery.paths, *query.paths[:2]):
        cv2.imwrite(str(tmp_path / path), rng.integers(0, 255, (300, 100, 3)).astype(np.uint8))
    return ranked(query, gallery, device="cpu")


def test_each_query_says_what_the_filters_ask_for(found, tmp_path):
    data = browse.gather(found, [0, 1], [tmp_path], budget=10**6)
    one, two = data["queries"]
    assert (one["camera"], one["seen_by"], one["first"], one["matches"], one["person"]) == (1, 2, 3, 2, 1)
    assert (two["camera"], two["seen_by"], two["first"], two["ap"]) == (1, 2, 1, 1.0)
    names = [data["names"][number] for number, *_ in one["found"]]
    assert names == ["0.png", "1.png", "2.png", "3.png", "4.png"]  # of the own camera 5.png alone
    assert [browse.KINDS[kind] for *_, kind in one["found"]] == ["mistake", "distractor", "match", "match", "mistake"]
    assert [distance for _, distance, *_ in one["found"]] == [1, 4, 9, 16, 25]


def test_an_image_is_stored_once_however_often_it_is_shown(found, tmp_path):
    data = browse.gather(found, [0, 1], [tmp_path], budget=10**6)
    shown = [number for query in data["queries"] for number in (query["image"], *(item[0] for item in query["found"]))]
    assert len(shown) > len(data["names"]) == len(set(data["names"])) == len(data["jpegs"]) == 8
    jpeg = cv2.imdecode(np.frombuffer(base64.b64decode(data["jpegs"][0]), np.uint8), cv2.IMREAD_COLOR)
    assert jpeg.shape[:2] == (128, 43)


def test_queries_that_do_not_fit_are_left_out_and_said(found, tmp_path):
    whole = browse.gather(found, [0, 1, 2], [tmp_path], budget=10**6)
    size = len(browse.as_html(whole, found.result.first, asked=3, seed=0))
    less = browse.gather(found, [0, 1, 2], [tmp_path], budget=len(json.dumps(browse.gather(found, [0], [tmp_path], budget=10**6))) + 40)
    assert [len(data["queries"]) for data in (whole, less)] == [3, 1]
    html = browse.as_html(less, found.result.first, asked=3, seed=0)
    assert "2 more were drawn, for which there was no room" in html and len(html) < size
    assert "no room" not in browse.as_html(whole, found.result.first, asked=3, seed=0)
    assert browse.gather(found, [0], [tmp_path], budget=50)["queries"] == []


@pytest.mark.parametrize("budget", [2_000, 20_000, 60_000])
def test_the_data_never_outgrows_its_budget(found, tmp_path, budget):
    data = browse.gather(found, [0, 1, 2], [tmp_path], budget=budget)
    html = browse.as_html(data, found.result.first, asked=3, seed=0)
    assert len(html.split('id="browse-data">')[1].split("</script>")[0].encode()) <= budget


def test_names_cannot_end_the_script(found, tmp_path):
    html = browse.as_html(browse.gather(found, [2], [tmp_path], budget=10**6), found.result.first, asked=1, seed=0)
    assert html.count("<script") == html.count("</script>") == 1
    data = json.loads(html.split('id="browse-data">')[1].removesuffix("</script>"))
    assert data["names"][0] == "<script>.png" and data["jpegs"][0] == ""  # it is not there


def test_a_name_that_is_no_text_is_in_the_data(found, tmp_path):
    query = dataclasses.replace(found.query, paths=("query/Jos\udce9.png", *found.query.paths[1:]))
    data = browse.gather(found._replace(query=query), [0], [tmp_path], budget=10**6)
    html = browse.as_html(data, found.result.first, asked=1, seed=0)
    assert json.loads(html.encode().decode().split('id="browse-data">')[1].removesuffix("</script>"))["names"][0] == "Jos\udce9.png"


def test_words_count_all_and_shown(found, tmp_path):
    html = browse.as_html(browse.gather(found, [0], [tmp_path], budget=10**6), found.result.first, asked=1, seed=7)
    assert "1 of the 1 failure (" in html and "0 of the 2 successes" in html
    assert "seed 7" in html and "failures only" in html


def test_files_of_the_same_name_are_told_apart_by_their_folders():
    assert browse._name("query/0001_c1s1_000451_03.jpg") == "0001_c1s1_000451_03.jpg"
    assert browse._name("gallery/Zoë Müller/c4_001.jpg") == "Zoë Müller/c4_001.jpg"
