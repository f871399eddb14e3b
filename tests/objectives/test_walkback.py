"""Walkback against the sum over its rounds of powers of a transition matrix."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.pairs import linear_gaussian
from tests.tables import corruption_matrix, density_pair, place, point_mass_pair, states
from vaejax import inference, networks, objectives
from vaejax.objectives import reconstruction, salt_and_pepper, walkback
from vaejax.training import denoising_terms
from vaejax.training.terms import over_batch
from vaejax.types import Example

SIZE, FRACTION, N = 2, 0.3, 20_000


@pytest.mark.parametrize("make", [point_mass_pair, density_pair])
@pytest.mark.parametrize("most", [0, 1, 4])
def test_what_q_sees_is_the_mixture_of_the_rounds(make, most):
    """From one x: C, C D C, C D C D C, ... with weights 1, 1/2, 1/4, ...; D is p(x | x~)."""
    (model, q), params, denoised = make(SIZE)
    x = states(SIZE)[1]
    joint = model.joint(params.generative, ())

    def one(key):
        def posterior(seen):
            return q.posterior(params.inference, seen, joint, ())

        return walkback(key, posterior, joint, salt_and_pepper(FRACTION), x, most=most)

    seen = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), N))
    found = np.bincount(np.asarray(place(seen)), minlength=2**SIZE) / N

    corrupted = corruption_matrix(FRACTION, SIZE)
    row, weights, truth = corrupted[1], 0.5 ** np.arange(most + 1), 0.0
    for weight in weights / weights.sum():
        truth = truth + weight * row
        row = row @ denoised @ corrupted
    error = np.sqrt(truth * (1 - truth) / N)
    np.testing.assert_array_less(np.abs(found - truth), 4 * error)


def test_no_gradient_passes_through_the_walk():
    """Of a whole batch's objective: the gradient at parameters that the walk shares is that with
    the walk's end as data."""
    model, _ = linear_gaussian([[1.0, 0.6], [0.5, -0.4], [-0.7, 0.9]], 0.8)
    q = inference.amortized(inference.diagonal_gaussian(2), networks.MLP((5,), (4,)), (3,))
    params = jax.jit(model.init)(jax.random.key(0)), jax.jit(q.init)(jax.random.key(1))
    x = np.array([1.0, -0.8, 0.5], np.float32)

    def loss(moving, walking):
        def parts(params):
            joint = model.joint(params[0])
            return joint, lambda seen: q.posterior(params[1], seen, joint)

        # All is smooth here, so that a gradient could pass.
        def one(key):
            joint, posterior = parts(walking)
            seen = walkback(key, posterior, joint, lambda key, x: 0.5 * x, x, most=3)
            joint, posterior = parts(moving)
            return reconstruction(key, posterior(seen), joint, x).value

        return jnp.mean(jax.vmap(one)(jax.random.split(jax.random.key(2), 8)))

    apart = jax.jit(jax.grad(loss))(params, params)
    together = jax.jit(jax.grad(lambda both: loss(both, both)))(params)
    # Two programs, so that the last bits differ; a gradient through the walk would be far off.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), apart, together)


def test_a_step_of_training_walks():
    """denoising_terms gives the objective the q at the walk's end, and x itself as the target."""
    (model, q), params, _ = point_mass_pair(SIZE)
    with pytest.raises(ValueError, match="most_walkback must be 0 or more; got -1"):
        denoising_terms(model, q, None, salt_and_pepper(0.5), most_walkback=-1)
    xs = jnp.asarray(states(SIZE))

    def objective(key, q, joint, x, step):
        return objectives.Terms(q.location, {"x": x})

    means = {}
    for most in (0, 3):
        terms = over_batch(
            denoising_terms(model, q, objective, salt_and_pepper(FRACTION), most_walkback=most)
        )
        found = jax.jit(jax.vmap(lambda key, f=terms: f(params, key, Example(xs), 0)))(
            jax.random.split(jax.random.key(0), 2000)
        )
        np.testing.assert_array_equal(found.metrics["x"][0], xs)
        codes = np.asarray(params.inference)
        means[most] = np.mean(np.asarray(found.value) == codes, axis=0)
    # Farther from x, and so from its code, with a walk than without.
    assert np.all(means[3] < means[0])
