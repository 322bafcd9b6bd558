"""A walking body as points in space, seen from somewhere.

Space has three axes in units of the body's height: to the person's left, up, and forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, hypot, pi, sin

from .people import Person

ANKLE, HIP, SHOULDER, NECK, HEAD = 0.04, 0.52, 0.812, 0.85, 0.918
THIGH, SHIN, UPPER_ARM, FOREARM = 0.245, 0.24, 0.165, 0.15

Joint = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """Where the camera sees somebody from, and where on the canvas.

    Args:
        yaw: direction of walking in radians: 0 towards the camera, pi/2 to the right, pi away.
        pitch: how far the camera looks down, in radians.
        size: pixels of one body height.
        foot: canvas point between the feet on the ground.
        phase: of the walk, in radians.
        swing: how far arms and legs swing; 0 stands still.
    """

    yaw: float
    pitch: float
    size: float
    foot: complex
    phase: float
    swing: float

    @cached_property
    def front(self) -> float:
        """Cosine of the yaw: 1 where the face looks at the camera, -1 where the back does."""
        return cos(self.yaw)

    @cached_property
    def side(self) -> float:
        """Sine of the yaw: 1 where somebody walks to the right."""
        return sin(self.yaw)

    def __call__(self, left: float, up: float, forward: float) -> complex:
        """Canvas point of a point in space."""
        across = left * self.front + forward * self.side
        down = self.nearness(left, forward) * sin(self.pitch) - up * cos(self.pitch)
        return self.foot + self.size * complex(across, down)

    def nearness(self, left: float, forward: float) -> float:
        """How much nearer to the camera than the body's axis."""
        return forward * self.front - left * self.side

    def half_width(self, across: float, deep: float) -> float:
        """Half the width in pixels of an upright elliptic column with these half axes to the side and forward."""
        return self.size * hypot(across * self.front, deep * self.side)


@dataclass(frozen=True)
class Skeleton:
    """Joints in space, right and left: hip, knee and ankle; shoulder, elbow and wrist."""

    legs: tuple[tuple[Joint, Joint, Joint], tuple[Joint, Joint, Joint]]
    arms: tuple[tuple[Joint, Joint, Joint], tuple[Joint, Joint, Joint]]


def skeleton(person: Person, view: View) -> Skeleton:
    """The joints at one moment of the walk."""
    legs = _leg(person, view, -1, 0.0), _leg(person, view, 1, pi)
    # The lower foot is put on the ground; the hips stay where the trunk ends, whatever the legs do.
    lift = ANKLE - min(legs[0][2][1], legs[1][2][1])
    right, left = (
        ((hip[0], HIP, hip[2]), (knee[0], knee[1] + lift, knee[2]), (ankle[0], ankle[1] + lift, ankle[2]))
        for hip, knee, ankle in legs
    )
    return Skeleton((right, left), (_arm(person, view, -1, 0.0), _arm(person, view, 1, pi)))


def _hanging(joint: Joint, length: float, angle: float, aside: float = 0.0) -> Joint:
    """The end of a bone that hangs from ``joint``, straight down at angle 0 and forward with it."""
    return joint[0] + aside, joint[1] - length * cos(angle), joint[2] + length * sin(angle)


def _leg(person: Person, view: View, side: int, shift: float) -> tuple[Joint, Joint, Joint]:
    phase = view.phase + shift
    thigh = 0.42 * view.swing * person.stride * sin(phase) + 0.04
    bent = 0.1 + 0.8 * view.swing * max(0.0, cos(phase)) ** 1.5
    hip = side * 0.046 * person.build, HIP, 0.0
    knee = _hanging(hip, THIGH * person.legs, thigh)
    return hip, knee, _hanging(knee, SHIN * person.legs, thigh - bent)


def _arm(person: Person, view: View, side: int, shift: float) -> tuple[Joint, Joint, Joint]:
    swing = -0.45 * view.swing * sin(view.phase + shift)
    shoulder = side * 0.096 * person.build * person.shoulders, SHOULDER - 0.02, 0.0
    elbow = _hanging(shoulder, UPPER_ARM, swing, side * 0.026)
    return shoulder, elbow, _hanging(elbow, FOREARM, swing + 0.2 + 0.35 * view.swing, side * 0.003)
