"""An identity: body, skin, hair, clothes and luggage; everything that stays the same from camera to camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .clothes import COLOURS, Outfit, Wardrobe, pick_colour
from .draw import Colour

SKINS: tuple[Colour, ...] = (
    (238, 202, 178),
    (226, 184, 152),
    (208, 162, 126),
    (176, 128, 92),
    (128, 88, 62),
    (86, 60, 46),
)
HAIRS: tuple[Colour, ...] = (
    (24, 20, 20),
    (30, 26, 26),
    (44, 32, 26),
    (70, 48, 34),
    (112, 78, 48),
    (184, 146, 84),
    (122, 122, 126),
    (122, 54, 30),
)
HAIR_STYLES = ("short", "short", "short", "bob", "long", "long", "ponytail", "bun", "bald")
HATS = (None, None, None, None, None, None, "cap", "beanie", "brim")
BAGS = (None, None, None, "backpack", "backpack", "shoulder", "cross", "hand")
SHOES: tuple[Colour, ...] = (
    (28, 28, 30),
    (28, 28, 30),
    (228, 228, 226),
    (228, 228, 226),
    (106, 74, 50),
    (180, 44, 48),
    (60, 84, 140),
)


@dataclass(frozen=True, eq=False)
class Person:
    """One identity. Sizes are factors on those of an average body.

    Args:
        outfit_numbers: top and bottom in the wardrobe; people with the same numbers wear the same.
        build: width of the body.
        shoulders: width of the shoulders in relation to that of the hips.
        legs: length of the legs.
        head: size of the head.
        belly: depth of the waist.
        stride: length of the step.
        hand: side that a bag hangs from, -1 right or 1 left.
    """

    outfit: Outfit
    outfit_numbers: tuple[int, int]
    build: float
    shoulders: float
    legs: float
    head: float
    belly: float
    stride: float
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str | None
    hat_colour: Colour
    bag: str | None
    bag_colour: Colour
    bag_size: float
    shoes: Colour
    hand: int


def person(random: np.random.Generator, wardrobe: Wardrobe) -> Person:
    """A random person, dressed from the wardrobe."""
    numbers = wardrobe.pick(random)
    outfit = wardrobe.outfit(numbers)
    slender = outfit.bottom.kind in ("skirt", "long skirt") or random.random() < 0.4
    style = HAIR_STYLES[random.integers(3, 8)] if slender else HAIR_STYLES[random.integers(len(HAIR_STYLES))]
    return Person(
        outfit=outfit,
        outfit_numbers=numbers,
        build=float(np.clip(random.normal(0.95 if slender else 1.05, 0.1), 0.8, 1.35)),
        shoulders=float(random.normal(0.92 if slender else 1.04, 0.04)),
        legs=float(random.normal(1.0, 0.03)),
        head=float(random.normal(1.02, 0.05)),
        belly=float(np.clip(random.normal(1.0, 0.15), 0.75, 1.5)),
        stride=float(random.uniform(0.8, 1.15)),
        skin=SKINS[random.integers(len(SKINS))],
        hair=HAIRS[random.integers(len(HAIRS))],
        hair_style=style,
        hat=HATS[random.integers(len(HATS))],
        hat_colour=pick_colour(random, COLOURS),
        bag=BAGS[random.integers(len(BAGS))],
        bag_colour=pick_colour(random, COLOURS),
        bag_size=float(random.uniform(0.8, 1.2)),
        shoes=SHOES[random.integers(len(SHOES))],
        hand=1 if random.random() < 0.5 else -1,
    )
