"""Bytes that somebody sent, as an image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import images
from reid_srdl.retrieval.serve import uploads
from reid_srdl.retrieval.serve.refused import Refused

from .conftest import bomb, jpeg, tile

SIZE = (32, 16)


@pytest.mark.parametrize("size", [(40, 20), (400, 200)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_an_upload_is_seen_as_a_file_is(tmp_path, kind, size):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8))
    image.save(tmp_path / "a", kind)
    made = uploads.decode((tmp_path / "a").read_bytes(), SIZE, "none")
    expected = images.open_source([tmp_path / "a"], SIZE, memory_gb=0).batch([0])[0].permute(1, 2, 0)
    np.testing.assert_array_equal(made, expected.numpy())


def written(kind: str, size=(10, 20), **how) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, kind, **how)
    return stream.getvalue()


def of_scans(more: int) -> bytes:
    """A progressive JPEG with its last scan so many times more."""
    whole = written("JPEG", (800, 600), progressive=True)
    begin = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[begin:-2] * more + whole[-2:]


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", 422, r"is empty \(0 bytes\)"),
        (b"x", 422, "is no image that is known here"),
        (b"just some text" * 50, 422, "is no image that is known here"),
        (jpeg()[:300], 422, "the upload cannot be read"),
        (jpeg()[:20], 422, "the upload"),
        (written("EPS"), 422, "is no image that is known here"),  # Pillow would start Ghostscript for it
        (written("GIF"), 422, "is no image that is known here"),
        (bomb(), 413, "more than 20,000,000 pixels"),
        (bomb(8_000, 7_000), 413, "more than 20,000,000 pixels"),  # which Pillow itself would take
        (tile(4_096, 8_192), 413, "more than 20,000,000 pixels"),
        (of_scans(2200), 422, "the upload cannot be read: 2,210 scans of 800 x 600 pixels are more than 1,000,000,000"),
    ],
)
def test_what_is_no_image_is_refused(data, status, message, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded")) if status == 413 or "scans" in message else None
    with pytest.raises(Refused, match=message) as refused:
        uploads.decode(data, SIZE, "none")
    assert refused.value.status == status and refused.value.hint and "data check" not in str(refused.value)
