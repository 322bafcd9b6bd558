"""A walking body as points in space, seen from somewhere.

Space has three axes in units of the body's height: to the person's left, up, and forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .people import Person

ANKLE, HIP, SHOULDER, NECK, HEAD = 0.04, 0.52, 0.815, 0.855, 0.925
THIGH, SHIN, UPPER_ARM, FOREARM = 0.245, 0.24, 0.165, 0.155


@dataclass(frozen=True)
class View:
    """Where the camera sees somebody from, and where on the canvas.

    Args:
        yaw: direction of walking in radians: 0 towards the camera, pi/2 to the right, pi away.
        pitch: how far the camera looks down, in radians.
        size: pixels of one body height.
        foot: canvas point ``(x, y)`` between the feet on the ground.
        phase: of the walk, in radians.
        swing: how far arms and legs swing; 0 stands still.
    """

    yaw: float
    pitch: float
    size: float
    foot: tuple[float, float]
    phase: float
    swing: float

    def project(self, point: np.ndarray) -> np.ndarray:
        """Canvas points ``(..., 2)`` of points in space ``(..., 3)``."""
        left, up, forward = point[..., 0], point[..., 1], point[..., 2]
        across = left * np.cos(self.yaw) + forward * np.sin(self.yaw)
        down = self.nearness(point) * np.sin(self.pitch) - up * np.cos(self.pitch)
        return np.stack([self.foot[0] + self.size * across, self.foot[1] + self.size * down], axis=-1)

    def nearness(self, point: np.ndarray) -> np.ndarray:
        """How much nearer to the camera than the body's axis."""
        return point[..., 2] * np.cos(self.yaw) - point[..., 0] * np.sin(self.yaw)

    def half_width(self, across: float, deep: float) -> float:
        """Half the width in pixels of an upright ellipse with these half axes to the side and forward."""
        return self.size * float(np.hypot(across * np.cos(self.yaw), deep * np.sin(self.yaw)))


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joints in space: ``legs`` and ``arms`` are ``(2, 3, 3)``: right and left; hip, knee, ankle or shoulder, elbow, wrist."""

    legs: np.ndarray
    arms: np.ndarray


def _turned(angle: float | np.ndarray) -> np.ndarray:
    """Unit vector that hangs down at angle 0 and swings forward with it."""
    return np.array([0.0, -np.cos(angle), np.sin(angle)])


def skeleton(person: Person, view: View) -> Skeleton:
    """The joints at one moment of the walk; the lower foot stands on the ground."""
    legs, arms = np.zeros((2, 3, 3)), np.zeros((2, 3, 3))
    for side, sign in enumerate((-1, 1)):
        phase = view.phase + np.pi * side
        thigh = 0.44 * view.swing * person.stride * np.sin(phase) + 0.04
        flexed = 0.1 + 0.85 * view.swing * max(0.0, np.cos(phase)) ** 1.5
        legs[side, 0] = (sign * 0.052 * person.build, HIP, 0.0)
        legs[side, 1] = legs[side, 0] + THIGH * person.legs * _turned(thigh)
        legs[side, 2] = legs[side, 1] + SHIN * person.legs * _turned(thigh - flexed)
        swing = -0.45 * view.swing * np.sin(phase)
        spread = sign * (0.12 * person.build * person.shoulders)
        arms[side, 0] = (spread, SHOULDER - 0.012, 0.0)
        arms[side, 1] = arms[side, 0] + UPPER_ARM * _turned(swing) + (sign * 0.022, 0, 0)
        arms[side, 2] = arms[side, 1] + FOREARM * _turned(swing + 0.2 + 0.35 * view.swing) + (sign * 0.004, 0, 0)
    legs[:, :, 1] += ANKLE - legs[:, 2, 1].min()
    # The trunk stays where its proportions put it, so hips join it at one height however the legs stand.
    legs[:, 0, 1] = HIP
    return Skeleton(legs, arms)
