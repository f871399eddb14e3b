"""Batches of sequences: alike in length, complete over epochs, the same however training is cut."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax import distributions, inference
from vaejax.commands.train import _epoch_lines
from vaejax.data import SequenceDataset
from vaejax.data.sequences import padded
from vaejax.distributions import Bernoulli
from vaejax.objectives import Terms, elbo
from vaejax.sharding import batch_sharding
from vaejax.training import Train, Trainer
from vaejax.training.batches import MOST_BUCKETS, RUN, Batches, buckets_of, rows_of_similar_length
from vaejax.training.step import epoch_order, validation_key
from vaejax.training.validation import validation_of
from vaejax.types import GenerativeModel, Joint, rows_of

SETTINGS = Train(epochs=3, batch_size=4, validations=3, learning_rate=1e-2)
LENGTHS = np.random.RandomState(0).geometric(0.05, 230) + 1  # from 2 to about 100


def sequences(n=75, validation=9, missing=False):
    """Binary, of 3 values a frame, 2 to about 60 frames."""
    rng, x, given = np.random.RandomState(1), {}, {}
    for split, size in (("train", n), ("validation", validation), ("test", 4)):
        lists = [rng.randint(0, 2, (2 + rng.geometric(0.1), 3)) for _ in range(size)]
        lists = [one.astype(np.float32 if missing else np.uint8) for one in lists]
        if missing:
            for one in lists:
                one[1] = np.nan
        x[split], given[split] = padded(lists, 90)
    return SequenceDataset("short", *x.values(), 1, "static", given=given)


def joint(theta, given=()):
    """Independent frames of one Bernoulli."""

    def frames(z):
        del z
        steps = jnp.zeros(len(given.exists))
        return distributions.Frames(lambda t, _: Bernoulli(theta), steps, given.length)

    return Joint(distributions.Empty(), frames)


MODEL = GenerativeModel(lambda key: jax.random.normal(key, (3,)), joint)


def objective(key, q, joint, x, step):
    return elbo(key, q, joint, x)


def trainer_of(dataset, settings=SETTINGS):
    return Trainer(MODEL, inference.no_latent(), objective, dataset, settings)


@pytest.fixture(scope="module")
def trainer():
    return trainer_of(sequences())


def keys(*seeds):
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def last(reports):
    *_, report = reports
    return report


def test_without_lengths_an_epoch_is_one_permutation():
    batches = Batches(50, 8)
    indices = batches.indices(keys(3, 4), 2)
    assert indices.shape == (2, 6, 8)
    for of_seed, key in zip(indices, keys(3, 4), strict=True):
        np.testing.assert_array_equal(of_seed.reshape(-1), epoch_order(key, 2, 50)[:48])
    assert batches.call(batches.schedule(2), 5) == (5, None)
    assert batches.call(batches.schedule(2)[4:], 5) == (2, None)
    assert batches.padding(indices, None) is None


@pytest.mark.parametrize("size", [4, 10, 20, 64])
def test_every_sequence_fits_and_comes_equally_often(size):
    """Over 400 epochs: each at most once an epoch, and as often as every other, to within five
    standard errors; the longest and the shortest too."""
    batches, epochs = Batches(len(LENGTHS), size, LENGTHS), 400
    rate = batches.steps_per_epoch * size / len(LENGTHS)
    counts = np.zeros(len(LENGTHS))
    for epoch in range(epochs):
        (indices,) = np.asarray(batches.indices(keys(0), epoch))
        assert len(np.unique(indices)) == indices.size
        room = np.array([batches.buckets[b].time for b in batches.schedule(epoch)])
        assert (LENGTHS[indices].max(axis=1) <= room).all()
        counts[indices.reshape(-1)] += 1
    error = np.sqrt(epochs * rate * (1 - rate))
    assert np.abs(counts - epochs * rate).max() <= 5 * error
    assert counts.sum() == epochs * batches.steps_per_epoch * size


def test_neighbours_change_from_epoch_to_epoch():
    """Who shares a batch with the longest sequence: over 20 epochs, many."""
    batches, longest, met = Batches(len(LENGTHS), 10, LENGTHS), int(np.argmax(LENGTHS)), set()
    for epoch in range(20):
        (indices,) = np.asarray(batches.indices(keys(0), epoch))
        for batch in indices:
            met |= set(batch) if longest in batch else set()
    assert len(met) > 15
    order = [tuple(batches.schedule(epoch)) for epoch in range(20)]
    assert len(set(order)) > 10


@pytest.mark.parametrize("size", [4, 10, 20])
def test_there_is_less_padding_than_without_buckets(size):
    batches = Batches(len(LENGTHS), size, LENGTHS)
    assert 1 < len(batches.buckets) <= MOST_BUCKETS
    assert sum(bucket.size for bucket in batches.buckets) == batches.steps_per_epoch
    indices, schedule = batches.indices(keys(0), 0), batches.schedule(0)
    room = np.array([batches.buckets[b].time for b in schedule])
    real = LENGTHS[np.asarray(indices)].sum()
    assert 1 - real / (room.sum() * size) < 0.6 * (1 - LENGTHS.mean() / LENGTHS.max())
    for step in (0, 3):
        share = batches.padding(indices[:, step : step + 1], int(room[step]))
        x = LENGTHS[np.asarray(indices[0, step])]
        np.testing.assert_allclose(share, [[1 - x.sum() / (size * room[step])]], rtol=1e-6)


def test_seeds_have_the_same_shapes_and_their_own_sequences():
    batches = Batches(len(LENGTHS), 10, LENGTHS)
    together = np.asarray(batches.indices(keys(0, 1, 2), 5))
    for i in range(3):
        np.testing.assert_array_equal(together[i], batches.indices(keys(i), 5)[0])
    assert (together[0] != together[1]).mean() > 0.5


def test_buckets_have_the_fewest_frames():
    """Against every division of eleven batches."""
    for seed, least in itertools.product(range(4), (1, 2)):
        times = np.sort(np.random.RandomState(seed).geometric(0.03, 11))
        fewest = {}
        for cuts in range(MOST_BUCKETS):
            divisions = itertools.combinations(range(1, 11), cuts)
            parts = [np.split(times, list(at)) for at in divisions]
            parts = [part for part in parts if min(map(len, part)) >= least]
            fewest[cuts + 1] = min(sum(len(p) * p[-1] for p in part) for part in parts)
        found = buckets_of(times, least)
        assert sum(b.size for b in found) == 11
        assert min(b.size for b in found) >= least
        assert sum(b.size * b.time for b in found) == fewest[len(found)]
        enough = [k for k, frames in fewest.items() if frames <= 1.05 * fewest[MOST_BUCKETS]]
        assert len(found) == enough[0]
    assert len(buckets_of(np.array([5, 50, 500]), 2)) == 1
    assert buckets_of(np.full(200, 7)) == [(200, 7)]
    assert buckets_of(np.array([5])) == [(1, 5)]


def test_parts_of_like_length_are_all_of_it():
    parts = rows_of_similar_length(len(LENGTHS), LENGTHS)
    assert len(parts) > 1
    np.testing.assert_array_equal(np.sort(np.concatenate([r for r, _ in parts])), np.arange(230))
    for rows, time in parts:
        assert LENGTHS[rows].max() == time
    ((rows, time),) = rows_of_similar_length(5, None)
    assert time is None and list(rows) == [0, 1, 2, 3, 4]


def test_frames_beyond_the_cut_change_nothing(trainer):
    """A call with the room of its bucket and one with all the room there is."""
    indices, schedule = trainer.batches.indices(keys(0), 0), trainer.batches.schedule(0)
    step = int(np.argmin(schedule))
    time = trainer.batches.buckets[0].time
    assert time < 90
    results = []
    for cut in ((time,), ()):
        states, _ = trainer.start([jax.random.key(0)])
        results.append(trainer.steps(states, indices[:, step : step + 1], trainer.data, *cut))
    for a, b in zip(*(jax.tree.leaves((s.params, t)) for s, t in results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_training_reports_padding_and_its_calls_are_of_two_sizes(trainer):
    counts = set()
    for report in trainer.run(*trainer.start([jax.random.key(s) for s in (0, 1)])):
        assert report.padding.shape == report.terms.value.shape
        assert ((report.padding >= 0) & (report.padding < 0.7)).all()
        counts.add(report.padding.shape[1])
    assert report.step == 3 * 18
    assert counts == {1, RUN}
    lines = _epoch_lines(report, [(report.terms, report.padding)], 1.0)
    found = [line["padding"] for line in lines]
    np.testing.assert_allclose(found, report.padding.mean(axis=1), atol=1e-4)
    lines = _epoch_lines(report._replace(padding=None), [(report.terms, None)] * 2, 1.0)
    assert not any("padding" in line for line in lines)


def test_resuming_in_an_epoch_gives_the_same_bits(trainer, monkeypatch):
    start = trainer.start([jax.random.key(0)])
    whole = last(trainer.run(*start))
    monkeypatch.setattr(trainer, "steps_per_call", lambda num_seeds: 1)
    for report in trainer.run(*start):
        if report.step == 23:
            break
    resumed = last(trainer.run(*jax.tree.map(jnp.copy, (report.states, report.best))))
    assert resumed.step == whole.step
    np.testing.assert_array_equal(resumed.states.params.generative, whole.states.params.generative)
    np.testing.assert_array_equal(resumed.best.value, whole.best.value)


@pytest.mark.parametrize("missing", [False, True])
def test_validation_is_the_mean_over_sequences(missing):
    """Against every sequence by itself, with all the room there is."""
    data = sequences(8, 9, missing)
    trainer = trainer_of(data, Train(epochs=1, batch_size=4, validations=1))
    report = last(trainer.run(*trainer.start([jax.random.key(0)])))
    theta = report.states.params.generative[0]
    examples = data.examples("validation")
    log_p = jax.jit(lambda given, x: joint(theta, given).likelihood(()).log_prob(x))
    values = [log_p(rows_of(examples.given, i), x) for i, x in enumerate(examples.x)]
    np.testing.assert_allclose(report.validation[0], np.mean(values), rtol=1e-5)
    assert len(rows_of_similar_length(9, data.lengths("validation"))) > 1


def test_the_noise_of_a_validation_is_of_the_sequence_not_of_its_place():
    """Each sequence's number is a draw from the key of its index, times its length."""
    data, key = sequences(), jax.random.key(3)

    def terms_of(params, key, example, step):
        return Terms(example.given.length * jax.random.normal(key), {})

    validate = validation_of(
        terms_of,
        data.examples("validation"),
        0,
        batch_sharding(1),
        data.lengths("validation"),
    )
    draws = [
        jax.random.normal(jax.random.fold_in(validation_key(key), i)) * length
        for i, length in enumerate(data.lengths("validation"))
    ]
    value = validate(jnp.zeros((1, 1)), key[None])
    np.testing.assert_allclose(value, [np.mean(draws)], rtol=1e-5)
