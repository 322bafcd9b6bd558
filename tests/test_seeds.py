import torch

from reid_srdl.seeds import derive, forked, generator, states_restored


def test_every_part_of_a_purpose_matters():
    seeds = {derive(0), derive(1), derive(0, "a"), derive(0, "a", 1), derive(0, "a", 2), derive(0, "b", 1), derive(0, "a", 1, 0)}
    assert len(seeds) == 7
    assert derive(3, "order", 0, 1) == derive(3, "order", 0, 1)


def test_generator_is_its_own():
    before = torch.get_rng_state()
    a, b = torch.rand(3, generator=generator(0, "x")), torch.rand(3, generator=generator(0, "x"))
    assert torch.equal(a, b)
    assert torch.equal(before, torch.get_rng_state())


def test_forked_draws_from_its_seed_and_leaves_no_trace():
    before = torch.get_rng_state()
    with forked(0, "weights", 1):
        one = torch.rand(4)
    with forked(0, "weights", 1):
        two = torch.rand(4)
    with forked(0, "weights", 2):
        three = torch.rand(4)
    assert torch.equal(one, two) and not torch.equal(one, three)
    assert torch.equal(before, torch.get_rng_state())


def test_global_states_are_kept_and_a_gpu_that_nobody_uses_is_not_started(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # to ask its state would raise here
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    before = torch.random.get_rng_state()
    with states_restored():
        torch.manual_seed(3)
        torch.rand(2)
    assert torch.equal(torch.random.get_rng_state(), before)
