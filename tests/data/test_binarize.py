"""Binarized pixels are Bernoulli variables with the probability of their intensity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vaejax.data

binarize = jax.jit(vaejax.data.binarize, static_argnums=2)


@pytest.mark.parametrize("levels", [255, 16, 1.0])
def test_frequencies_are_the_intensities(levels):
    """Each of many intensities, over 20,000 draws: within five standard errors, and the squared
    deviations, in units of their variance, average 1."""
    n = 20_000
    grid = np.linspace(0, 1, 67) if levels == 1.0 else np.arange(levels + 1)
    intensity = np.tile(grid.astype(np.float32 if levels == 1.0 else np.uint8), (n, 1))
    x = np.asarray(binarize(jax.random.key(0), intensity, levels), np.float64)
    p = grid / levels
    inner = (p > 0) & (p < 1)
    z = (x.mean(axis=0) - p)[inner] / np.sqrt(p * (1 - p) / n)[inner]
    assert np.abs(z).max() < 5
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / inner.sum())


@pytest.mark.parametrize("levels", [255, 16, 1.0])
def test_black_and_white_are_exact(levels):
    intensity = np.zeros((100, 28, 28), np.float32 if levels == 1.0 else np.uint8)
    intensity[:, 14:] = levels
    x = np.asarray(binarize(jax.random.key(1), intensity, levels))
    np.testing.assert_array_equal(x, intensity > 0)


def test_the_faintest_intensities_are_neither_lost_nor_doubled():
    """1/255 and 254/255 over 2^20 draws."""
    n = 1 << 20
    intensity = np.tile(np.array([1, 254], np.uint8), (n, 1))
    p = np.array([1, 254]) / 255
    x = np.asarray(binarize(jax.random.key(2), intensity, 255), np.float64)
    assert np.all(np.abs(x.mean(axis=0) - p) < 5 * np.sqrt(p * (1 - p) / n))


@pytest.mark.parametrize("shape", [(1,), (3, 5)])
def test_any_number_of_pixels(shape):
    """Two pixels share a word, the last of an odd number has one to itself: all are independent."""
    x = binarize(jax.random.key(3), np.full((4000, *shape), 128, np.uint8), 256)
    assert x.shape == (4000, *shape)
    assert x.dtype == jnp.float32
    flat = np.asarray(x).reshape(4000, -1)
    assert np.abs(flat.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(4000)
    if flat.shape[1] > 1:
        correlation = np.corrcoef(flat, rowvar=False) - np.eye(flat.shape[1])
        assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_an_empty_batch():
    assert binarize(jax.random.key(0), np.zeros((0, 28, 28), np.uint8), 255).shape == (0, 28, 28)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_same_bits_under_jit_and_vmap(dtype):
    levels = 255 if dtype == np.uint8 else 1.0
    grey = np.random.RandomState(0).randint(0, 256, (6, 9, 7, 7))
    intensity = grey.astype(dtype) if dtype == np.uint8 else (grey / 255).astype(dtype)
    keys = jax.random.split(jax.random.key(4), 6)
    eager = [vaejax.data.binarize(k, x, levels) for k, x in zip(keys, intensity, strict=True)]
    jitted = [binarize(k, x, levels) for k, x in zip(keys, intensity, strict=True)]
    vmapped = jax.vmap(lambda k, x: binarize(k, x, levels))(keys, intensity)
    np.testing.assert_array_equal(eager, jitted)
    np.testing.assert_array_equal(eager, vmapped)


def test_keys_decide():
    intensity = np.full((10, 28, 28), 100, np.uint8)
    a, b, c = (np.asarray(binarize(jax.random.key(s), intensity, 255)) for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).mean() > 0.4  # 2 p (1 - p) = 0.477
