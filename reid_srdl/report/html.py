"""Pieces of HTML that the sections of the page share; the classes are those of ``page.css``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(filter(None, parts)) + "\n</section>"


def missing(what: str, command: str) -> str:
    """A note on what is missing, with the command that makes it."""
    return f'<p class="missing">{escape(what)}<code>{escape(command)}</code></p>'


def figure(svg: bytes, title: str, words: str) -> str:
    return f"<figure>\n<figcaption><b>{escape(title)}</b>{escape(words)}</figcaption>\n{svg.decode()}\n</figure>"


def figures(parts: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    return '<div class="figures">\n' + "\n".join(parts) + "\n</div>"


def beside(one: str, other: str) -> str:
    """Two pieces side by side where there is room."""
    return f'<div class="beside">\n{one}\n<div>{other}</div>\n</div>'


def named(name: str, meaning: str = "") -> str:
    """The first cell of a row: its name, and its meaning in small print."""
    small = f"<small>{escape(meaning)}</small>" if meaning else ""
    return f'<th scope="row">{escape(name)}{small}</th>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that can be scrolled sideways.

    Args:
        head: names of the columns; empty for a table without them.
        rows: the cells of each as HTML: the first made by ``named``, the others without their ``<td>``.
    """
    top = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<th></th>" for name in head)
    lines = "".join(f"<tr>{first}{''.join(f'<td>{cell}</td>' for cell in others)}</tr>" for first, *others in rows)
    names = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="wide"><table>{names}<tbody>{lines}</tbody></table></div>'


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}<small> %</small>"
