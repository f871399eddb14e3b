"""The front door: exact values in float64, what is refused, what is flagged, what is compiled."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from vaejax import Joint, LogJoint, distributions
from vaejax import marginal_likelihood as ml
from vaejax.evaluation.gap_arithmetic import with_log_p


def gaussian(mean, log_scale):
    return distributions.DiagonalGaussian(mean, jnp.broadcast_to(log_scale, mean.shape))


@pytest.mark.parametrize("pixels", [784, 3000])
def test_exact_is_exact_where_float32_is_not(pixels):
    """Noise of 1e-5: against the determinant lemma and Woodbury's identity in numpy's long
    double."""
    random = np.random.RandomState(0)
    weights = random.randn(pixels, 3).astype(np.float32)
    log_noise = np.float32(np.log(1e-5))
    noise = np.exp(np.longdouble(log_noise))
    x = (weights @ random.randn(3) + 1e-5 * random.randn(pixels)).astype(np.float32)
    joint = Joint(
        distributions.standard_normal(3), lambda z: gaussian(jnp.asarray(weights) @ z, log_noise)
    )
    w, r = weights.astype(np.longdouble), x.astype(np.longdouble)
    inner = np.eye(3) + w.T @ w / noise**2
    # Cholesky by hand: numpy has none of long doubles.
    factor = np.zeros((3, 3), np.longdouble)
    for i in range(3):
        for j in range(i + 1):
            rest = inner[i, j] - factor[i] @ factor[j]
            factor[i, j] = np.sqrt(rest) if i == j else rest / factor[j, j]
    solved = np.zeros(3, np.longdouble)
    for i in range(3):
        solved[i] = ((w.T @ r)[i] / noise**2 - factor[i] @ solved) / factor[i, i]
    log_det = 2 * np.log(np.diag(factor)).sum() + 2 * pixels * np.log(noise)
    quadratic = r @ r / noise**2 - solved @ solved
    truth = float(-0.5 * (log_det + quadratic + pixels * np.log(2 * np.longdouble(np.pi))))
    estimates = ml.log_marginal_likelihood(jax.random.key(0), joint, x[None])
    assert estimates.method.startswith("exact")
    assert 0 < estimates.std_error[0] < 1e-3
    assert abs(estimates.value[0] - truth) < max(1e-5, 5 * estimates.std_error[0])


def test_a_model_without_a_latent_is_its_own_log_p():
    joint = Joint(distributions.Empty(), lambda z: gaussian(jnp.zeros(2), 0.0))
    estimates = ml.log_marginal_likelihood(jax.random.key(0), joint, np.ones((3, 2), np.float32))
    assert estimates.method == "exact: no latent variable"
    np.testing.assert_allclose(estimates.value, -1 - np.log(2 * np.pi), rtol=1e-6)


def two_modes():
    """p(x | z) depends on z^2: the posterior has two modes, near +-1.2."""
    joint = Joint(distributions.standard_normal(1), lambda z: gaussian(z**2, jnp.asarray(-1.0)))
    return joint, np.full((12, 1), 1.5, np.float32)


def test_a_missed_mode_is_flagged_by_default():
    joint, xs = two_modes()
    estimator = functools.partial(
        ml.annealed_importance_sampling, num_chains=64, num_temperatures=100
    )

    def encode(mean_and_log_scale, x):  # as arguments of one program
        mean, log_scale = mean_and_log_scale
        return gaussian(jnp.full(1, mean), log_scale)

    def run(mean, log_scale):
        posterior = Partial(encode, np.float32([mean, log_scale]))
        return ml.log_marginal_likelihood(
            jax.random.key(0), joint, xs, posterior=posterior, estimator=estimator
        )

    narrow = run(1.2, -2.0)
    (reason,) = [reason for reason in narrow.flags() if "q misses a mode" in reason]
    assert len(narrow.flags()[reason]) >= 10
    assert np.isinf(narrow.interval()[1][narrow.flags()[reason]]).all()
    fine = run(0.0, 0.0)
    assert sum(map(len, fine.flags().values())) <= 1


SCALES = np.array([0.15, 1.0], np.float32)


def square_and_side(z):
    return gaussian(jnp.concatenate([z**2, jnp.tanh(4 * z)]), jnp.log(SCALES))


def near_two(x):
    return gaussian(jnp.full(1, 2.0), np.log(0.15 / 4))


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_how_much_a_missed_mode_holds_decides_whether_it_is_flagged(share):
    """x = (z^2, tanh(4 z)) + noise: p(z | x) has modes near 2, of mass `share`, and near -2, which
    q misses: log 2 nats are flagged, a tenth of a nat is not."""
    x = np.array([4.0, 0.5 * np.log(share / (1 - share))], np.float32)
    joint = Joint(distributions.standard_normal(1), square_and_side)
    estimates = ml.log_marginal_likelihood(
        jax.random.key(0), joint, np.tile(x, (40, 1)), posterior=near_two
    )
    grid = np.linspace(-6, 6, 40_001)
    residuals = (x - np.stack([grid**2, np.tanh(4 * grid)], axis=1)) / SCALES
    log_f = -0.5 * (grid**2 + (residuals**2).sum(axis=1)) - 1.5 * np.log(2 * np.pi)
    mass = np.exp(log_f - np.log(SCALES).sum()) * (grid[1] - grid[0])
    np.testing.assert_allclose(estimates.value, np.log(mass[grid > 0].sum()), atol=0.1)
    # What the check finds beyond q's mode is, in expectation, what is there.
    unreached = np.exp(estimates.diagnostics["prior_check_unreached"].astype(np.float64))
    error = unreached.std(ddof=1) / np.sqrt(40)
    assert abs(unreached.mean() - mass[grid < 0].sum()) < 4 * error
    flagged = sum(len(v) for reason, v in estimates.flags().items() if "q misses a mode" in reason)
    assert flagged >= 36 if share == 0.5 else flagged <= 4


def test_x_outside_the_support_is_refused_and_a_probability_above_one_flagged():
    joint = Joint(distributions.standard_normal(2), lambda z: distributions.Bernoulli(z))
    run = functools.partial(ml.log_marginal_likelihood, jax.random.key(0), joint)
    with pytest.raises(ValueError, match="Bernoulli is over values 0 and 1; got values from 0"):
        run(np.array([[0, 255]], np.float32))
    with pytest.raises(ValueError, match="Bernoulli"):
        run(np.array([[0, 0.5]], np.float32))
    logistic = distributions.DiscretizedLogistic(jnp.zeros(2), jnp.zeros(2), 255)
    assert distributions.support_problem(logistic, np.array([0, 3 / 255], np.float32)) is None
    assert "255" in distributions.support_problem(logistic, np.array([0, 2.0]))
    nothing = np.zeros(1)
    above = ml.Estimates(nothing + 3, nothing, nothing + 9, nothing, {}, "", discrete=True)
    assert "probability of a discrete x above 1" in above.flags()
    assert "mean 3.000 nats" in repr(above) and "1 flagged" in repr(above)
    with pytest.raises(ValueError, match='estimator is "auto" or'):
        run(np.zeros((1, 2), np.float32), estimator="exact")


def test_parameters_are_arguments_of_one_program():
    traces = []

    def decode(theta, z):
        traces.append(None)
        return gaussian(jnp.tanh(theta * z), jnp.asarray(0.0))

    def encode(phi, x):
        return gaussian(phi * x, jnp.asarray(0.0))

    xs = np.ones((2, 2), np.float32)

    def run(theta, phi):
        return ml.log_marginal_likelihood(
            jax.random.key(0),
            Joint(distributions.standard_normal(2), Partial(decode, jnp.float32(theta))),
            xs,
            posterior=Partial(encode, jnp.float32(phi)),
            estimator=functools.partial(ml.importance_sampling, num_samples=200),
        )

    def count(theta, phi):
        before = len(traces)
        value = run(theta, phi).value
        return len(traces) - before, value

    first, one = count(1.0, 0.5)
    second, other = count(3.0, 0.4)
    assert second < first  # the checks of shapes alone
    third, again = count(1.0, 0.5)
    assert third == second
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_each_half_of_the_examples_takes_the_other_halfs_estimator():
    """Two estimators of pure noise: the mean of what is chosen is not above theirs."""
    random = np.random.RandomState(0)
    means = []
    for _ in range(2000):
        arrays = {
            f"{name}{end}": random.randn(6)
            for name in ("importance", "annealed")
            for end in ("", "_std_error", "_khat")
        }
        means.append(with_log_p(arrays)["log_p"].mean())
    assert np.mean(means) < 3 * np.std(means) / np.sqrt(2000)


def test_a_decoder_that_is_written_with_numpy_is_refused_in_one_line():
    weights, prior = np.ones((4, 2), np.float32), distributions.standard_normal(2)
    joint = Joint(prior, lambda z: gaussian(jnp.asarray(np.dot(weights, z)), 0.0))
    logjoint = LogJoint(lambda x, z: jnp.sum(np.square(x) - np.dot(weights, z)))
    for model, q in ((joint, None), (joint, prior), (logjoint, prior)):
        posterior = None if q is None else lambda x, q=q: q
        with pytest.raises(TypeError, match=r"must be written with jax\.numpy, .* traced$"):
            ml.log_marginal_likelihood(
                jax.random.key(0), model, jnp.zeros((3, 4)), posterior=posterior
            )
