"""Training against models whose best parameters are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vaejax
from tests.pairs import elbo_objective, linear_gaussian
from vaejax import Example, inference
from vaejax.distributions import DiagonalGaussian, Frames, support_problem
from vaejax.objectives import Terms
from vaejax.training import (
    NonFiniteLoss,
    Train,
    gradient_update,
    init_state,
    loss_of,
    make_steps,
    objective_terms,
)
from vaejax.training.checks import check_examples
from vaejax.training.settings import burda_schedule
from vaejax.training.step import epoch_order
from vaejax.types import Conditions


class Linear:
    """A network that is a matrix, so that q(z | x) can be exact."""

    def __init__(self, output):
        self.output = output

    def init(self, key, x):
        return {
            "w": 0.1 * jax.random.normal(key, (self.output, x.size)),
            "b": jnp.zeros(self.output),
        }

    def apply(self, params, x):
        return params["w"] @ x + params["b"]


def factor_data(weights, noise, n, seed=0):
    random = np.random.RandomState(seed)
    z = random.randn(n, weights.shape[1])
    return (z @ weights.T + noise * random.randn(n, len(weights))).astype(np.float32)


def test_training_reaches_the_maximum_likelihood_of_probabilistic_pca():
    """With one latent a diagonal q is exact, so the best ELBO is the maximum of log p(x), which
    Tipping & Bishop (1999) give from the eigenvalues of the second moment."""
    truth = np.array([[1.5], [-1.0], [0.5], [1.0]])
    xs = factor_data(truth, 0.5, 2000)
    eigenvalues = np.linalg.eigvalsh(xs.T @ xs / len(xs))[::-1].astype(np.float64)
    noise2 = eigenvalues[1:].mean()
    log_det = np.log(eigenvalues[0]) + 3 * np.log(noise2)
    best = -0.5 * (4 * np.log(2 * np.pi) + log_det + 4)

    model, _ = linear_gaussian(np.ones((4, 1)) * 0.3, 1.0)
    q = inference.amortized(inference.diagonal_gaussian(1), Linear(2), (4,))
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, 3000))
    params, _ = vaejax.fit(
        jax.random.key(0), model, q, elbo_objective, xs, num_steps=3000, optimizer=optimizer
    )
    _, log_marginal = linear_gaussian(
        np.asarray(params.generative["weights"]), float(np.exp(params.generative["log_noise"]))
    )
    assert abs(log_marginal(xs.astype(np.float64)).mean() - best) < 2e-3

    joint = model.joint(params.generative)
    posterior = jax.vmap(lambda x: q.posterior(params.inference, x, joint).mean())(xs)
    w = np.asarray(params.generative["weights"], np.float64)
    s2 = float(np.exp(2 * params.generative["log_noise"]))
    exact = xs @ w / (w.T @ w + s2)
    assert np.abs(np.asarray(posterior) - exact).max() < 0.05


def test_a_step_is_adam_on_the_mean_gradient():
    """One compiled step against the same step written out by hand."""
    model, _ = linear_gaussian(np.ones((4, 2)) * [[1.0, -0.5]], 0.7)
    q = inference.amortized(inference.diagonal_gaussian(2), Linear(4), (4,))
    optimizer = optax.adam(1e-2)
    xs = factor_data(np.ones((4, 2)), 0.5, 8)
    update = gradient_update(loss_of(objective_terms(model, q, elbo_objective)), optimizer)
    state = init_state(jax.random.key(1), model, q, update)
    steps = make_steps(update, lambda key, stored: Example(stored))
    after, (terms, _) = jax.jit(steps)(state, jnp.arange(8).reshape(1, 8), xs)

    step_key = jax.random.fold_in(jax.random.split(state.key, 3)[1], 0)
    keys = jax.random.split(jax.random.split(step_key)[1], 8)

    def loss(params):
        total = 0.0
        for key, x in zip(keys, xs, strict=True):
            joint = model.joint(params.generative)
            posterior = q.posterior(params.inference, x, joint)
            total -= elbo_objective(key, posterior, joint, x, 0).value / 8
        return total

    value, gradient = jax.value_and_grad(loss)(state.params)
    # Adam's first step moves every parameter by the rate, against the sign of its gradient.
    expected = jax.tree.map(lambda p, g: p - 1e-2 * g / (jnp.abs(g) + 1e-8), state.params, gradient)
    np.testing.assert_allclose(terms.value[0], -value, rtol=1e-5)
    for new, wanted in zip(jax.tree.leaves(after.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(new, wanted, atol=2e-5)
    assert int(after.step) == 1


def test_an_epoch_visits_every_example_once_and_epochs_differ():
    key = jax.random.key(3)
    first, second = np.asarray(epoch_order(key, 0, 50)), np.asarray(epoch_order(key, 1, 50))
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()


def test_burda_stages():
    """Stage i of the published schedule: 3^i of 3,280 passes at 10^(-i / 7) of the rate."""
    schedule = burda_schedule(1e-3, 3280 * 10)
    start = 0
    for i, published in enumerate([10, 7.2, 5.2, 3.7, 2.7, 1.9, 1.4, 1]):
        end = start + 10 * 3**i
        for step in (start, end - 1):
            assert abs(float(schedule(step)) * 1e4 - published) < 0.06
        start = end
    assert start == 32800


def test_a_loss_that_stops_being_finite_is_named():
    model, _ = linear_gaussian(np.ones((4, 1)), 1.0)
    q = inference.amortized(inference.diagonal_gaussian(1), Linear(2), (4,))
    xs = factor_data(np.ones((4, 1)), 0.5, 100)
    with pytest.raises(NonFiniteLoss, match=r"step \d+"):
        vaejax.fit(
            jax.random.key(0), model, q, elbo_objective, xs, num_steps=50, optimizer=optax.sgd(1e6)
        )


def test_the_example_whose_loss_is_not_finite_is_named():
    """Number 37, in the step that draws it; where all are broken, none."""
    model, _ = linear_gaussian(np.ones((4, 1)), 1.0)
    q = inference.amortized(inference.diagonal_gaussian(1), Linear(2), (4,))
    xs = factor_data(np.ones((4, 1)), 0.5, 100)
    xs = jnp.asarray(xs).at[37, 0].set(1000.0)

    def objective(key, q, joint, x, step):
        terms = elbo_objective(key, q, joint, x, step)
        return terms._replace(value=jnp.where(x[0] > 999.0, jnp.nan, terms.value))

    fit = functools.partial(vaejax.fit, jax.random.key(0), model, q)
    with pytest.raises(NonFiniteLoss, match=r"at step \d+, in training example 37 ") as error:
        fit(objective, xs, num_steps=10, batch_size=10)
    order = epoch_order(
        init_state(
            jax.random.key(0), model, q, gradient_update(lambda *a: None, optax.adam(1e-3))
        ).key,
        0,
        100,
    )
    assert 37 in order[10 * error.value.step :][:10]
    with pytest.raises(NonFiniteLoss, match=r"at step 0$"):
        fit(lambda *a: Terms(jnp.array(jnp.nan), {}), xs, num_steps=10, batch_size=10)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        Train(batch_size=0)
    with pytest.raises(
        ValueError, match="batch_size must be at most 40, the number of training examples; got 500"
    ):
        Train(batch_size=500).steps_per_epoch(40)
    assert Train(epochs=3, batch_size=10).total_steps(45) == 12
    assert Train(epochs=3, steps=7, batch_size=10).total_steps(45) == 7


def test_sequences_that_do_not_fit_together_are_refused():
    x, exists = np.zeros((4, 5, 3), np.float32), np.ones((4, 5), bool)

    def refusal(x=x, exists=exists, actions=()):
        with pytest.raises(ValueError) as caught:
            check_examples("fit", Example(x, Conditions(exists, actions)))
        return str(caught.value)

    assert "the same number of examples in every array" in refusal(exists=exists[:3])
    assert "(3, 5, 1)" in refusal(actions=np.zeros((3, 5, 1)))
    none, hole = exists.copy(), exists.copy()
    none[2], hole[3, 1] = False, False
    assert "sequence 2 has 0 steps that exist" in refusal(exists=none)
    assert "sequence 3 has 4 steps that exist, which are not its first" in refusal(exists=hole)
    check_examples("fit", Example(x, Conditions(exists)))


def test_a_frame_that_is_nan_in_part_is_named():
    x = np.zeros((4, 5, 3), np.float32)
    x[2, 1], x[3, 4, 0] = np.nan, np.nan
    p = Frames(lambda t, z: DiagonalGaussian(z, jnp.zeros(3)), jnp.zeros((5, 3)))
    assert "sequence 3 has others in frame 4" in support_problem(p, x)
    assert support_problem(p, x[:3]) is None
