"""The frame of a self-contained page: its head, its colours in light and dark, and the policy that forbids it to fetch anything."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable
from html import escape

from .. import __version__
from ..pictures import FRAMES
from . import drawing


def document(title: str, header: str, sections: Iterable[str], *, footer: str, scripts: bool = False) -> str:
    """The HTML of a page.

    Args:
        title: in plain text.
        header: HTML above the sections.
        sections: HTML of each; empty ones are left out.
        footer: HTML that follows the version that wrote the page.
        scripts: whether scripts inside the page may run.
    """
    css = importlib.resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'" + ("; script-src 'unsafe-inline'" if scripts else "")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)} – reid_srdl</title>\n<style>\n{_colours()}{css}</style>\n</head>\n<body>\n{header}\n<main>\n"
        + "\n".join(filter(None, sections))
        + f"\n</main>\n<footer>Written by reid_srdl {escape(__version__)}{footer}</footer>\n</body>\n</html>\n"
    )


def _colours() -> str:
    chosen = {"paper": ("#ffffff", "#14181e"), "rule": ("#d9dee5", "#39414d"), **drawing.COLOURS}
    for frame in ("match", "mistake", "distractor"):
        colour = "#{:02x}{:02x}{:02x}".format(*FRAMES[frame])
        chosen[frame] = (colour, colour)
    light, dark = ("; ".join(f"--{name}: {colours[theme]}" for name, colours in chosen.items()) for theme in (0, 1))
    return f":root {{ color-scheme: light dark; {light}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}; }} }}\n"
