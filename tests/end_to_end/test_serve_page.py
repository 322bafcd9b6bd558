"""The page of a served index in a real browser, on a desk and on a phone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """Debian's, Google's, or the one that Playwright has fetched; without any the tests are skipped, unless ``REID_REQUIRE_CHROMIUM`` is 1."""
    with playwright.sync_playwright() as engine:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), engine.chromium.executable_path)
        if not os.path.exists(found):
            why = "there is no Chromium: install it (apt install chromium), or fetch Playwright's (python -m playwright install chromium)"
            (pytest.fail if os.environ.get("REID_REQUIRE_CHROMIUM") == "1" else pytest.skip)(why)
        browser = engine.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-background-networking"])
        yield browser
        browser.close()


class Visit:
    """A page that is open, and all that its visit has asked for and complained of."""

    def __init__(self, browser, server, size: str) -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone")
        self.context.set_default_timeout(60_000)
        self.page, self.width, self.server = self.context.new_page(), width, server
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def opens(self, path: str = "/") -> Visit:
        self.page.goto(self.server.address + path)
        self.page.wait_for_selector("#samples li")
        return self

    def searches(self, act) -> list[str]:
        """Does something that begins a search; the captions of what is found."""
        with self.page.expect_response("**/search"):
            act()
        self.page.wait_for_selector("#hits:not(.busy)", state="attached")
        return self.captions()

    def waits(self, condition: str, *argument: object) -> None:
        """Until it is true; Playwright's own way to wait for it would have the page evaluate a string, which its policy forbids."""
        until = time.monotonic() + 60
        while not self.page.evaluate(condition, *argument):
            assert time.monotonic() < until, condition
            self.page.wait_for_timeout(20)

    def uploads(self, file) -> list[str]:
        return self.searches(lambda: self.page.set_input_files("#upload", str(file)))

    def captions(self) -> list[str]:
        return self.page.locator("#hits li:not(.line) .caption").all_inner_texts()

    def asked(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.page.url).query)

    def searched(self) -> int:
        return sum(url.endswith("/search") for url in self.requests)

    def above_the_line(self) -> int:
        return self.page.evaluate("[...document.querySelector('#hits').children].findIndex((item) => item.className === 'line')")

    def options(self) -> Visit:
        if self.page.get_attribute("#options", "open") is None:
            self.page.click("#options summary")
        return self

    def ends(self) -> None:
        assert self.page.evaluate("document.documentElement.scrollWidth") == self.width  # nothing to scroll sideways
        hosts = {urlsplit(url).netloc for url in self.requests if not url.startswith("blob:")}
        assert hosts == {urlsplit(self.server.address).netloc}
        assert not self.complaints
        self.context.close()


@pytest.fixture(params=list(SIZES))
def visit(request, chromium, server) -> Iterator[Visit]:
    made = Visit(chromium, server, request.param)
    yield made
    made.ends()


def test_from_an_upload_to_the_next_query_and_back(visit, people):
    page = visit.opens().page
    assert page.inner_text("h1") == "gallery.index" and "24 images" in page.inner_text("#lead") and not page.is_visible("#found")
    assert page.locator("#samples img").count() == 12
    captions = visit.uploads(people.query.files[0])
    assert len(captions) == 20 and captions[0].startswith("1 · ") and "distance" in captions[0] and "camera" in captions[0] and page.is_visible("#query-picture")
    visit.waits("[...document.querySelectorAll('#found img, #query img')].every((image) => image.complete && image.naturalWidth > 0)")
    named = [caption for caption in captions if "Zoë" in caption]
    assert named and all("<b>Zoë</b> & co" in caption for caption in named)  # a name is text, whatever it holds
    path = page.get_attribute("#hits li:nth-child(3) button", "title") or page.get_attribute("#hits li:nth-child(2) button", "title")
    following = visit.searches(lambda: page.locator(f"#hits button[title='{path}']").click())
    assert visit.asked()["path"] == [path] and path.rpartition("/")[2] in page.inner_text("#query-name") and following != captions
    assert page.get_attribute("#query-picture", "src").startswith("/image/")
    back = visit.searches(lambda: page.click("#back"))
    assert back == captions and "path" not in visit.asked() and "of the gallery" not in page.inner_text("#query-name")
    page.click("#back")
    page.wait_for_selector("#found", state="hidden")
    assert page.is_visible("#sample") and not page.is_visible("#query")


