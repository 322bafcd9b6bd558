"""The REST API as a client sees it: what it answers, and what strangers may send without harm."""

from __future__ import annotations

import io
import queue
import threading

import numpy as np
import pytest

from reid_srdl.retrieval.serve.access import Access
from reid_srdl.retrieval.serve.limits import Limits

from .conftest import bomb, jpeg

pytest.importorskip("fastapi")

TOKEN = "correct-horse-battery"


def upload(data: bytes, name: str = "a.jpg") -> dict:
    return {"image": (name, data, "image/jpeg")}


def problem(answer, status: int) -> dict:
    """The error of an answer, which is JSON of the one shape and tells nothing of the server's inside."""
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"error", "hint"} and told["error"] and "Traceback" not in answer.text and "/site-packages/" not in answer.text
    return told


def test_an_image_is_embedded(client, trained, people):
    file = people.query.files[3]
    answer = client().post("/embed", files=upload(file.read_bytes())).json()
    np.testing.assert_allclose(answer["vector"], trained.embed([file])[0], rtol=1e-6)
    assert (answer["model"], answer["dimension"], answer["flip"]) == (trained.model_hash, 16, False)


def test_a_search_goes_from_an_upload_to_hits_to_their_pictures_to_the_next_query(client, people, gallery):
    one = client()
    answer = one.post("/search", files=upload(people.query.files[0].read_bytes()), data={"top_k": 5, "camera": [1, 2], "prior": 0.1, "rerank": "true", "candidates": 9}).json()
    assert len(answer["hits"]) == 5 and {hit["camera"] for hit in answer["hits"]} <= {1, 2} and answer["prior"] == 0.1
    assert all(set(hit) == {"rank", "id", "distance", "probability", "reranked", "path", "camera", "label", "name", "picture"} for hit in answer["hits"])
    assert {hit["name"] for hit in answer["hits"] if hit["label"] == 12} <= {"Zoë"}
    picture = one.get(answer["hits"][0]["picture"], params={"side": 16})
    assert picture.headers["content-type"] == "image/jpeg" and picture.content.startswith(b"\xff\xd8")
    following = one.post("/search", data={"id": answer["hits"][0]["id"], "top_k": 30}).json()
    assert following["query"]["path"] == answer["hits"][0]["path"] and len(following["hits"]) == 23
    assert one.post("/search", data={"path": answer["hits"][0]["path"], "top_k": 30}).json() == following


def test_two_images_are_compared(client, people):
    a, b = (people.query.files[row].read_bytes() for row in (0, 1))
    answer = client().post("/verify", files={"a": a, "b": b}, data={"probability": 0.7, "prior": 0.2}).json()
    assert set(answer) == {"same", "probability", "distance", "threshold", "most", "at", "prior", "metric"} and (answer["at"], answer["prior"]) == (0.7, 0.2)
    assert answer["same"] == (answer["probability"] >= 0.7)


def test_it_says_how_it_is_and_what_there_is(client, trained):
    one = client(Limits(body=1000, top_k=7))
    health = one.get("/health").json()
    assert (health["status"], health["images"], health["model"], health["backend"], health["calibrated"]) == ("ok", 24, trained.model_hash, "faiss", True)
    assert health["limits"]["body"] == 1000 and health["limits"]["top_k"] == 7
    gallery = one.get("/gallery", params={"count": 5, "seed": 3}).json()
    assert gallery["cameras"] == [1, 2, 3] and len(gallery["images"]) == 5 and gallery["images"][0]["picture"]
    assert one.get("/gallery", params={"count": 5, "seed": 3}).json() == gallery


def test_fewer_hits_than_usual_may_be_the_most(client, people):
    one = client(Limits(workers=1, top_k=7))
    data = people.query.files[0].read_bytes()
    answer = one.post("/search", files=upload(data))
    assert answer.status_code == 200 and len(answer.json()["hits"]) == 7
    problem(one.post("/search", files=upload(data), data={"top_k": 8}), 422)


def test_a_camera_without_images_has_no_neighbour(client, people):
    answer = client().post("/search", files=upload(people.query.files[0].read_bytes()), data={"camera": 77})
    assert answer.status_code == 200 and answer.json()["hits"] == []


