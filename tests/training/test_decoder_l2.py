"""The L2 penalty on the decoder's weights against the same penalty in the objective."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.pairs import digits_pair
from vaejax import Params
from vaejax.errors import UserError
from vaejax.experiment import Regularization, decoder_weights
from vaejax.training import Train

MODEL, Q = digits_pair()
PARAMS = Params(jax.jit(MODEL.init)(jax.random.key(0)), jax.jit(Q.init)(jax.random.key(1)))


def optimizer_of(decoder_l2):
    return Regularization(decoder_l2=decoder_l2).optimizer(Train(), 1000)


def test_it_is_the_gradient_of_half_the_sum_of_squared_kernels():
    """Three steps of Adam on a made-up loss with the penalty written out."""
    l2, targets = 0.3, jax.tree.map(np.cos, PARAMS)

    def loss(params):
        parts = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 2), params, targets)
        return sum(jax.tree.leaves(parts))

    def with_penalty(params):
        layers = params.generative["decoder"]["params"].values()
        return loss(params) + 0.5 * l2 * sum(jnp.sum(layer["kernel"] ** 2) for layer in layers)

    found = []
    for penalty, function in ((l2, loss), (0.0, with_penalty)):
        optimizer = optimizer_of(penalty)

        @jax.jit
        def three_steps(params, optimizer=optimizer, function=function):
            state = optimizer.init(params)
            for _ in range(3):
                updates, state = optimizer.update(jax.grad(function)(params), state, params)
                params = optax.apply_updates(params, updates)
            return params

        found.append(three_steps(PARAMS))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *found)


def test_a_learned_prior_has_no_penalty():
    """Its means, which are a matrix, are not drawn to 0."""
    theta = PARAMS.generative | {"prior": {"means": jnp.ones((3, 2))}}
    mask = decoder_weights(PARAMS._replace(generative=theta)).generative
    assert mask["prior"] == {"means": False}
    assert [layer["kernel"] for layer in mask["decoder"]["params"].values()] == [True, True]


def test_without_it_the_optimizer_is_what_it_was():
    """Adam alone, with nothing beside its state."""
    adam = optax.adam(optax.cosine_decay_schedule(1e-3, 2000))
    states = [optimizer.init(PARAMS) for optimizer in (optimizer_of(0.0), adam)]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])


@pytest.mark.parametrize("bad", [-1.0, float("inf"), float("nan")])
def test_impossible_penalties_are_refused(bad):
    with pytest.raises(UserError, match="decoder_l2"):
        Regularization(decoder_l2=bad)
