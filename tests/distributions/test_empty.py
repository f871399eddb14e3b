"""Without a latent variable every bound is log p(x), and so is its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vaejax.distributions import (
    DiagonalGaussian,
    Empty,
    has_latent,
    sample_and_kl,
    standard_normal,
    structure_of,
)
from vaejax.objectives import doubly_reparameterized, elbo, iwae, sticking_the_landing
from vaejax.types import Joint

KEY, X, SCALE = jax.random.key(0), np.array([1.0, -0.8, 0.5]), 0.7
BOUNDS = {
    "elbo": elbo,
    "iwae": lambda *arguments: iwae(*arguments, num_samples=5),
    "sticking_the_landing": sticking_the_landing,
    "doubly_reparameterized": lambda *a: doubly_reparameterized(*a, num_samples=5),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_is_log_p_of_x_exactly(name):
    def value(mean):
        joint = Joint(Empty(), lambda z: DiagonalGaussian(mean, jnp.full(3, np.log(SCALE))))
        return BOUNDS[name](KEY, Empty(), joint, X).value

    mean = np.array([0.3, 0.1, -0.4])
    found, gradient = jax.jit(jax.value_and_grad(value))(mean)
    np.testing.assert_allclose(found, scipy.stats.norm(mean, SCALE).logpdf(X).sum(), rtol=1e-6)
    np.testing.assert_allclose(gradient, (X - mean) / SCALE**2, rtol=1e-5)


def test_its_one_value():
    assert not has_latent(Empty()) and has_latent(standard_normal(2))
    assert structure_of(Empty()) == () and Empty().mean() == ()
    for shape in ((), (4,)):
        z, log_p = Empty().sample_and_log_prob(seed=KEY, sample_shape=shape)
        assert z == () and log_p.shape == shape and not np.any(log_p)
    z, kl = sample_and_kl(KEY, Empty(), Empty())
    assert z == () and kl == 0


def test_it_is_no_q_of_a_model_with_a_latent_variable():
    with pytest.raises(TypeError, match=r"^expected p\(z\) to be Empty, as q is; got Diagonal.*$"):
        sample_and_kl(KEY, Empty(), standard_normal(2))
