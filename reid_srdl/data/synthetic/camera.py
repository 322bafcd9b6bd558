"""What a camera does to a picture: light, colour, blur, noise and compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .draw import smooth_noise

_NOISE = 256
_LEVELS = np.linspace(0, 1, 256)[:, None]


@dataclass(frozen=True, eq=False)
class Camera:
    """The properties of one camera.

    Args:
        gain: factor of red, green and blue: the colour cast.
        gamma: above 1 darkens the middle tones.
        contrast: factor on the distance from mid-grey.
        saturation: 0 is black and white.
        haze: grey level that is added to black, 0 to 255.
        blur: standard deviation of the blur, in pixels of the final image.
        sharpness: share of the final resolution that the sensor really has.
        noise: standard deviation of the sensor noise, in grey levels.
        quality: JPEG quality, 1 to 100.
        pitch: how far it looks down, in radians.
        headings: directions that people walk in before it, in radians as in ``View.yaw``.
        crowd: chance that something or somebody stands in the way.
        grain: a sheet of noise of unit variance, of which each shot takes a piece.
    """

    gain: tuple[float, float, float]
    gamma: float
    contrast: float
    saturation: float
    haze: float
    blur: float
    sharpness: float
    noise: float
    quality: int
    pitch: float
    headings: tuple[float, ...]
    crowd: float
    grain: np.ndarray


def camera(number: int, random: np.random.Generator) -> Camera:
    """Camera ``number``. The colour casts lie around the colour circle, so that no two cameras show a colour alike."""
    hue = 2 * np.pi * (number * 0.382 + random.uniform(-0.06, 0.06))
    strength = random.uniform(0.08, 0.2)
    brightness = (1.08, 0.8, 1.15, 0.95, 0.72, 1.0)[number % 6]
    gain = brightness * (1 + strength * np.cos(hue + np.array([0.0, 2.094, 4.189])))
    first = (0.0, np.pi / 2, np.pi, 0.6, -np.pi / 2, 2.5)[number % 6]
    fine = random.standard_normal((_NOISE, _NOISE, 3)).astype(np.float32)
    coarse = smooth_noise(random, _NOISE, _NOISE, 3)[..., None]
    return Camera(
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        gamma=float((1.0, 0.78, 1.2, 0.9, 1.08, 1.32)[number % 6] * random.uniform(0.95, 1.05)),
        contrast=float(random.uniform(0.78, 1.12)),
        saturation=float(random.uniform(0.6, 1.1)),
        haze=float(random.uniform(0, 24)),
        blur=float(random.uniform(0.1, 0.7)),
        sharpness=float((1.0, 0.75, 1.0, 0.62, 0.85, 1.0)[number % 6]),
        noise=float(random.uniform(2.5, 7.5)),
        quality=int(random.integers(70, 93)),
        pitch=float(random.uniform(0.1, 0.32)),
        headings=(first, first + np.pi, float(random.uniform(-np.pi, np.pi))),
        crowd=float(random.uniform(0.1, 0.3)),
        grain=0.85 * fine + 0.5 * coarse,
    )


@dataclass(frozen=True)
class Light:
    """The light of one minute: what the shots of one walk past a camera have in common.

    Args:
        exposure: factor on all channels.
        tint: factor on red, green and blue.
        gamma: factor on the camera's own.
        across: how much brighter the right edge is than the middle, as a fraction.
        down: the same for the lower edge.
    """

    exposure: float
    tint: tuple[float, float, float]
    gamma: float
    across: float
    down: float


def light(random: np.random.Generator) -> Light:
    red, green, blue = random.uniform(0.95, 1.05, 3)
    return Light(
        exposure=float(random.uniform(0.82, 1.18)),
        tint=(float(red), float(green), float(blue)),
        gamma=float(random.uniform(0.88, 1.14)),
        across=float(random.normal(0, 0.1)),
        down=float(random.normal(0, 0.12)),
    )


def develop(
    lens: Camera, sun: Light, scene: np.ndarray, size: tuple[int, int], random: np.random.Generator
) -> np.ndarray:
    """The camera's picture of ``scene``, a uint8 crop ``(h, w, 3 or 4)`` of a canvas.

    Returns:
        RGB uint8 ``(*size, 3)``.
    """
    height, width = size
    coarse = (max(8, round(width * lens.sharpness)), max(16, round(height * lens.sharpness)))
    # Canvases are about twice as large as pictures; at that factor linear interpolation is as good as averaging, and quicker.
    small = cv2.resize(scene, (width, height), interpolation=cv2.INTER_LINEAR)
    small = cv2.GaussianBlur(small, (5, 5), max(0.05, lens.blur * random.uniform(0.6, 1.5)))
    if coarse != (width, height):
        small = cv2.resize(cv2.resize(small, coarse, interpolation=cv2.INTER_AREA), (width, height))
    exposure = random.uniform(0.95, 1.05)
    toned = cv2.LUT(_saturated(small, lens.saturation), _curve(lens, sun, exposure)).astype(np.float32)
    rows = np.linspace(1 - sun.down, 1 + sun.down, height, dtype=np.float32)[:, None, None]
    toned *= rows + np.linspace(-sun.across, sun.across, width, dtype=np.float32)[:, None]
    top, left = random.integers(0, [_NOISE - height, _NOISE - width])
    grain = np.ascontiguousarray(lens.grain[top : top + height, left : left + width])
    toned = cv2.scaleAdd(grain, lens.noise * random.uniform(0.7, 1.4), toned)
    return cv2.convertScaleAbs(np.maximum(toned, 0))


def _saturated(picture: np.ndarray, saturation: float) -> np.ndarray:
    """The picture with its saturation changed, as RGB; a fourth channel is dropped."""
    matrix = saturation * np.eye(3, 4) + (1 - saturation) * np.array([0.299, 0.587, 0.114, 0])
    return cv2.transform(picture, matrix.astype(np.float32))


def _curve(lens: Camera, sun: Light, exposure: float) -> np.ndarray:
    """The tone curve of each channel as a table ``(256, 1, 3)``."""
    gain = np.array(lens.gain) * sun.tint * (sun.exposure * exposure)
    levels = _LEVELS ** (lens.gamma * sun.gamma) * gain
    levels = 0.5 + lens.contrast * (levels - 0.5)
    # A shoulder instead of a hard clip, as cameras have: bright clothes keep a trace of their colour.
    levels = np.where(levels > 0.8, 0.8 + 0.2 * np.tanh((levels - 0.8) / 0.2), levels)
    table = lens.haze + (255 - lens.haze) * np.clip(levels, 0, 1)
    return np.rint(table).astype(np.uint8).reshape(256, 1, 3)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """JPEG bytes of an RGB picture."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    if not done:
        raise RuntimeError("OpenCV could not write JPEG")
    return data.tobytes()