def test_what_is_no_person_is_refused_and_the_server_lives_on(client, people):
    one = client(Limits(body=200_000, workers=1))
    good = people.query.files[0].read_bytes()
    cases = [
        ({"files": upload(jpeg((200, 100))[:900])}, 422, "cannot be read"),
        ({"files": upload(b"x")}, 422, "no image that is known"),
        ({"files": upload(b"")}, 422, "empty"),
        ({"files": upload(b"this is a text\n" * 20)}, 422, "no image that is known"),
        ({"files": upload(bomb())}, 413, "more than 20,000,000 pixels"),
        ({"files": upload(bytes(300_000))}, 413, "larger than 0.19"),
        ({}, 422, "needs one of image, id and path"),
        ({"files": upload(good), "data": {"id": 1}}, 422, "needs one of image, id and path"),
        ({"data": {"image": "no file"}}, 422, "image: "),
        ({"data": {"id": "x"}}, 422, "id: "),
        ({"data": {"id": 10**30}}, 422, "id: "),
        ({"data": {"id": 10**9}}, 404, "has no image 1000000000"),
        ({"data": {"path": "../../etc/passwd"}}, 404, "has no image '../../etc/passwd'"),
        ({"data": {"id": 1, "top_k": 0}}, 422, "top_k: "),
        ({"data": {"id": 1, "top_k": 201}}, 422, "top_k: "),
        ({"data": {"id": 1, "top_k": "many"}}, 422, "top_k: "),
        ({"data": {"id": 1, "camera": "1,2"}}, 422, "camera.0: "),
        ({"data": {"id": 1, "camera": 10**30}}, 422, "camera.0: "),
        ({"data": {"id": 1, "expand": -1}}, 422, "expand: "),
        ({"data": {"id": 1, "candidates": 10**6}}, 422, "candidates: "),
        ({"data": {"id": 1, "prior": 1}}, 422, "prior: "),
        ({"data": {"id": 1, "prior": "nan"}}, 422, "prior: "),
        ({"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}}, None, ""),
        ({"content": b"\xff\xfe", "headers": {"content-type": "multipart/form-data"}}, 400, ""),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, ""),
    ]
    for how, status, message in cases:
        answer = one.post("/search", **how)
        assert 400 <= answer.status_code < 500
        assert message in problem(answer, status or answer.status_code)["error"], how
        assert len(one.post("/search", files=upload(good)).json()["hits"]) == 20
    for where, status in (("/embed", 422), ("/verify", 422), ("/nowhere", 404), ("/health", 405)):
        problem(one.post(where), status)
    for where, status in (("/search", 405), ("/nowhere", 404), ("/image/x", 422), ("/image/-1", 422), (f"/image/{2**63}", 422), ("/image/999", 404), ("/image/1?side=9999", 422), ("/gallery?count=1000", 422)):
        problem(one.get(where), status)
    problem(one.delete("/image/1"), 405)


def test_the_name_of_an_upload_is_never_used(client, people, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    good, one = people.query.files[0].read_bytes(), client()
    answers = [one.post("/search", files=upload(good, name)).json() for name in ("a.jpg", "../../etc/passwd", "/etc/passwd", "a\0b.exe", "x" * 3000, "")[:5]]
    assert all(answer == answers[0] for answer in answers) and sorted(tmp_path.rglob("*")) == before
    assert "passwd" not in one.post("/search", files=upload(b"no image", "../../etc/passwd")).text


def test_no_other_file_is_served(client, people, index, trained, gallery):
    import dataclasses

    one = client()
    outside = dataclasses.replace(gallery.take(np.arange(3)), paths=("/etc/hostname", "../outside.png", f"../{people.gallery.root.name}/{gallery.paths[0]}"))
    index.add(outside)
    numbers = index.by_path(outside.paths).ids.tolist()
    for number in numbers[:2]:
        problem(one.get(f"/image/{number}"), 404)
    assert one.get(f"/image/{numbers[2]}").status_code == 200  # in the folder after all
    for path in ("/image/..%2F..%2Fetc%2Fpasswd", "/static/..%2fapp.py", "/static/../app.py", "/static/app.py", "/static/", "/../../etc/passwd"):
        assert one.get(path).status_code in (404, 422), path


def test_bodies_that_come_in_parts_without_a_length_are_counted(client, people):
    one = client(Limits(body=50_000))
    sent = [0]

    def parts(count: int):
        boundary = b"--x\r\nContent-Disposition: form-data; name=image; filename=a.jpg\r\n\r\n"
        yield boundary
        for _ in range(count):
            sent[0] += 10_000
            yield bytes(10_000)
        yield b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    problem(one.post("/search", content=parts(4), headers=headers), 422)  # small enough, and no image
    assert "larger than" in problem(one.post("/search", content=parts(100), headers=headers), 413)["error"]
    problem(one.post("/search", content=b"x" * 60_000, headers={"content-type": "application/x-www-form-urlencoded"}), 413)


def test_what_fails_inside_is_in_the_log_and_not_in_the_answer(client, service, monkeypatch, people):
    one = client()
    with monkeypatch.context() as patched:
        patched.setattr(service, "search", lambda _: 1 / 0)
        assert problem(one.post("/search", data={"id": 1}), 500) == {"error": "the server failed", "hint": "Its log says why."}
    assert one.post("/search", data={"id": 1}).status_code == 200


def test_when_too_many_ask_the_others_come_again(client, service, monkeypatch):
    one = client(Limits(workers=1, waiting=1))
    gate, usual, answers = threading.Event(), service.search, queue.Queue()

    def slow(question):
        gate.wait(20)
        return usual(question)

    monkeypatch.setattr(service, "search", slow)
    threads = [threading.Thread(target=lambda: answers.put(one.post("/search", data={"id": 1}))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(4):  # one computes, one waits
        answer = answers.get(timeout=20)
        assert "busy" in problem(answer, 503)["error"] and answer.headers["retry-after"] == "1"
    assert one.get("/health").status_code == 200  # who asks how it is does not queue
    gate.set()
    assert [answers.get(timeout=20).status_code for _ in range(2)] == [200, 200]
    for thread in threads:
        thread.join()


def test_every_answer_tells_browsers_what_to_beware_of(client):
    one = client(access=Access(TOKEN, frozenset({"testserver"})))
    for answer in (one.get("/health", headers={"authorization": f"Bearer {TOKEN}"}), one.get("/health"), one.get("/health", headers={"host": "stranger.example"}), one.post("/nowhere")):
        headers = answer.headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY" and headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin" and "access-control-allow-origin" not in headers and headers["cache-control"] == "no-store"


def test_the_token_is_asked_for_everywhere(client):
    access = Access(TOKEN)
    one = client(access=access)
    for path in ("/", "/health", "/docs", "/openapi.json", "/image/1", "/static/page.js", "/nowhere", "/?token=guess"):
        answer = one.get(path)
        assert "token" in problem(answer, 401)["error"] and answer.headers["www-authenticate"] == "Bearer"
    assert problem(one.post("/search", data={"id": 1}), 401)
    assert one.get("/health", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    page = one.get(f"/?token={TOKEN}")
    assert page.status_code == 200 and "HttpOnly" in page.headers["set-cookie"] and "SameSite=Strict" in page.headers["set-cookie"] and TOKEN not in page.headers["set-cookie"]
    assert one.get("/health").status_code == 200  # the client has kept the cookie


def test_requests_for_another_name_or_from_another_page_are_refused(client):
    one = client()
    problem(one.get("/health", headers={"host": "stranger.example"}), 403)
    problem(one.post("/search", data={"id": 1}, headers={"origin": "http://stranger.example"}), 403)
    assert one.post("/search", data={"id": 1}, headers={"origin": "http://testserver"}).status_code == 200
    assert one.options("/search", headers={"origin": "http://stranger.example", "access-control-request-method": "POST"}).status_code == 403


def test_the_page_and_all_that_it_is_made_of_come_from_here(client):
    import re

    one = client()
    page = one.get("/")
    assert page.headers["content-type"].startswith("text/html")
    parts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(parts) == 3
    texts = [page.text, *(one.get(part).raise_for_status().text for part in parts)]
    assert not any(re.search(r"https?://(?!www\.w3\.org/)|@import|url\(", text) for text in texts)
    texts += [one.get(f"/static/{name}").raise_for_status().text for name in re.findall(r'from "\./([^"]+)"', texts[-1])]
    assert len(texts) == 8
    assert not any(word in text for text in texts for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval("))
    assert not re.search(r"<[^>]+\son\w+=|<style|style=|<script(?! type=\"module\" src=)", page.text)  # the policy would not let these be


def test_the_api_is_described(client):
    one = client()
    api = one.get("/openapi.json").json()
    assert set(api["paths"]) == {"/embed", "/search", "/verify", "/health", "/gallery", "/image/{id}"}
    docs = one.get("/docs")
    assert docs.headers["content-type"].startswith("text/html") and all(path in docs.text for path in api["paths"]) and "cdn" not in docs.text
    assert f"{str(one.base_url).rstrip('/')}/search" in docs.text


def test_an_upload_larger_than_memory_keeps_is_whole(client, trained, tmp_path):
    """Forms keep a megabyte in memory and the rest in a file of theirs."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 600, 3), dtype=np.uint8)).save(stream, "PNG")
    assert len(stream.getvalue()) > 1 << 20
    (tmp_path / "large.png").write_bytes(stream.getvalue())
    answer = client().post("/embed", files=upload(stream.getvalue())).json()
    np.testing.assert_allclose(answer["vector"], trained.embed([tmp_path / "large.png"])[0], rtol=1e-6)
