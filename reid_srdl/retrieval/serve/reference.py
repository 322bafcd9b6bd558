"""The REST API as a page: what ``/openapi.json`` says, as HTML that a machine without internet access can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ...report.html import table

Schema = Mapping[str, Any]


def page(api: Schema, address: str, token: bool = False) -> str:
    """The HTML of a page.

    Args:
        api: an OpenAPI document.
        address: of the server, as the reader's browser reached it: ``http://HOST:PORT``.
        token: whether it asks for one.
    """
    asked = ["curl", *(['-H "Authorization: Bearer $REID_TOKEN"'] if token else [])]
    schemas = api.get("components", {}).get("schemas", {})
    routes = [_route(method, path, route, schemas, asked, address.rstrip("/")) for path, methods in api["paths"].items() for method, route in methods.items()]
    shapes = [_shape(name, schema) for name, schema in schemas.items() if not name.startswith(("Body_", "HTTPValidation", "ValidationError"))]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="/static/icon.svg">\n<link rel="stylesheet" href="/static/page.css">\n'
        f"<title>REST API – {escape(api['info']['title'])}</title>\n</head>\n<body class=\"reference\">\n<header>\n<p class=\"kind\">REST API</p>\n"
        f"<h1>{escape(api['info']['title'])}</h1>\n<p class=\"lead\">{_words(api['info'].get('description', ''))}</p>\n"
        '<p><a href="/">The page</a> · <a href="/openapi.json">OpenAPI as JSON</a></p>\n</header>\n<main>\n'
        + "\n".join(routes)
        + "\n<h2>Answers</h2>\n"
        + "\n".join(shapes)
        + f"\n</main>\n<footer>reid_srdl {escape(api['info']['version'])}</footer>\n</body>\n</html>\n"
    )


def _route(method: str, path: str, route: Schema, schemas: Schema, asked: list[str], address: str) -> str:
    taken = list(_taken(route, schemas))
    parts = [f"<h2><code>{method.upper()} {escape(path)}</code></h2>", f"<p>{_words(route.get('description', ''))}</p>"]
    if taken:
        parts.append(table(("", "where", "type", "default", ""), [[_name(name, needed), where, *_typed(schema)] for name, where, needed, schema in taken]))
    parts.append(f"<pre>{escape(_example(path, taken, asked, address))}</pre>")
    answers = ", ".join(f"{status}{_answer(answer)}" for status, answer in route.get("responses", {}).items())
    return "<section>\n" + "\n".join([*parts, f'<p class="note">Answers: {answers}</p>']) + "\n</section>"


def _taken(route: Schema, schemas: Schema) -> Iterator[tuple[str, str, bool, Schema]]:
    """(name, where it stands, whether it is needed, its schema) of all that a route takes."""
    for one in route.get("parameters", []):
        yield one["name"], one["in"], bool(one.get("required")), {"description": one.get("description", ""), **one["schema"]}
    for content in route.get("requestBody", {}).get("content", {}).values():
        body = _resolved(content["schema"], schemas)
        for name, schema in body["properties"].items():
            yield name, "form", name in body.get("required", []), schema


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    schema = schema["allOf"][0] if len(schema.get("allOf", [])) == 1 else schema
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _shape(name: str, schema: Schema) -> str:
    rows = [[_name(field, True), *_typed(one)] for field, one in schema.get("properties", {}).items()]
    told = escape(schema.get("description", "").split("\n")[0])
    return f'<section>\n<h3 id="{escape(name)}">{escape(name)}</h3>\n<p>{told}</p>\n' + table(("", "type", "default", ""), rows) + "\n</section>"


def _name(name: str, needed: bool) -> str:
    return f'<th scope="row"><code>{escape(name)}</code>{"" if needed else "<small>optional</small>"}</th>'


def _typed(schema: Schema) -> list[str]:
    """Cells: type with its bounds, default, and what it means."""
    default = schema.get("default")
    shown = "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
    return [_type(schema), escape(shown), _words(schema.get("description", ""))]


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = "file" if schema.get("contentMediaType") or schema.get("format") == "binary" else str(schema.get("type", "object"))
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum", schema.get("exclusiveMaximum"))
    bounds = f" {low:g} to {high:g}" if low is not None and high is not None and abs(high) < 2**53 else ""
    return escape(kind + bounds)


def _answer(answer: Schema) -> str:
    schema = next((content.get("schema", {}) for content in answer.get("content", {}).values()), {})
    return f" {_type(schema)}" if "$ref" in schema else ""


def _example(path: str, taken: list[tuple[str, str, bool, Schema]], asked: list[str], address: str) -> str:
    """A command line to paste; ``asked`` are its first words."""
    files = [name for name, where, needed, schema in taken if where == "form" and _type(schema) == "file" and (needed or name == "image")]
    words = [*asked, *(f"-F {name}=@{name}.jpg" for name in files)]
    path = path.replace("{id}", "17")
    return " ".join([*words, f"{address}{path}", *(["-o picture.jpg"] if path.startswith("/image") else [])])


def _words(text: str) -> str:
    """Escaped; what stands in backquotes becomes code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
