"""A misspelt field is no default without a word."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"top-k": 3}, ("there is no field 'top-k'", "Did you mean top_k?")),
        ({"metric": "cosine"}, ("there is no field 'metric'", "It takes camera, candidates, expand, id, image, path, prior, rerank, top_k.")),
    ],
)
def test_a_field_of_a_form_that_nobody_knows_is_named(client, people, fields, told):
    answer = client().post("/search", files={"image": people.query.files[0].read_bytes()}, data=fields)
    assert answer.status_code == 422 and tuple(answer.json().values()) == told


def test_a_file_under_another_name(client, people):
    answer = client().post("/embed", files={"file": people.query.files[0].read_bytes()})
    assert answer.status_code == 422 and answer.json()["error"] == "there is no field 'file'"


def test_a_field_of_a_link(client):
    one = client()
    answer = one.get("/gallery", params={"cuont": 5})
    assert (answer.status_code, answer.json()["hint"]) == (422, "Did you mean count?")
    answer = one.post("/search", params={"top_k": 3}, data={"id": 0})
    assert answer.status_code == 422 and answer.json() == {"error": "'top_k' stands in the link", "hint": "Send it as a field of the form."}
    assert one.get("/", params={"token": "any"}).status_code == 200
