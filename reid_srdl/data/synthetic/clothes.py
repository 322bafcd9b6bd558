"""Outfits, drawn from a pool small enough that different people share garments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .draw import TILE, Colour, Paint

# Streets are mostly dark and dull; only some clothes are loud. The numbers are weights.
COLOURS: dict[str, tuple[Colour, float]] = {
    "black": ((32, 32, 36), 5),
    "charcoal": ((66, 67, 72), 3),
    "grey": ((128, 128, 130), 3),
    "light grey": ((186, 187, 190), 2),
    "white": ((232, 232, 230), 4),
    "navy": ((34, 42, 78), 3),
    "denim": ((66, 92, 136), 2),
    "sky": ((128, 172, 216), 2),
    "royal": ((36, 72, 176), 1.5),
    "teal": ((28, 118, 122), 1),
    "green": ((44, 128, 66), 1.5),
    "olive": ((96, 98, 56), 1.5),
    "khaki": ((176, 158, 118), 2),
    "brown": ((98, 68, 48), 1.5),
    "red": ((188, 38, 44), 2),
    "maroon": ((104, 30, 44), 1.5),
    "pink": ((226, 142, 168), 1.5),
    "purple": ((104, 62, 140), 1),
    "orange": ((226, 122, 40), 1),
    "yellow": ((230, 202, 72), 1.5),
}
LEG_COLOURS: dict[str, tuple[Colour, float]] = {
    "black": ((34, 34, 38), 5),
    "charcoal": ((70, 70, 76), 2),
    "grey": ((130, 130, 132), 2),
    "navy": ((38, 44, 74), 3),
    "denim": ((62, 86, 128), 5),
    "pale denim": ((126, 150, 182), 3),
    "khaki": ((172, 154, 116), 2),
    "olive": ((88, 90, 58), 1),
    "brown": ((92, 66, 48), 1),
    "white": ((224, 224, 222), 1.5),
    "red": ((160, 40, 48), 0.7),
}

TOPS = ("t-shirt", "t-shirt", "t-shirt", "vest", "shirt", "jumper", "jumper", "jacket", "jacket", "hoodie", "coat")
BOTTOMS = ("trousers", "trousers", "trousers", "trousers", "slim", "slim", "shorts", "shorts", "skirt", "long skirt")
PATTERNS = (
    "plain",
    "plain",
    "plain",
    "plain",
    "stripes",
    "thin stripes",
    "pinstripes",
    "checks",
    "dots",
    "blocks",
    "band",
)


@dataclass(frozen=True, eq=False)
class Top:
    """What is worn on the upper body.

    Args:
        kind: one of ``TOPS``.
        paint: the cloth of the trunk.
        colour: the main colour of that cloth.
        sleeve: the cloth of the sleeves; on some tops of another colour.
        second: the second colour: of the pattern, a yoke or a band.
        inner: the colour that shows where a jacket or coat is open; None where it is closed.
        blocks: None, ``yoke`` (shoulders in the second colour) or ``band`` (across the chest).
        print_front: a print on the chest: None, ``disc``, ``box`` or ``words``.
        print_back: the same for the back.
    """

    kind: str
    paint: Paint
    colour: Colour
    sleeve: Paint
    second: Colour
    inner: Colour | None
    blocks: str | None
    print_front: str | None
    print_back: str | None

    @property
    def sleeve_length(self) -> float:
        """How far the sleeves reach: 0 the shoulder, 1 the elbow, 2 the wrist."""
        return {"vest": 0.0, "t-shirt": 0.65}.get(self.kind, 1.95)

    @property
    def hem(self) -> float:
        """Height of the lower edge, as a fraction of the body height."""
        return {"coat": 0.345, "jumper": 0.475, "vest": 0.49}.get(self.kind, 0.462)

    @property
    def looseness(self) -> float:
        """Width as a multiple of the body's."""
        return {"vest": 0.96, "t-shirt": 1.03, "shirt": 1.04, "jumper": 1.08}.get(self.kind, 1.14)


@dataclass(frozen=True, eq=False)
class Bottom:
    """What is worn on the legs. ``kind`` is one of ``BOTTOMS``, ``stripe`` the colour of a seam down the side (None: no such seam)."""

    kind: str
    paint: Paint
    colour: Colour
    stripe: Colour | None

    @property
    def length(self) -> float:
        """How far the legs of trousers reach: 0 the hip, 1 the knee, 2 the ankle."""
        return {"shorts": 0.85, "skirt": 0.0, "long skirt": 0.0}.get(self.kind, 1.93)


@dataclass(frozen=True, eq=False)
class Outfit:
    top: Top
    bottom: Bottom


