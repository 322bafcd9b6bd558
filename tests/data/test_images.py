
import numpy as np
import pytest
import torch
from PIL import Image

from reid_srdl.data import images
from reid_srdl.data.augment import resized
from reid_srdl.data.decoding import image_size
from reid_srdl.errors import UserError

from .test_decoding import write


@pytest.mark.parametrize("sizes", [[(20, 10)] * 5, [(20, 10), (24, 12), (20, 10), (40, 20), (8, 4)]])
def test_memory_and_stream_give_the_same_bytes(tmp_path, sizes):
    files = [write(tmp_path / f"{i}.jpg", size, i) for i, size in enumerate(sizes)]
    memory = images.open_source(files, (24, 12), memory_gb=1)
    stream = images.open_source(files, (24, 12), memory_gb=0)
    assert isinstance(memory, images.MemoryImages) and isinstance(stream, images.StreamedImages)
    indices = [3, 0, 4, 4, 1]
    assert torch.equal(memory.batch(indices), stream.batch(indices))
    assert memory.batch(indices).dtype == torch.uint8
    assert memory.size == stream.size == ((20, 10) if len(set(sizes)) == 1 else (24, 12))


@pytest.mark.parametrize("size", [(16, 8), (12, 6), (10, 6), (30, 8), (16, 24), (44, 20), (60, 30), (20, 60)])
def test_an_image_is_the_same_alone_and_among_others(tmp_path, size):
    """Alone it keeps its size and is resized on the device; in a folder of all sizes it is decoded to the size of training."""
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    waves = 127 + 60 * np.stack([np.sin(6 * rows), np.cos(5 * columns), np.sin(4 * rows + 3 * columns)], axis=2)
    Image.fromarray(waves.round().astype(np.uint8)).save(tmp_path / "a.png")
    alone = resized(images.open_source([tmp_path / "a.png"], (32, 16)).batch([0]), (32, 16)).float()
    among = images.open_source([tmp_path / "a.png", write(tmp_path / "b.png", (64, 32))], (32, 16)).batch([0]).float()
    assert (alone - among).abs().max() <= 1.01, "but for the rounding to whole numbers"


@pytest.mark.parametrize(
    ("sizes", "stored"),
    [([(20, 10)] * 3, (20, 10)), ([(20, 10), (8, 4)], (16, 8)), ([(32, 16)], (32, 16)), ([(33, 16)] * 2, (16, 8)), ([(20, 10), (99, 99)], (16, 8)), ([], (16, 8))],
)
def test_images_are_stored_as_they_are_where_they_are_alike_and_not_large(sizes, stored):
    assert images.storage_size(iter(sizes), (16, 8)) == stored


