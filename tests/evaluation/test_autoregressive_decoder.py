"""A p(x | z) without a formula for its mean, measured and drawn."""

import itertools

import jax
import numpy as np

from tests.runs import evaluated, examples
from vaejax import distributions, generative, inference, networks
from vaejax.evaluation import pictures
from vaejax.types import Params

ALL = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(16, 2, 2)


def test_its_pictures_are_means_of_draws_and_it_has_no_squared_error():
    """At the code of each x, against the sum over all sixteen x'."""
    model = generative.autoregressive_decoder(
        distributions.standard_normal(3), networks.MaskedMLP((8,), (4,)), (2, 2)
    )
    q = inference.amortized(inference.point_mass(3), networks.MLP((8,), (3,)), (2, 2))
    params = Params(
        jax.tree.map(lambda w: 3 * w, model.init(jax.random.key(0))), q.init(jax.random.key(1))
    )
    arrays = evaluated(model, q, params, ALL, num_samples=1)
    assert "squared_error" not in arrays
    drawn = pictures(jax.random.key(3), model, q, params, examples(ALL))
    joint = model.joint(params.generative)

    @jax.jit
    def log_probs(z):
        return joint.likelihood(z).log_prob(ALL)

    def exact(z):
        return np.tensordot(np.exp(log_probs(z)), ALL, 1)

    means = np.array([exact(z) for z in arrays["code"]])
    errors = np.sqrt(means * (1 - means) / 100)
    scores = (drawn["reconstructions"] - means) / errors
    assert np.abs(scores).max() < 5
    assert 0.5 < np.std(scores) < 2
    assert np.ptp(means) > 0.3
