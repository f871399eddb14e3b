"""Factors of covariances against numpy, and under the load that jaxlib's own solver hangs under."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions.factors import inverse_of_factor


@pytest.mark.parametrize("d", [1, 2, 4, 11])
def test_the_inverse_of_a_factor_is_numpys_along_leading_axes(d):
    random = np.random.default_rng(d)
    factors = np.tril(random.normal(size=(3, 4, d, d)), -1)
    factors += np.exp(random.normal(size=(3, 4, d, 1))) * np.eye(d)
    found = np.asarray(jax.jit(inverse_of_factor)(factors.astype(np.float32)))
    truth = np.linalg.inv(factors)
    scale = np.abs(truth).max(axis=(-2, -1), keepdims=True)
    np.testing.assert_allclose(found / scale, truth / scale, atol=1e-5)
    assert (np.triu(found, 1) == 0).all()


def test_a_program_of_many_factors_calls_no_solver():
    """Two batched calls at once end never on a CPU of few cores."""

    def total(factors):
        return jnp.sum(jax.vmap(inverse_of_factor)(factors))

    program = jax.jit(jax.grad(total)).lower(jnp.ones((1000, 3, 3))).as_text()
    assert "trsm" not in program and "triangular_solve" not in program
