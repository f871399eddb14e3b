"""The denoising chain against the eigenvector of its transition matrix."""

import jax
import numpy as np
import pytest

from tests.pairs import digits_pair
from tests.tables import (
    corruption_matrix,
    density_pair,
    perfect_pair,
    place,
    point_mass_pair,
    states,
    stationary,
)
from vaejax import Params, inference
from vaejax.evaluation import denoising_chain
from vaejax.objectives import gaussian_noise, salt_and_pepper

SIZE, FRACTION, CHAINS, BURN = 3, 0.5, 400, 20


def frequencies(pair, params, key=0):
    """Of each state, mean over independent chains and its standard error."""
    starts = np.repeat(states(SIZE)[-1:], CHAINS, axis=0)
    _, samples = denoising_chain(
        jax.random.key(key), *pair, salt_and_pepper(FRACTION), params, starts, num_steps=100 + BURN
    )
    assert samples.shape == (100 + BURN, CHAINS, SIZE)
    at = np.asarray(place(samples[BURN:]))
    each = np.stack([(at == row).mean(axis=0) for row in range(2**SIZE)], axis=1)
    return each.mean(axis=0), each.std(axis=0, ddof=1) / CHAINS**0.5


@pytest.mark.parametrize("make", [point_mass_pair, density_pair])
def test_it_settles_where_the_transition_matrix_says(make):
    pair, params, denoised = make(SIZE)
    truth = stationary(corruption_matrix(FRACTION, SIZE) @ denoised)
    mean, error = frequencies(pair, params)
    assert np.ptp(truth) > 0.1  # far from uniform
    np.testing.assert_array_less(np.abs(mean - truth), 4 * error)


def test_a_perfect_denoiser_draws_from_the_data():
    pair, params, p = perfect_pair(SIZE, FRACTION)
    mean, error = frequencies(pair, params)
    assert np.ptp(p) > 0.1
    np.testing.assert_array_less(np.abs(mean - p), 4 * error + 1e-4)


@pytest.mark.parametrize("family", [inference.point_mass, inference.diagonal_gaussian])
def test_a_chain_does_not_depend_on_the_others(family):
    """Networks in place of tables: 130 chains, of which the first three alone."""
    pair = digits_pair(family)
    keys = jax.random.split(jax.random.key(0))
    params = Params(pair[0].init(keys[0]), pair[1].init(keys[1]))
    starts = np.random.RandomState(0).randint(0, 2, (130, 8, 8)).astype(np.uint8)

    def run(starts, seed=1):
        noise = gaussian_noise(0.5)
        return denoising_chain(jax.random.key(seed), *pair, noise, params, starts, num_steps=4)

    means, samples = run(starts)
    assert means.shape == samples.shape == (4, 130, 8, 8)
    some_means, some_samples = run(starts[:3])
    np.testing.assert_array_equal(samples[:, :3], some_samples)
    np.testing.assert_allclose(means[:, :3], some_means, atol=1e-6)
    # Each chain and each step has noise of its own: x is drawn from the means beside it.
    error = np.sqrt(np.sum(means * (1 - means))) / means.size
    assert abs(np.mean(samples - means)) < 4 * error
    assert len(np.unique(samples.reshape(-1, 64), axis=0)) == 4 * 130


def test_no_steps_are_refused():
    pair, params, _ = point_mass_pair(SIZE)
    with pytest.raises(ValueError, match="num_steps"):
        denoising_chain(
            jax.random.key(0), *pair, salt_and_pepper(0.1), params, states(SIZE), num_steps=0
        )
