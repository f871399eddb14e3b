"""Measurements and pictures of a model p(x) without a z."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from tests.runs import a_run, evaluated, examples
from vaejax.distributions import DiagonalGaussian, Empty
from vaejax.evaluation import model_samples, pictures, summarize
from vaejax.generative import masked_autoencoder
from vaejax.inference import no_latent
from vaejax.networks import MaskedMLP, draw_masks
from vaejax.types import GenerativeModel, Joint, Params

MEAN = np.array([1.0, -2.0, 0.5], np.float32)
GAUSSIAN = GenerativeModel(
    init=lambda key: jnp.asarray(MEAN),
    joint=lambda mean, given=(): Joint(Empty(), lambda z: DiagonalGaussian(mean, jnp.zeros(3))),
)
PARAMS = Params(GAUSSIAN.init(None), ())
XS = np.random.default_rng(0).normal(size=(105, 3)).astype(np.float32)


def test_log_p_is_that_of_the_density_for_each_x():
    """105 is a batch of 100 and a padded one; the key does not enter."""
    assert a_run(GAUSSIAN, no_latent(), PARAMS, XS).kind == "no latent variable"
    for seed in (0, 1):
        arrays = evaluated(GAUSSIAN, no_latent(), PARAMS, XS, seed=seed)
        assert set(arrays) == {"log_p"}
        truth = scipy.stats.norm(MEAN).logpdf(XS).sum(-1)
        np.testing.assert_allclose(arrays["log_p"], truth, rtol=1e-5)
    summary = summarize(arrays)
    assert set(summary) == {"log_p"}
    assert summary["log_p"]["std_error_monte_carlo"] is None


def test_samples_of_several_chunks_are_independent_draws():
    _, means, xs = model_samples(jax.random.key(0), GAUSSIAN, PARAMS, 1300)
    assert means is None
    assert xs.shape == (1300, 3)
    assert len(np.unique(xs, axis=0)) == 1300
    assert np.abs((xs.mean(axis=0) - MEAN) * 1300**0.5).max() < 4


def test_completions_are_there_where_they_are_exact():
    key, binary = jax.random.key(0), examples((XS[:7] > 0).astype(np.uint8))
    of_gaussian = pictures(key, GAUSSIAN, no_latent(), PARAMS, examples(XS[:7]), count=5)
    assert set(of_gaussian) == {"originals", "samples"}
    for masks, there in (
        (None, True),
        (draw_masks(0, 3, (8,), num_masks=2), True),
        (draw_masks(0, 3, (8,), num_orders=3), False),
    ):
        model = masked_autoencoder(MaskedMLP((8,), (3,)), (3,), masks)
        params = Params(model.init(jax.random.key(1)), ())
        found = pictures(key, model, no_latent(), params, binary, count=5)
        assert found["samples"].shape == found["originals"].shape == (5, 3)
        assert ("completions" in found) == there
        if there:
            np.testing.assert_array_equal(found["completions_known"], [True, False, False])
            np.testing.assert_array_equal(found["completions"][:, 0], binary.x[:5, 0])
