import numpy as np
import pytest

from reid_srdl.data.samplers import MIN_BATCH, IdentitySampler, RandomSampler
from reid_srdl.errors import UserError


def epoch(sampler, number, stage=0):
    return list(sampler.batches(stage, number))


def test_random_takes_every_image_once_in_another_order_each_epoch():
    sampler = RandomSampler(40, 16, seed=1)
    batches = epoch(sampler, 0)
    assert [len(batch) for batch in batches] == [16, 16, 8] and len(sampler) == 3
    assert sorted(np.concatenate(batches)) == list(range(40))
    again = epoch(RandomSampler(40, 16, seed=1), 0)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    for other in (epoch(sampler, 1), epoch(sampler, 0, stage=1), epoch(RandomSampler(40, 16, seed=2), 0)):
        assert (np.concatenate(other) != np.concatenate(batches)).any()


def test_a_last_batch_too_small_for_batchnorm_is_left_out():
    sampler = RandomSampler(32 + 7, 16, seed=0)
    assert [len(batch) for batch in epoch(sampler, 0)] == [16, 16] and len(sampler) == 2 and MIN_BATCH == 8
    assert [len(batch) for batch in epoch(RandomSampler(32 + 8, 16, seed=0), 0)] == [16, 16, 8]
    assert [len(batch) for batch in epoch(RandomSampler(5, 16, seed=0), 0)] == [5]


@pytest.mark.parametrize("count", [5, 16, 16 + MIN_BATCH - 1, 16 + MIN_BATCH, 31, 32])
def test_the_smallest_batch_is_known_beforehand(count):
    sampler = RandomSampler(count, 16, seed=0)
    assert sampler.smallest == min(len(batch) for batch in epoch(sampler, 0))


TARGETS = np.repeat(np.arange(6), [1, 2, 4, 9, 5, 8])


def test_identity_batches_are_p_people_times_k_images():
    sampler = IdentitySampler(TARGETS, batch=12, instances=4, seed=0)
    for number in range(5):
        batches = epoch(sampler, number)
        assert len(batches) == len(sampler) and sampler.smallest == 12
        for batch in batches:
            people, counts = np.unique(TARGETS[batch], return_counts=True)
            assert len(people) == 3 and (counts == 4).all()
            for person in people[np.isin(people, [2, 3, 4, 5])]:  # who have 4 images give 4 different ones
                assert len(np.unique(batch[TARGETS[batch] == person])) == 4


def test_identity_batches_are_others_each_epoch_stage_and_seed():
    sampler = IdentitySampler(TARGETS, batch=12, instances=4, seed=1)
    batches = epoch(sampler, 0)
    again = epoch(IdentitySampler(TARGETS, batch=12, instances=4, seed=1), 0)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    for other in (epoch(sampler, 1), epoch(sampler, 0, stage=1), epoch(IdentitySampler(TARGETS, batch=12, instances=4, seed=2), 0)):
        assert (np.concatenate(other) != np.concatenate(batches)).any()


def test_the_groups_of_a_person_in_an_epoch_share_no_image():
    sampler = IdentitySampler(np.repeat(np.arange(3), [8, 8, 9]), batch=12, instances=4, seed=0)
    for number in range(5):
        taken = np.concatenate(epoch(sampler, number))
        assert len(taken) == 3 * 2 * 4 == len(np.unique(taken))


def test_of_more_people_than_an_epoch_takes_each_is_left_out_at_times():
    targets = np.repeat(np.arange(5), 4)
    sampler = IdentitySampler(targets, batch=8, instances=4, seed=0)
    left_out = [set(range(5)) - set(targets[np.concatenate(epoch(sampler, number))]) for number in range(40)]
    assert all(len(people) == 1 for people in left_out) and set().union(*left_out) == set(range(5))


def test_the_length_is_the_most_that_can_be_filled_with_different_people():
    # Groups of 4: one each of the first three and the fifth, two of the fourth and the sixth: 8 groups, 2 batches of 3 people.
    assert len(IdentitySampler(TARGETS, batch=12, instances=4, seed=0)) == 2
    # One person with most of the images cannot stand twice in a batch.
    lopsided = np.repeat(np.arange(4), [40, 4, 4, 4])
    assert len(IdentitySampler(lopsided, batch=8, instances=4, seed=0)) == 3


def test_an_identity_with_fewer_images_repeats_its_own():
    targets = np.repeat(np.arange(3), [1, 4, 4])
    (batch,) = epoch(IdentitySampler(targets, batch=12, instances=4, seed=0), 0)
    assert (batch[targets[batch] == 0] == 0).all() and (targets[batch] == 0).sum() == 4


def test_too_few_people_for_a_batch():
    with pytest.raises(UserError, match="needs 4 identities; there are 3"):
        IdentitySampler(np.array([0, 1, 2]), batch=16, instances=4, seed=0)


def test_people_of_many_images_are_not_always_in_the_first_batch():
    targets = np.repeat(np.arange(6), [8, 8, 4, 4, 4, 4])
    sampler = IdentitySampler(targets, batch=8, instances=4, seed=0)
    first = [set(targets[epoch(sampler, number)[0]].tolist()) for number in range(20)]
    assert len(sampler) == 4 and 0 < sum(people == {0, 1} for people in first) < 15
