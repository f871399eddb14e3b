"""MaskedMLP against its Jacobian: which output depends on which input."""

import jax
import numpy as np
import pytest

from vaejax.networks import MaskedMLP

ORDERS = [None, (3, 0, 4, 2, 1), (4, 3, 2, 1, 0)]


def generic(network, *inputs):
    """Parameters at random."""
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), shapes)


def dependence(network, x):
    """[i, j]: does any number of y[i] move with x[j], at generic parameters?"""
    jacobian = jax.jit(jax.jacobian(network.apply, argnums=1))(generic(network, x), x)
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
    params = generic(network, x)
    apply = jax.jit(network.apply)
    y = apply(params, x)
    assert y.shape == (6, 2)
    np.testing.assert_array_equal(y, apply(params, x.reshape(-1)))


def test_output_kernel_at_zero_gives_the_output_bias():
    network = MaskedMLP((8,), (3, 2), output_kernel_init=jax.nn.initializers.zeros)
    x = np.ones(3, np.float32)
    y = jax.jit(lambda key: network.init_with_output(key, x)[0])(jax.random.key(0))
    np.testing.assert_array_equal(y, np.zeros((3, 2)))


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
    jacobians = jax.jit(jax.jacobian(network.apply, argnums=(1, 2)))
    of_x, of_c = jacobians(generic(network, x, c), x, c)
    np.testing.assert_array_equal(np.asarray(of_x) != 0, np.tril(np.ones((5, 5)), -1) > 0)
    assert np.all(np.asarray(of_c) != 0)