def test_options_narrow_the_search_and_stand_in_the_address(visit, people):
    page = visit.opens(f"/?path={people.gallery.paths[0]}").options().page
    page.wait_for_selector("#hits li img")
    assert len(visit.captions()) == 20
    captions = visit.searches(lambda: page.check("#cameras input[value='2']"))
    assert len(captions) == 8 and all("camera 2" in caption for caption in captions) and visit.asked()["camera"] == ["2"]
    both = visit.searches(lambda: page.check("#cameras input[value='3']"))
    assert len(both) == 16 and {caption.split("camera ")[1][0] for caption in both} == {"2", "3"}
    visit.searches(lambda: page.fill("#top_k", "5") or page.press("#top_k", "Enter"))
    assert len(visit.captions()) == 5 and visit.asked()["top_k"] == ["5"]
    ranked = visit.searches(lambda: page.check("#rerank"))
    assert all("re-ranked" in caption for caption in ranked) and page.locator("#hits .line").count() == 0
    with page.expect_response("**/search"):
        page.reload()
    page.wait_for_selector("#hits li img")
    assert visit.captions() == ranked and page.is_checked("#rerank") and page.input_value("#top_k") == "5" and page.is_checked("#cameras input[value='3']")


def test_no_probability_is_rounded_to_a_certainty(visit, people):
    told = {0.99996: ">99.9 %", 0.9994: "99.9 %", 0.5: "50 %", 0.0123: "1.2 %"}

    def answers(route) -> None:
        response = route.fetch()
        found = response.json()
        for hit, probability in zip(found["hits"], told, strict=False):
            hit["probability"] = probability
        route.fulfill(response=response, json=found)

    visit.page.route("**/search", answers)
    visit.opens(f"/?path={people.gallery.paths[0]}").page.wait_for_selector("#hits li img")
    for caption, words in zip(visit.captions(), told.values(), strict=False):
        assert f"· {words}" in caption


def test_the_line_stands_where_the_probability_falls_below(visit, people):
    page = visit.opens(f"/?path={people.gallery.paths[0]}&top_k=23").options().page
    page.wait_for_selector("#hits .line")

    def shares() -> list[float]:
        return [float(caption.split("·")[1].split("%")[0].strip(" >")) / 100 for caption in visit.captions()]

    usual = shares()
    assert usual == sorted(usual, reverse=True)
    counts = []
    for percent in (1, 20, 50, 80, 95, 99):
        asked = visit.searched()
        page.fill("#threshold", str(percent))
        page.press("#threshold", "Enter")
        above = visit.above_the_line()
        counts.append(above)
        assert all(share >= percent / 100 - 0.005 for share in usual[:above]) and all(share <= percent / 100 + 0.005 for share in usual[above:])
        assert page.locator("#hits .same").count() == above and f"{above} at {percent} % or more" in page.inner_text("#status")
        assert visit.asked().get("at", ["0.5"]) == [str(percent / 100)] and visit.searched() == asked  # it moves without asking again
    assert counts == sorted(counts, reverse=True) and 23 > counts[2] > 0  # it is sure of some and unsure of others
    page.locator("#threshold-range").fill("0.2")
    assert page.input_value("#threshold") == "20"
    visit.searches(lambda: page.fill("#prior", "1000") or page.press("#prior", "Enter"))
    assert visit.asked()["prior"] == ["0.001"] and "one pair in 1000 is genuine" in page.inner_text("#status")
    assert all(rare <= share for rare, share in zip(shares(), usual, strict=True)) and shares()[5] < usual[5]


