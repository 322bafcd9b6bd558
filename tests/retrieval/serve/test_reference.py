"""The REST API as a page."""

from __future__ import annotations

from html.parser import HTMLParser

from reid_srdl.retrieval.serve import reference

API = {
    "info": {"title": "A <server>", "version": "1", "description": "Says `this` & that."},
    "paths": {
        "/ask": {
            "post": {
                "description": "Asks.",
                "requestBody": {"content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/Body_ask"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Told"}}}}, "404": {}},
            }
        },
        "/see/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 9}}]}},
    },
    "components": {
        "schemas": {
            "Body_ask": {
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "contentMediaType": "application/octet-stream"},
                    "often": {"type": "array", "items": {"type": "integer"}},
                    "again": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": 0.5, "description": "<how> often"},
                    "sure": {"type": "boolean", "default": False},
                },
            },
            "Told": {"description": "What is told.\n\nMore.", "properties": {"hits": {"type": "array", "items": {"$ref": "#/components/schemas/Told"}}}},
        }
    },
}


class Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "id")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data.split()


def test_all_that_a_route_takes_and_answers_stands_there():
    page = Text(reference.page(API, "http://gallery:8123/"))
    told = " ".join(page.words)
    assert "A <server>" in told and "POST /ask" in told and "GET /see/{id}" in told and not page.open
    for words in ("image form file", "often optional form list of integer", "again optional form number 0.5 <how> often", "sure optional form boolean false", "id path integer 1 to 9"):
        assert words in told, words
    assert "Answers: 200 Told, 404" in told.replace(" ,", ",") and "What is told. type default hits list of Told" in told and "Body_ask" not in told
    assert "curl -F image=@image.jpg http://gallery:8123/ask" in told and "curl http://gallery:8123/see/17" in told


def test_nothing_is_fetched_from_elsewhere():
    assert all(link.startswith(("/", "#")) or link == "Told" for link in Text(reference.page(API, "http://gallery:8123/")).links)


def test_where_a_token_is_asked_for_the_examples_send_it():
    assert " ".join(Text(reference.page(API, "http://gallery:8123", token=True)).words).count('curl -H "Authorization: Bearer $REID_TOKEN"') == 2