def test_colours_are_red_green_blue(tmp_path):
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[..., 0] = 200
    Image.fromarray(image).save(tmp_path / "red.png")
    batch = images.open_source([tmp_path / "red.png"], (4, 4)).batch([0])
    assert batch[0, :, 0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("content", [b"", b"no image at all", "truncated"])
def test_a_bad_image_is_named(tmp_path, content):
    file = write(tmp_path / "bad.jpg", (64, 64))
    file.write_bytes(file.read_bytes()[:700] if content == "truncated" else content)
    good = write(tmp_path / "good.jpg", (64, 64))
    with pytest.raises(UserError, match=r"bad\.jpg"):
        images.open_source([good, file], (64, 64))
    with pytest.raises(UserError, match=r"bad\.jpg"):
        images.StreamedImages([good, file], (64, 64)).batch([0, 1])
    found = images.unreadable([good, file])
    assert list(found) == [file] and "bad.jpg" not in found[file]


def test_what_is_looked_for_in_unreadable_images_is_asked_for(tmp_path):
    file, gone, seen = write(tmp_path / "bad.jpg", (64, 64)), tmp_path / "gone.jpg", []
    file.write_bytes(file.read_bytes()[:700])
    found = images.unreadable([file, gone], look=image_size, track=lambda rows: (seen.append(row) or row for row in rows))
    assert found == {gone: "it is not there"}, "its header is whole"
    assert seen == [0, 1]


def test_no_images():
    with pytest.raises(UserError, match="no images"):
        images.open_source([], (4, 4))


@pytest.fixture
def odd_files(tmp_path):
    return [write(tmp_path / f"{i}.png", size, i) for i, size in enumerate([(20, 10), (24, 12), (90, 70), (40, 20)])]


def test_centre_crops_are_the_same_from_memory_and_stream(odd_files):
    memory = images.open_source(odd_files, (32, 24), crop="imagenet")
    stream = images.open_source(odd_files, (32, 24), memory_gb=0, crop="imagenet")
    assert isinstance(memory, images.MemoryImages) and isinstance(stream, images.StreamedImages)
    assert memory.size == stream.size == (32, 24)
    indices = [3, 0, 2, 2]
    assert torch.equal(memory.batch(indices, epoch=5), stream.batch(indices, epoch=8))
    whole = images.open_source(odd_files, (32, 24))
    assert not torch.equal(memory.batch(indices), whole.batch(indices))


def test_random_crops_are_a_stream_and_the_same_in_any_batch(odd_files):
    source = images.open_source(odd_files, (32, 24), crop="imagenet", seed=3)
    assert isinstance(source, images.StreamedImages) and source.size == (32, 24)
    batch = source.batch([2, 0, 2], 0, 1)
    assert batch.shape == (3, 3, 32, 24) and batch.dtype == torch.uint8
    assert torch.equal(batch[0], batch[2])
    again = images.open_source(odd_files, (32, 24), crop="imagenet", seed=3, workers=1)
    assert torch.equal(again.batch(np.array([0]), 0, 1)[0], batch[1])
    assert not torch.equal(again.batch([2], 0, 2)[0], batch[0]), "another epoch"
    assert not torch.equal(again.batch([2], 1, 1)[0], batch[0]), "another stage"
    assert not torch.equal(images.open_source(odd_files, (32, 24), crop="imagenet", seed=4).batch([2], 0, 1)[0], batch[0])


def test_a_bad_image_is_named_when_it_is_cropped(tmp_path):
    file = write(tmp_path / "bad.jpg", (64, 64))
    file.write_bytes(file.read_bytes()[:700])
    for more in ({}, {"memory_gb": 0}, {"seed": 1}):
        with pytest.raises(UserError, match=r"bad\.jpg"):
            images.open_source([file], (32, 32), crop="imagenet", **more).batch([0])


@pytest.mark.parametrize("crop", ["none", "imagenet"])
@pytest.mark.parametrize("size", [(20, 10), (90, 70)])
def test_bytes_become_what_a_file_alone_does(tmp_path, size, crop):
    file = write(tmp_path / "a.jpg", size)
    expected = images.open_source([file], (24, 12), memory_gb=0, crop=crop).batch([0])
    made = images.decode_alone(file.read_bytes(), file, (24, 12), crop)
    assert torch.equal(images.MemoryImages.of(np.stack([made])).batch([0]), expected)
    for bad in (b"", b"no image", file.read_bytes()[:300]):
        with pytest.raises(UserError, match="upload"):
            images.decode_alone(bad, "upload", (24, 12), crop)


@pytest.mark.parametrize("crop", ["none", "imagenet"])
def test_pictures_in_memory_are_seen_as_their_files_are(tmp_path, crop):
    files = [write(tmp_path / f"{number}.png", size, number) for number, size in enumerate([(20, 10), (40, 24), (24, 12)])]
    grey = Image.fromarray(np.arange(240, dtype=np.uint8).reshape(20, 12))
    grey.save(tmp_path / "grey.png")
    wanted = images.open_source([*files, tmp_path / "grey.png"], (24, 12), memory_gb=0, crop=crop).batch([3, 0, 1, 2])
    pictures = [grey, np.asarray(Image.open(files[0])), Image.open(files[1]), np.asarray(Image.open(files[2]))]
    assert torch.equal(images.GivenImages(pictures, (24, 12), crop).batch(range(4)), wanted)


def test_what_is_no_picture_is_said_by_its_place():
    good = np.zeros((8, 4, 3), np.uint8)
    for bad, what in ((np.zeros((8, 4), np.uint8), r"shape \(8, 4\)"), (good.astype(np.float32), "float32"), (good[:0], r"\(0, 4, 3\)"), ("a.png", "of type str")):
        with pytest.raises(UserError, match=f"image 1 is .*{what}.*RGB"):
            images.GivenImages([good, bad], (24, 12))
    with pytest.raises(UserError, match="no images"):
        images.GivenImages([], (24, 12))


def test_images_are_kept_in_memory_up_to_what_they_take(tmp_path):
    files = [write(tmp_path / f"{i}.png") for i in range(4)]  # of 20 x 10 x 3 bytes each
    for room, kind in ((2400, images.MemoryImages), (2399, images.StreamedImages)):
        assert isinstance(images.open_source(files, (24, 12), memory_gb=room / 2**30), kind)