def test_it_is_used_without_a_mouse_and_without_eyes(visit):
    page = visit.opens().page
    nameless = """[...document.querySelectorAll('input, button, select')].filter((one) => one.checkVisibility()
        && !(one.labels?.length || one.ariaLabel || one.textContent.trim())).map((one) => one.outerHTML)"""
    assert page.evaluate(nameless) == [] and page.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    page.focus("#samples li:nth-child(2) button")
    assert visit.searches(lambda: page.keyboard.press("Enter"))
    assert page.evaluate("document.activeElement.id") == "found-title"  # so that a reader goes on at what was found
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#hits') !== null")
    assert page.get_attribute("#status", "role") == "status" and page.get_attribute("html", "lang") == "en"
    assert page.evaluate("[...document.querySelectorAll('#hits img')].every((image) => image.alt.endsWith('.png'))")


def test_what_is_no_image_is_said(visit, people, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    (tmp_path / "large.png").write_bytes(bytes(300_000))
    page = visit.opens().page
    for name, said in (("notes.txt", "notes.txt is no image"), ("large.png", "too large")):
        page.set_input_files("#upload", str(tmp_path / name))
        visit.waits("(words) => document.querySelector('#problem').innerText.includes(words)", said)
    with page.expect_response("**/search"):
        page.set_input_files("#upload", str(tmp_path / "broken.jpg"))
    visit.waits("document.querySelector('#problem').innerText.includes('The upload')")
    assert not page.is_visible("#found")
    assert visit.uploads(people.query.files[1]) and not page.is_visible("#problem")
    # A refusal is an answer of 422, which browsers note in their console; nothing else is.
    visit.complaints = [words for words in visit.complaints if "422" not in words]


def test_going_back_while_a_search_runs_is_no_mistake_of_the_page(visit, people):
    page = visit.opens().page
    page.route("**/search", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.locator("#samples button").first.click()
    page.wait_for_selector("#hits.busy", state="attached")
    page.evaluate("history.back()")
    page.wait_for_selector("#query", state="hidden")
    page.wait_for_timeout(600)
    assert not page.is_visible("#problem") and not page.is_visible("#found") and page.locator("#hits.busy").count() == 0


def test_after_a_reload_a_step_is_not_taken_for_another_upload(visit, people):
    page = visit.opens().page
    visit.uploads(people.query.files[0])
    page.reload()
    page.wait_for_selector("#samples li")
    visit.waits("document.querySelector('#problem').innerText.includes('gone with the page')")
    visit.uploads(people.query.files[1])
    page.evaluate("history.back()")
    visit.waits("document.querySelector('#problem').innerText.includes('gone with the page')")
    assert not page.is_visible("#found")


def test_an_index_that_cannot_be_read_any_more_is_said_beside_what_is_shown(visit, served, people):
    page = visit.opens().page
    assert not page.is_visible("#state")
    index = served / "gallery.index"
    kept = index.read_bytes()
    index.unlink()
    try:
        page.reload()
        page.wait_for_selector("#samples li")
        assert visit.uploads(people.query.files[0]) and "The index gallery.index is gone." in page.inner_text("#state") and page.is_visible("#state")
    finally:
        index.write_bytes(kept)


def test_an_image_that_is_gone_leaves_its_name(visit, served, people):
    path = people.gallery.paths[7]
    file = served / "photos" / path
    kept = file.read_bytes()
    file.unlink()
    try:
        page = visit.opens(f"/?path={people.gallery.paths[6]}&top_k=23").page
        page.wait_for_selector("#hits li img")
        told = page.inner_text(f"#hits button[title='{path}']")
        assert "image is gone" in told and path.rpartition("/")[2] in told and page.locator("#found .gone").count() == 1
        assert len(visit.searches(lambda: page.locator(f"#hits button[title='{path}']").click())) == 23 and "image is gone" in page.inner_text("#query")
    finally:
        file.write_bytes(kept)


def test_the_api_is_readable_there_too(visit):
    page = visit.page
    page.goto(visit.server.address + "/docs")
    assert page.locator("h1").is_visible() and "POST /search" in page.inner_text("main") and page.evaluate("getComputedStyle(document.querySelector('pre')).padding") != "0px"