@dataclass(frozen=True, eq=False)
class Wardrobe:
    """The pool that everybody's clothes come from; a uniform is a top and a bottom that several people wear together."""

    tops: tuple[Top, ...]
    bottoms: tuple[Bottom, ...]
    uniforms: tuple[tuple[int, int], ...]

    def pick(self, random: np.random.Generator) -> tuple[int, int]:
        """Numbers of a top and of a bottom."""
        if random.random() < 0.14:
            return self.uniforms[random.integers(len(self.uniforms))]
        return int(random.integers(len(self.tops))), int(random.integers(len(self.bottoms)))

    def outfit(self, numbers: tuple[int, int]) -> Outfit:
        return Outfit(self.tops[numbers[0]], self.bottoms[numbers[1]])


def wardrobe(random: np.random.Generator, people: int) -> Wardrobe:
    """A pool for that many people: two or three share each top, four or five each bottom."""
    tops = tuple(_top(random) for _ in range(max(6, round(people / 2.5))))
    bottoms = tuple(_bottom(random) for _ in range(max(4, round(people / 4.5))))
    uniforms = tuple((int(random.integers(len(tops))), int(random.integers(len(bottoms)))) for _ in range(3))
    return Wardrobe(tops, bottoms, uniforms)


def pick_colour(random: np.random.Generator, palette: dict[str, tuple[Colour, float]]) -> Colour:
    """A colour by the palette's weights, a little off its centre."""
    weights = np.array([weight for _, weight in palette.values()])
    colour, _ = list(palette.values())[random.choice(len(weights), p=weights / weights.sum())]
    red, green, blue = np.clip(np.array(colour) + random.normal(0, 7, 3), 8, 246).round().astype(int).tolist()
    return red, green, blue


def _other_colour(random: np.random.Generator, than: Colour) -> Colour:
    while True:
        colour = pick_colour(random, COLOURS)
        if np.abs(np.array(colour) - than).sum() > 150:
            return colour


def _top(random: np.random.Generator) -> Top:
    kind = TOPS[random.integers(len(TOPS))]
    colour = pick_colour(random, COLOURS)
    second = _other_colour(random, colour)
    pattern = PATTERNS[random.integers(len(PATTERNS))]
    if kind in ("jacket", "coat", "hoodie") and pattern not in ("plain", "blocks", "band"):
        pattern = "plain"
    raglan = kind in ("t-shirt", "jumper", "jacket") and pattern == "plain" and random.random() < 0.25
    prints = pattern == "plain" and kind in ("t-shirt", "jumper", "hoodie", "jacket", "vest")
    return Top(
        kind=kind,
        paint=cloth(colour, second, pattern),
        colour=colour,
        sleeve=second if raglan else cloth(colour, second, pattern),
        second=second,
        inner=_other_colour(random, colour) if kind in ("jacket", "coat") and random.random() < 0.7 else None,
        blocks={"blocks": "yoke", "band": "band"}.get(pattern),
        print_front=(None, "disc", "box", "words")[random.integers(4)] if prints and kind != "jacket" else None,
        print_back=(None, None, "box", "words")[random.integers(4)] if prints else None,
    )


def _bottom(random: np.random.Generator) -> Bottom:
    kind = BOTTOMS[random.integers(len(BOTTOMS))]
    skirt = kind in ("skirt", "long skirt")
    colour = pick_colour(random, COLOURS if skirt else LEG_COLOURS)
    second = _other_colour(random, colour)
    pattern = "plain"
    if skirt or kind == "shorts":
        pattern = ("plain", "plain", "checks", "dots", "thin stripes")[random.integers(5)]
    stripe = second if kind in ("trousers", "shorts") and random.random() < 0.2 else None
    return Bottom(kind, cloth(colour, second, pattern), colour, stripe)


def cloth(colour: Colour, second: Colour, pattern: str) -> Paint:
    """The periodic texture of a pattern, or the colour itself where there is none."""
    if pattern in ("plain", "blocks", "band"):
        return colour
    rows, columns = np.mgrid[0:TILE, 0:TILE]
    share = np.zeros((TILE, TILE), dtype=np.float32)
    if pattern == "stripes":
        share[(rows % 24) < 12] = 1
    elif pattern == "thin stripes":
        share[(rows % 12) < 4] = 1
    elif pattern == "pinstripes":
        share[(columns % 12) < 4] = 0.9
    elif pattern == "checks":
        share = 0.5 * ((rows % 24) < 11) + 0.5 * ((columns % 24) < 11)
    elif pattern == "dots":
        offset = columns + 8 * ((rows // 16) % 2)
        share[((rows % 16) - 8) ** 2 + ((offset % 16) - 8) ** 2 < 20] = 1
    else:
        raise ValueError(f"no such pattern: {pattern}")
    tile = np.full((TILE, TILE, 4), 255, dtype=np.uint8)
    tile[..., :3] = np.rint(share[..., None] * second + (1 - share[..., None]) * np.array(colour))
    return np.tile(tile, (3, 3, 1))
