"""MaskedMLP against its Jacobian: which output depends on which input."""

import jax
import numpy as np
import pytest

from vaejax.networks import MaskedMLP

ORDERS = [None, (3, 0, 4, 2, 1), (4, 3, 2, 1, 0)]


def dependence(network, x):
    """[i, j]: does any number of y[i] move with x[j], at generic parameters?"""
    params = network.init(jax.random.key(0), x)
    jacobian = jax.jacobian(lambda x: network.apply(params, x.reshape(-1)))(x.reshape(-1))
    return np.any(np.asarray(jacobian) != 0, axis=tuple(range(1, jacobian.ndim - 1)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hidden", [(), (4,), (32,), (4, 7), (16, 16)])
@pytest.mark.parametrize("rest", [(), (2,), (2, 3)])
def test_an_output_depends_on_all_that_precede_it_and_on_nothing_else(order, hidden, rest):
    """With d - 1 hidden units and more: the Jacobian, in that order, is strictly lower triangular
    and has no other zero."""
    x = np.random.default_rng(0).normal(size=5).astype(np.float32)
    seen = dependence(MaskedMLP(hidden, (5, *rest), order), x)
    order = np.arange(5) if order is None else np.asarray(order)
    np.testing.assert_array_equal(seen[np.ix_(order, order)], np.tril(np.ones((5, 5)), -1) > 0)


def test_fewer_hidden_units_than_inputs_are_still_strict():
    x = np.random.default_rng(0).normal(size=9).astype(np.float32)
    seen = dependence(MaskedMLP((3,), (9,)), x)
    assert not np.any(np.triu(seen))
    assert np.all(seen[1:].any(axis=1))


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_one_input_has_nothing_before_it(hidden):
    assert not dependence(MaskedMLP(hidden, (1, 2)), np.ones(1, np.float32)).any()


def test_x_of_any_shape_is_taken_flat():
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    network = MaskedMLP((8,), (6, 2))
    params = network.init(jax.random.key(0), x)
    y = network.apply(params, x)
    assert y.shape == (6, 2)
    np.testing.assert_array_equal(y, network.apply(params, x.reshape(-1)))


def test_output_kernel_at_zero_gives_the_output_bias():
    network = MaskedMLP((8,), (3, 2), output_kernel_init=jax.nn.initializers.zeros)
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(network.apply(network.init(jax.random.key(0), x), x), 0.0)


def test_another_number_of_inputs_is_refused():
    with pytest.raises(ValueError, match=r"\(4,\).*4 elements.* is 3"):
        MaskedMLP((8,), (3,)).init(jax.random.key(0), np.ones(4, np.float32))


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (1, 2, 3)])
def test_an_order_that_is_no_permutation_is_refused(order):
    with pytest.raises(ValueError, match=r"permutation of 0\.\.2"):
        MaskedMLP((8,), (3,), order).init(jax.random.key(0), np.ones(3, np.float32))


@pytest.mark.parametrize("hidden", [(), (16, 16)])
def test_a_context_reaches_every_output_and_leaves_the_order_of_x(hidden):
    x, c = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    network = MaskedMLP(hidden, (5,))
    params = network.init(jax.random.key(0), x, c)
    of_x, of_c = jax.jacobian(lambda x, c: network.apply(params, x, c), argnums=(0, 1))(x, c)
    np.testing.assert_array_equal(np.asarray(of_x) != 0, np.tril(np.ones((5, 5)), -1) > 0)
    assert np.all(np.asarray(of_c) != 0)
