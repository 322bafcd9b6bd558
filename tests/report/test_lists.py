"""Which queries are shown, and that each picture has the frame that it deserves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.report import lists

pytest.importorskip("faiss", reason="ranked lists are made with faiss")


def test_best_and_worst_are_the_ends_and_the_draw_is_of_the_others():
    ap = np.random.default_rng(0).permutation(np.linspace(0, 1, 30))
    chosen = lists.choose(ap, np.arange(30), count=3)
    assert sorted(ap[list(chosen.best)]) == sorted(ap)[-3:]
    assert sorted(ap[list(chosen.worst)]) == sorted(ap)[:3]
    assert len(chosen.drawn) == 3 and not set(chosen.drawn) & {*chosen.best, *chosen.worst}


def test_queries_without_a_match_are_never_shown():
    ap = np.array([0.5, np.nan, 0.9, np.nan, 0.1])
    chosen = lists.choose(ap, np.arange(5), count=4)
    assert sorted([*chosen.best, *chosen.worst, *chosen.drawn]) == [0, 2, 4]


def test_nobody_is_shown_twice_while_there_are_others():
    ap = np.array([0.99, 0.98, 0.97, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1])
    labels = np.array([1, 1, 1, 2, 3, 4, 5, 6, 7])
    assert set(labels[list(lists.choose(ap, labels, count=2).best)]) == {1, 2}
    one = lists.choose(ap, np.ones(9, dtype=np.int64), count=3)
    assert len({*one.best, *one.worst, *one.drawn}) == 9


def test_ties_are_broken_by_the_seed_alone():
    ap, labels = np.ones(200), np.arange(200)
    assert lists.choose(ap, labels, seed=1) == lists.choose(ap, labels, seed=1)
    assert lists.choose(ap, labels, seed=1) != lists.choose(ap, labels, seed=2)
    assert lists.choose(ap, labels, seed=-1) != lists.choose(ap, labels, seed=1), "any whole number is a seed"


def test_no_queries_and_few_queries():
    assert lists.choose(np.full(3, np.nan), np.arange(3)) == lists.Choice((), (), ())
    assert lists.choose(np.array([0.5]), np.arange(1)) == lists.Choice((0,), (), ())


@pytest.fixture
def pair() -> tuple[Embeddings, Embeddings]:
    """A query of person 1 at camera 1; what is found lies at the distances 1, 2, 3, … from it."""
    kinds = [(1, 1), (2, 2), (0, 3), (-1, 2), (1, 2), (1, 3)]  # own camera, another, distractor, junk, match, match
    query = Embeddings(np.zeros((1, 2)), paths=("query/q.png",), labels=np.array([1]), cameras=np.array([1]))
    gallery = Embeddings(
        np.column_stack([np.arange(1, 7), np.zeros(6)]),
        paths=tuple(f"gallery/{number}.png" for number in range(6)),
        labels=np.array([label for label, _ in kinds]),
        cameras=np.array([camera for _, camera in kinds]),
    )
    return query, gallery


def test_what_does_not_exist_for_the_query_is_not_in_its_list(pair):
    (shown,) = lists.ranked_lists(*pair, rank(*pair), [0])
    assert [item.path for item in shown.found] == ["gallery/1.png", "gallery/2.png", "gallery/4.png", "gallery/5.png"]
    assert [item.frame for item in shown.found] == ["mistake", "distractor", "match", "match"]
    assert [item.distance for item in shown.found] == [4, 9, 25, 36]
    assert [item.camera for item in shown.found] == [2, 3, 2, 3]
    assert (shown.path, shown.camera, shown.first, shown.matches) == ("query/q.png", 1, 3, 2)
    assert shown.ap == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_images_of_the_own_camera_are_there_where_they_count(pair):
    (shown,) = lists.ranked_lists(*pair, rank(*pair, same_camera=True), [0], same_camera=True, depth=2)
    assert [item.frame for item in shown.found] == ["match", "mistake"]
    assert shown.matches == 3


def test_pictures_keep_their_shape_and_do_not_grow(tmp_path):
    for name, size in (("small.png", (128, 64)), ("large.png", (1000, 400))):
        cv2.imwrite(str(tmp_path / name), np.full((*size, 3), 90, np.uint8))
    decoded = [cv2.imdecode(np.frombuffer(lists.picture(tmp_path / name), np.uint8), cv2.IMREAD_COLOR) for name in ("small.png", "large.png")]
    assert [image.shape[:2] for image in decoded] == [(128, 64), (224, 90)]


def test_pictures_are_found_under_any_root_and_lost_ones_left_out(pair, tmp_path):
    shown = lists.ranked_lists(*pair, rank(*pair), [0])
    for path in ("one/query/q.png", "two/gallery/1.png", "two/gallery/2.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / path), np.zeros((8, 4, 3), np.uint8))
    (tmp_path / "two/gallery/2.png").write_bytes(b"no image any more")
    paths = [*lists.paths_in(shown), "too long for a name" * 20]
    assert set(lists.pictures_of(paths, [tmp_path / "one", tmp_path / "two"])) == {"query/q.png", "gallery/1.png"}


def test_html_frames_each_by_its_kind_and_escapes_names(pair):
    query, gallery = pair
    query = Embeddings(query.vectors, paths=("<b>.png",), labels=query.labels, cameras=query.cameras)
    (shown,) = lists.ranked_lists(query, gallery, rank(query, gallery), [0])
    html = lists.as_html(shown, {"gallery/1.png": b"jpeg"})
    assert [html.count(f'<li class="{kind}">') for kind in ("match", "mistake", "distractor")] == [2, 1, 1]
    assert html.count("<img") == 1 and html.count('class="gone"') == 4
    assert "<b>.png" not in html and "&lt;b&gt;.png" in html
