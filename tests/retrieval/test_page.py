"""The page of a search: one file with its pictures."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from reid_srdl.retrieval import page


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("query.png", "deep/a.png", "deep/b <1>.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (400, 200, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def hit(rank, path, **more):
    return {"rank": rank, "distance": 0.5 * rank, "probability": None, "reranked": None, "path": path, "camera": None, "label": None, "name": None, **more}


def written(photos, lists, **root):
    missing = page.write(photos / "found.html", lists, title="<gallery>", lead="A & B", **{"root": photos, **root})
    return missing, (photos / "found.html").read_text(encoding="utf-8")


def test_the_page_has_everything_in_it(photos):
    hits = [hit(1, "deep/a.png", probability=0.87, camera=3, label=5), hit(2, "deep/b <1>.png", label=6, name="Zoë & co")]
    missing, text = written(photos, [page.Shown("query.png", photos / "query.png", hits)])
    assert missing == (0, 2)
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    sizes = [Image.open(BytesIO(base64.b64decode(jpeg))).size for jpeg in pictures]
    assert sizes == [(80, 160)] * 3
    assert "87 %" in text and "camera 3" in text and "label 5" in text and "Zoë &amp; co" in text and "&lt;gallery&gt;" in text and "A &amp; B" in text
    # Nothing is fetched, and nothing of a name becomes markup.
    assert not re.search(r'(src|href)="(?!data:)', text) and "http" not in text.replace("http-equiv", "") and "<1>" not in text
    HTMLParser().feed(text)


def test_images_that_are_gone_leave_their_names(photos):
    lists = [page.Shown("query.png", photos / "query.png", [hit(1, "deep/a.png"), hit(2, "gone/z.png")])]
    missing, text = written(photos, lists)
    assert missing == (1, 2) and "1 of 2 images are not where they were" in text and "z.png" in text
    missing, text = written(photos, lists, root=None)
    assert missing == (2, 2)
    missing, _ = written(photos / "deep", [page.Shown("q", photos / "query.png", [hit(1, "a.png")])])  # moved, and named anew
    assert missing == (0, 1)


def test_an_index_from_elsewhere_shows_nothing_but_its_folder(photos):
    (photos / "deep/out.png").symlink_to(photos / "query.png")
    outside = [str(photos / "query.png"), "../query.png", "out.png"]
    inside = ["a.png", "../deep/a.png", str(photos / "deep/a.png")]
    lists = [page.Shown("q", photos / "query.png", [hit(rank, path) for rank, path in enumerate([*outside, *inside], start=1)])]
    missing, text = written(photos, lists, root=photos / "deep")
    assert missing == (3, 6) and text.count("data:image/jpeg") == 1 + len(inside) and all(f'<span class="gone">{path}<' in text for path in outside)
    assert written(photos, lists, root=photos / "gone")[0] == (6, 6)
    assert written(photos, [page.Shown("q", photos / "query.png", [hit(1, str(photos / "deep/a.png"))])], root=None)[0] == (0, 1), "a path as it is"


def test_a_query_without_hits_says_so(photos):
    _, text = written(photos, [page.Shown("query.png", photos / "query.png", [])])
    assert "nothing was found" in text


def test_a_page_stays_of_a_size_that_opens(photos):
    lists = [page.Shown(f"q{number}", photos / "query.png", [hit(1, "deep/a.png")]) for number in range(page.QUERIES + 5)]
    missing, text = written(photos, lists)
    assert text.count('<div class="list">') == page.QUERIES and "The first 100 of 105 queries" in text and missing == (0, page.QUERIES)
