"""Corruptions by the frequency of each element's fate."""

import jax
import numpy as np
import pytest

from vaejax.objectives import gaussian_noise, masking_noise, salt_and_pepper

X = np.tile([0.0, 1.0, 0.3], (2, 10)).astype(np.float32)  # (2, 30)
N = 4000


def draws(corrupt):
    keys = jax.random.split(jax.random.key(0), N)
    return np.asarray(jax.jit(jax.vmap(lambda key: corrupt(key, X)))(keys))


def close(frequencies, probability):
    """Each of 60 elements within 4.5 standard errors."""
    error = np.sqrt(probability * (1 - probability) / N)
    np.testing.assert_array_less(np.abs(frequencies - probability), 4.5 * error + 1e-9)


@pytest.mark.parametrize("fraction", [0.0, 0.35, 1.0])
def test_masked_elements_are_zero_and_the_others_stay(fraction):
    x = draws(masking_noise(fraction))
    changed = x != X
    assert np.all(x[changed] == 0)
    close(changed.mean(axis=0)[X != 0], fraction)
    # Elements are masked independently of each other.
    pairs = changed[:, 0, 1::3] & changed[:, 1, 1::3]
    close(pairs.mean(axis=0), fraction**2)


@pytest.mark.parametrize("fraction", [0.0, 0.35, 1.0])
def test_salt_and_pepper_come_in_equal_parts(fraction):
    x = draws(salt_and_pepper(fraction))
    grey = np.isclose(X, 0.3)
    close((x == 0).mean(axis=0)[grey], fraction / 2)
    close((x == 1).mean(axis=0)[grey], fraction / 2)
    close((x != X).mean(axis=0)[~grey], fraction / 2)


def test_gaussian_noise_has_its_scale():
    noise = draws(gaussian_noise(0.7)) - X
    assert np.all(np.abs(noise.mean(axis=0)) < 4.5 * 0.7 / N**0.5)
    assert np.all(np.abs(noise.std(axis=0) - 0.7) < 4.5 * 0.7 / (2 * N) ** 0.5)
    np.testing.assert_array_equal(gaussian_noise(0.0)(jax.random.key(0), X), X)


@pytest.mark.parametrize("make", [masking_noise, salt_and_pepper, gaussian_noise])
@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_impossible_levels_are_refused(make, bad):
    with pytest.raises(ValueError, match=str(bad)):
        make(bad)


@pytest.mark.parametrize("make", [masking_noise, salt_and_pepper])
def test_more_than_everything_is_refused(make):
    with pytest.raises(ValueError, match=r"\[0, 1\]; got 1.2"):
        make(1.2)
