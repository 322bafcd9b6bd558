import contextlib

import numpy as np
import pytest
import torch

from reid_srdl import inference
from reid_srdl.config import AugmentConfig, ReferenceConfig
from reid_srdl.data.augment import clean
from reid_srdl.data.images import MemoryImages
from reid_srdl.data.records import Split
from reid_srdl.devices import Place
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.training import reference as references

COUNT, CLASSES = 21, 7
TARGETS = np.arange(COUNT) % CLASSES


@pytest.fixture
def split(tmp_path):
    paths = tuple(f"{i:02}.jpg" for i in range(COUNT))
    for path in paths:
        (tmp_path / path).write_bytes(b"x")
    return Split("train", tmp_path, paths, TARGETS + 1, np.ones(COUNT))


@pytest.fixture
def source():
    return MemoryImages(torch.randint(0, 256, (COUNT, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build("small", CLASSES)
    with torch.no_grad():
        network.classifier.weight.mul_(20)
    return network


def make(network, source, split, **how):
    return references.make(
        network, source, split, TARGETS, how=ReferenceConfig(**how), temperature=3.0, size=(32, 16), place=Place(torch.device("cpu")), seed=0, described="d",
        augment=AugmentConfig(erase=0.5),
    )  # fmt: skip


def test_rows_are_the_network_s_beliefs_in_order(network, source, split):
    made = make(network, source, split)
    network.eval()
    for row in (0, 13, 20):
        with torch.no_grad():
            logits = network(clean(source.batch([row]), (32, 16))).logits[0]
        belief = torch.softmax(logits / 3, 0)
        assert torch.allclose(torch.softmax(made.rows(torch.tensor([row]))[0] / 3, 0), belief, atol=2e-3)
    assert made.logits.dtype == torch.float16 and (made.logits.max(1).values == 0).all()
    assert made.rows(torch.tensor([4, 2])).shape == (2, CLASSES)


def test_the_pass_is_deterministic_and_changes_nothing(network, source, split):
    """BatchNorm's statistics are used, not updated; dropout is off; no random number is drawn."""
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    one, two = make(network, source, split), make(network, source, split)
    assert torch.equal(one.logits, two.logits)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training and torch.equal(random, torch.get_rng_state())


def test_mirrored_views_are_averaged_as_probabilities(network, source, split):
    plain, both = make(network, source, split), make(network, source, split, flip=True)
    mirrored = make(network, MemoryImages(source.images.flip(3)), split)
    rows = torch.arange(COUNT)
    expected = (torch.softmax(plain.rows(rows) / 3, 1) + torch.softmax(mirrored.rows(rows) / 3, 1)) / 2
    assert torch.allclose(torch.softmax(both.rows(rows) / 3, 1), expected, atol=2e-3)
    assert not torch.allclose(both.logits, plain.logits, atol=1e-2)


def test_views_are_averaged_as_probabilities_and_drawn_alike_again(network, source, split):
    """The first is the image as it is, the others are those of training."""
    plain, three, again = make(network, source, split), make(network, source, split, views=3), make(network, source, split, views=3)
    assert torch.equal(three.logits, again.logits) and not torch.allclose(three.logits, plain.logits, atol=1e-2)
    network.eval()
    seen, probabilities = [], [torch.softmax(plain.rows(torch.arange(COUNT)) / 3, 1)]
    for number in (1, 2):
        view = references.augmented(AugmentConfig(erase=0.5), (32, 16), 0, number)
        seen.append(view(source.images, 0))
        with torch.no_grad():
            probabilities.append(torch.softmax(network(seen[-1]).logits / 3, 1))
    assert not torch.equal(*seen)
    assert torch.allclose(torch.softmax(three.rows(torch.arange(COUNT)) / 3, 1), torch.stack(probabilities).mean(0), atol=2e-3)


def test_views_are_the_same_whoever_passes_over_them(network, split, monkeypatch):
    """Draws belong to a batch, and processes share out whole batches."""
    many = MemoryImages(torch.randint(0, 256, (150, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)))
    view = references.augmented(AugmentConfig(), (32, 16), 0, 1)
    network.eval()
    with torch.no_grad():
        whole = inference.logits(network, many, size=(32, 16), place=Place(torch.device("cpu")), view=view)
        parts = [
            inference.run_own(network, many, lambda images: network(images).logits, size=(32, 16), place=Place(torch.device("cpu"), "fp32", rank, 2), view=view)
            for rank in range(2)
        ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_what_a_reference_depends_on(network):
    def of(temperature=3.0, seed=0, augment=AugmentConfig(), **how):  # noqa: B008 (it is frozen)
        return references.description(ReferenceConfig(**how), temperature, "model", seed, augment)

    assert of() == of(temperature=4.0, seed=1, augment=AugmentConfig(pad=2))
    views = of(views=2)
    assert len({views, of(), of(views=3), of(views=2, seed=1), of(views=2, temperature=4.0), of(views=2, augment=AugmentConfig(pad=2))}) == 6


def test_top_k_keeps_the_largest(network, source, split):
    full, kept = make(network, source, split), make(network, source, split, top_k=3)
    assert kept.logits.shape == kept.classes.shape == (COUNT, 3)
    rows = torch.arange(COUNT)
    top = full.rows(rows).topk(3, dim=1)
    assert torch.equal(kept.rows(rows).gather(1, top.indices), top.values)
    beliefs = torch.softmax(kept.rows(rows) / 3, 1)
    assert torch.allclose(beliefs.sum(1), torch.ones(COUNT)) and ((beliefs > 1e-9).sum(1) == 3).all()


@pytest.mark.parametrize("top_k", [None, 3])
def test_rows_in_another_order_are_the_same_rows(network, source, split, top_k):
    made = make(network, source, split, top_k=top_k)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made.rows(order), made.rows(torch.arange(COUNT))[order])


def test_the_shuffled_control_is_as_soft_but_knows_nothing(network, source, split):
    full, mixed = make(network, source, split), make(network, source, split, shuffle=True)
    assert torch.equal(full.logits.sort(1).values, mixed.logits.sort(1).values)
    own = torch.from_numpy(TARGETS)[:, None]
    assert torch.equal(full.logits.gather(1, own), mixed.logits.gather(1, own))
    assert (full.logits != mixed.logits).any(1).double().mean() > 0.8


def test_saved_and_loaded(network, source, split, tmp_path):
    for how in ({}, {"top_k": 2}):
        made = make(network, source, split, **how)
        references.save(made, tmp_path / "reference.safetensors")
        loaded = references.load(tmp_path / "reference.safetensors")
        assert torch.equal(made.rows(torch.arange(COUNT)), loaded.rows(torch.arange(COUNT)))
        assert (loaded.split_hash, loaded.how, loaded.num_classes) == (split.hash(), "d", CLASSES)


def test_another_list_or_label_set_is_refused(network, source, split):
    made = make(network, source, split)
    made.check(split.hash(), CLASSES)
    with pytest.raises(UserError, match="another list"):
        made.check(split.take(np.arange(COUNT)[::-1]).hash(), CLASSES)
    with pytest.raises(UserError, match="7 classes"):
        made.check(split.hash(), 8)


def test_truncated_and_missing_files(network, source, split, tmp_path):
    file = tmp_path / "reference.safetensors"
    references.save(make(network, source, split), file)
    for content in (file.read_bytes()[:-10], file.read_bytes()[:20], b""):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"reference\.safetensors"):
            references.load(file)
    file.unlink()
    with pytest.raises(UserError, match=r"reference\.safetensors"):
        references.load(file)


def test_every_flipped_bit_is_found(network, source, split, tmp_path):
    """In the numbers, in what is said of them, and in the frame of the file; in padding, a bit may mean nothing."""
    file = tmp_path / "r.safetensors"
    references.save(make(network, source, split), file)
    good, whole, passed = references.load(file), file.read_bytes(), 0
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        with contextlib.suppress(UserError):
            found = references.load(file)
            assert torch.equal(found.logits, good.logits) and (found.how, found.split_hash) == (good.how, good.split_hash), place
            passed += 1
    assert passed < len(whole) / 7 / 20


def test_soft_targets_that_are_not_finite_are_refused(network, source, split):
    with torch.no_grad():
        network.classifier.bias[0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        make(network, source, split)


def test_soft_targets_in_a_loop_of_one_s_own(network, source, split):
    made = make(network, source, split)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            return self.network(images).logits

    own = Logits().train()
    images = clean(source.images, (32, 16))
    assert torch.allclose(references.soft_targets(own, images.split(8)).float(), made.logits.float(), atol=1e-2)
    assert own.training and network.training


@pytest.mark.parametrize(
    ("answer", "batches", "message"),
    [
        (lambda images: images, [[torch.zeros(2, 3), torch.zeros(2)]], "a batch is of type list, not a tensor"),
        (lambda images: images, [], "no images to write soft targets down of"),
        (lambda images: (images, images), [torch.zeros(2, 3)], r"answers with a tuple where 2 images want logits \(2, C\)"),
        (lambda images: images[None], [torch.zeros(2, 3)], r"answers with shape \(1, 2, 3\)"),
        (lambda images: images / images[:, :1], [torch.ones(4, 3), torch.tensor([[1.0, 2], [0, 0]])], "the logits of image 5 are not finite"),
    ],
)
def test_what_is_no_soft_target_is_named(answer, batches, message):
    class Network(torch.nn.Module):
        def forward(self, images):
            return answer(images)

    with pytest.raises(UserError, match=message):
        references.soft_targets(Network(), batches)


def test_a_network_of_the_package_gives_its_logits(network, source):
    images = clean(source.images, (32, 16))
    assert references.soft_targets(network, images.split(8)).shape == (len(images), network.num_classes)


def test_each_batch_of_a_view_has_a_draw_of_its_own(source):
    view = references.augmented(AugmentConfig(), (32, 16), 0, 1)
    assert not torch.equal(view(source.images, 0), view(source.images, inference.BATCH))


def test_another_seed_shuffles_otherwise():
    logits = np.random.default_rng(0).normal(size=(COUNT, CLASSES)).astype(np.float32)
    one, again, other = (references.shuffled(logits, TARGETS, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_shuffled_soft_targets_depend_on_the_seed():
    one, other = (references.description(ReferenceConfig(shuffle=True), 3.0, "model", seed, AugmentConfig()) for seed in (0, 1))
    assert one != other


def test_beliefs_further_apart_than_float16_reaches_are_kept_as_the_lowest(network, source, split):
    with torch.no_grad():
        network.classifier.bias[0] = 1e6
    made = make(network, source, split)
    assert (made.logits[:, 0] == 0).all() and (made.logits[:, 1:] == references.ABSENT).all()
