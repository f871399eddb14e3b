"""AIS, SMC and bidirectional Monte Carlo against exact log p(x), and HMC against mechanics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.pairs import linear_gaussian
from vaejax import Joint, LogJoint, distributions
from vaejax import marginal_likelihood as ml
from vaejax.marginal_likelihood.annealed_path import annealed_path, evaluate
from vaejax.marginal_likelihood.estimate import combine
from vaejax.marginal_likelihood.hmc import leapfrog
from vaejax.types import rows_of

WEIGHTS = np.random.RandomState(0).randn(5, 3)
NOISE = 0.8
REPLICATES = 300


@pytest.fixture(scope="module")
def problem():
    """(joint, x, exact log p(x), a q that is off by a little, the exact posterior's moments)."""
    model, log_marginal = linear_gaussian(WEIGHTS, NOISE)
    joint = model.joint(model.init(jax.random.key(0)))
    x = np.random.RandomState(1).randn(5)
    covariance = np.linalg.inv(np.eye(3) + WEIGHTS.T @ WEIGHTS / NOISE**2)
    mean = covariance @ WEIGHTS.T @ x / NOISE**2
    q = distributions.DiagonalGaussian(
        jnp.asarray(mean + 0.1, jnp.float32),
        jnp.asarray(0.5 * np.log(np.diag(covariance)), jnp.float32),
    )
    return joint, jnp.asarray(x, jnp.float32), float(log_marginal(x[None])[0]), q


ESTIMATORS = {
    "defensive importance sampling": functools.partial(
        ml.importance_sampling, num_samples=200, defensive=0.2
    ),
    "AIS from q": functools.partial(
        ml.annealed_importance_sampling, num_chains=8, num_temperatures=15, num_leapfrog=4
    ),
    "AIS from the prior": functools.partial(
        ml.annealed_importance_sampling,
        num_chains=8,
        num_temperatures=25,
        num_leapfrog=4,
        start="prior",
        schedule="sigmoid",
    ),
    "AIS from both": functools.partial(
        ml.annealed_importance_sampling,
        num_chains=8,
        num_temperatures=15,
        num_leapfrog=4,
        start="both",
        schedule="linear",
    ),
    "SMC": functools.partial(
        ml.sequential_monte_carlo, num_particles=64, num_temperatures=15, num_leapfrog=4
    ),
}


@pytest.fixture(scope="module")
def replicates(problem):
    """Name -> that many estimates by that estimator."""
    joint, x, _, q = problem

    @functools.cache
    def by(name):
        run = jax.jit(jax.vmap(lambda key: ESTIMATORS[name](key, joint, x, q)))
        return run(jax.random.split(jax.random.key(2), REPLICATES))

    return by


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_estimate_of_p_x_is_unbiased(problem, replicates, name):
    """mean of exp(estimate - exact) over replicates is 1 within three standard errors."""
    exact, estimate = problem[2], replicates(name)
    ratio = np.exp(np.asarray(estimate.value, np.float64) - exact)
    assert abs(ratio.mean() - 1) < 3 * ratio.std(ddof=1) / np.sqrt(REPLICATES)
    assert ratio.std() < 0.6


def test_bidirectional_bounds_hold_in_expectation_and_meet(problem):
    """E[lower] <= log p(x) <= E[upper]; exp(-(upper - exact)) is unbiased for 1; the gap falls
    with the temperatures."""
    joint, _, _, q = problem
    _, log_marginal = linear_gaussian(WEIGHTS, NOISE)

    def run(num_temperatures):
        def one(key):
            data_key, chain_key = jax.random.split(key)
            z, x = joint.sample(data_key)
            shifted = distributions.DiagonalGaussian(z * 0.0, q.log_scale + 0.5)
            settings = {"num_chains": 4, "num_temperatures": num_temperatures, "num_leapfrog": 4}
            return x, ml.sandwich(chain_key, joint, z, x, shifted, **settings)

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), 200))

    gaps = []
    for num_temperatures in (10, 80):
        x, estimate = run(num_temperatures)
        exact = log_marginal(np.asarray(x, np.float64))
        lower = np.asarray(estimate.value, np.float64) - exact
        upper = np.asarray(estimate.diagnostics["upper"], np.float64) - exact
        error = lower.std() / np.sqrt(200), upper.std() / np.sqrt(200)
        assert lower.mean() < 3 * error[0]
        assert upper.mean() > -3 * error[1]
        gaps.append((upper - lower).mean())
    assert gaps[1] < gaps[0] / 2
    # The mean of the reverse weights, times p(x); of few temperatures its tail is too long to see.
    inverse = np.exp(-upper)
    assert abs(inverse.mean() - 1) < 3 * inverse.std(ddof=1) / np.sqrt(200)


def test_leapfrog_is_reversible_and_keeps_the_energy(problem):
    """Forwards, flip, forwards: the start. Halving the step divides the energy error by four."""
    joint, x, _, q = problem
    start, momentum = np.float32([0.3, -0.2, 0.5]), np.float32([1.0, 0.5, -0.7])

    @functools.partial(jax.jit, static_argnums=1)
    def there_and_back(size, steps):
        """(change of the energy on the way there, where the way back ends)"""
        path = annealed_path(jax.random.key(0), "a test", joint, x, q, from_prior=True)
        beta, point = jnp.float32(0.6), evaluate(path, start)

        def energy(point, momentum):
            return -point.log_density(beta) + 0.5 * jnp.sum(momentum**2)

        step = size * path.scale(beta)
        end, end_momentum = leapfrog(path, beta, point, momentum, step, steps)
        back, _ = leapfrog(path, beta, end, -end_momentum, step, steps)
        return abs(energy(end, end_momentum) - energy(point, momentum)), back.z

    drifts = []
    for size, steps in ((0.1, 10), (0.05, 20)):
        drift, back = there_and_back(size, steps)
        np.testing.assert_allclose(back, start, atol=1e-4)
        drifts.append(drift)
    assert drifts[0] / drifts[1] == pytest.approx(4.0, rel=0.25)


def test_both_starts_show_a_mode_that_q_misses():
    """p(x | z) depends on z^2, so the posterior has two modes; q covers one. Its chains see half
    of p(x), log 2 too little, with small errors; starting from the prior as well shows it."""

    def likelihood(z):
        return distributions.DiagonalGaussian(z**2, jnp.full_like(z, -2.0))

    joint, x = Joint(distributions.standard_normal(1), likelihood), jnp.asarray([4.0])
    grid = np.linspace(-6, 6, 200_001)
    log_f = -0.5 * grid**2 - 0.5 * ((4 - grid**2) * np.exp(2.0)) ** 2 + 2 - np.log(2 * np.pi)
    exact = np.log(np.exp(log_f).sum() * (grid[1] - grid[0]))
    q = distributions.DiagonalGaussian(jnp.asarray([2.0]), jnp.asarray([-3.3]))
    estimates = ml.log_marginal_likelihood(
        jax.random.key(0),
        joint,
        np.repeat(x[None], 8, axis=0),
        posterior=lambda x: q,
        estimator=functools.partial(
            ml.annealed_importance_sampling,
            num_chains=128,
            num_temperatures=100,
            num_leapfrog=4,
            start="both",
        ),
    )
    found = estimates.diagnostics
    assert np.abs(found["from_posterior"] - (exact - np.log(2))).max() < 0.1
    ratio = np.exp(found["from_prior"].astype(np.float64) - exact)
    assert abs(ratio.mean() - 1) < 3 * ratio.std(ddof=1) / np.sqrt(8)
    assert (found["disagreement"] < -0.3).all()
    (flagged,) = [v for reason, v in estimates.flags().items() if "q misses a mode" in reason]
    assert len(flagged) >= 4


def test_the_front_door_takes_the_exact_value_and_says_so(problem):
    joint, x, exact, q = problem
    estimates = ml.log_marginal_likelihood(jax.random.key(0), joint, x[None])
    np.testing.assert_allclose(estimates.value, [exact], rtol=1e-6)
    assert estimates.method.startswith("exact: linear-Gaussian")
    given = ml.log_marginal_likelihood(
        jax.random.key(0),
        joint,
        x[None],
        posterior=lambda x: q,
        estimator=functools.partial(ml.importance_sampling, num_samples=50),
    )
    assert given.method == "importance sampling"

    mixture = distributions.Categorical(logits=jnp.log(jnp.asarray([0.2, 0.5, 0.3])))
    means = jnp.asarray([-1.0, 0.0, 2.0])

    def component(k):
        return distributions.DiagonalGaussian(means[k][None], jnp.zeros(1))

    estimates = ml.log_marginal_likelihood(
        jax.random.key(0),
        Joint(mixture, component),
        np.array([[0.5]], np.float32),
    )
    density = np.exp(-0.5 * (0.5 - np.array([-1, 0, 2])) ** 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(estimates.value, np.log(density @ [0.2, 0.5, 0.3]), rtol=1e-5)
    assert "3 values of z" in estimates.method


@pytest.mark.parametrize(
    "mean",
    [
        lambda z: z + 1e-2 * jnp.tanh(z),
        jnp.sign,  # of slope 0 wherever it has one
        lambda z: jnp.round(3 * z),
        lambda z: jnp.where(z > 0, z + 5, z),
        lambda z: jnp.where(z > 3, z + 0.1, z),
    ],
)
def test_a_curved_model_is_not_taken_for_an_exact_one(mean):
    def likelihood(z):
        return distributions.DiagonalGaussian(mean(z), jnp.zeros_like(z))

    assert ml.exact(Joint(distributions.standard_normal(2), likelihood)) is None


def test_no_value_depends_on_the_batch():
    """In double precision: in single, a rounding may flip an acceptance, and its chain."""
    with jax.enable_x64(True):
        joint = Joint(
            distributions.DiagonalGaussian(jnp.zeros(3), jnp.zeros(3)),
            lambda z: distributions.DiagonalGaussian(jnp.tanh(z), jnp.zeros_like(z)),
        )
        xs = np.random.RandomState(0).randn(7, 3)
        estimator = functools.partial(
            ml.annealed_importance_sampling, num_chains=4, num_temperatures=10, num_leapfrog=2
        )
        run = functools.partial(
            ml.log_marginal_likelihood,
            jax.random.key(0),
            joint,
            posterior=lambda x: distributions.DiagonalGaussian(0.5 * x, jnp.full(3, -0.3)),
            estimator=estimator,
        )
        whole, parts = run(xs), run(xs, batch_size=3)
        assert whole.value.dtype == np.float64
        np.testing.assert_allclose(whole.value, parts.value, atol=1e-8)
        np.testing.assert_allclose(run(xs[4:], first_index=4).value, whole.value[4:], atol=1e-8)


def test_combining_rounds_is_averaging_their_weights(replicates):
    rounds = [rows_of(replicates("defensive importance sampling"), i) for i in range(3)]
    values = np.array([float(r.value) for r in rounds])
    combined = combine(combine(rounds[0], rounds[1], 1), rounds[2], 2)
    assert float(combined.value) == pytest.approx(np.log(np.mean(np.exp(values))), abs=1e-5)
    assert float(combined.std_error) < min(float(r.std_error) for r in rounds)
    lost = rounds[0]._replace(value=-jnp.inf, std_error=jnp.nan, ess=jnp.nan)
    half = combine(rounds[1], lost, 1)
    assert float(half.value) == pytest.approx(values[1] - np.log(2), abs=1e-5)
    assert float(half.std_error) == pytest.approx(float(rounds[1].std_error), rel=1e-5)
    assert float(half.ess) == pytest.approx(float(rounds[1].ess), rel=1e-5)


def test_combining_rounds_averages_the_mass_that_chains_from_q_do_not_reach(replicates):
    estimate = rows_of(replicates("AIS from q"), 0)

    def with_unreached(value):
        found = {"prior_check_unreached": jnp.asarray(value)}
        return estimate._replace(diagnostics=estimate.diagnostics | found)

    for values in [(-1.0, -3.0), (-1.0, -np.inf), (-np.inf, -np.inf)]:
        first, second = (with_unreached(value) for value in values)
        found = combine(first, second, 3.0).diagnostics["prior_check_unreached"]
        np.testing.assert_allclose(np.exp(found), np.exp(values) @ [0.75, 0.25], rtol=1e-5)


def test_combining_rounds_of_both_starts_averages_each_start(replicates):
    first, second = (rows_of(replicates("AIS from both"), i) for i in range(2))
    both = combine(first, second, 1).diagnostics
    for start in ("from_prior", "from_posterior"):
        parts = [float(e.diagnostics[start]) for e in (first, second)]
        assert float(both[start]) == pytest.approx(np.log(np.mean(np.exp(parts))), abs=1e-5)
    assert float(both["disagreement"]) == pytest.approx(
        float(both["from_posterior"] - both["from_prior"])
    )
    assert both["gradient_evaluations"] == 2 * first.diagnostics["gradient_evaluations"]


def test_what_cannot_be_annealed(problem):
    joint, x, _, q = problem
    ais = functools.partial(ml.annealed_importance_sampling, jax.random.key(0), joint, x)
    with pytest.raises(ValueError, match="num_chains must be a whole number, at least 1; got 0"):
        ais(q, num_chains=0)
    with pytest.raises(ValueError, match="start is one of"):
        ais(q, start="Prior")
    with pytest.raises(ValueError, match="schedule is one of"):
        ais(q, schedule="lineer")
    with pytest.raises(TypeError, match=r"must be a vaejax\.Joint"):
        ml.importance_sampling(jax.random.key(0), joint.log_prob, x, q, num_samples=2)
    with pytest.raises(TypeError, match="give a posterior; got None"):
        ml.importance_sampling(jax.random.key(0), joint, x, None, num_samples=2)
    with pytest.raises(ValueError, match=r"log_prob\(x, z\) has shape \(5,\)"):
        vector = LogJoint(lambda x, z: joint.likelihood(z).loc + x)
        ml.importance_sampling(jax.random.key(0), vector, x, q, num_samples=2)
    with pytest.raises(ValueError, match=r"sandwich: z has shape \(4,\)"):
        ml.sandwich(jax.random.key(0), joint, jnp.zeros(4), x, q)
    with pytest.raises(TypeError, match="needs a posterior"):
        ais(start="both")
    with pytest.raises(ValueError, match="must agree"):
        ais(distributions.standard_normal(2))
    with pytest.raises(TypeError, match="no density"):
        ais(distributions.PointMass(jnp.zeros(3)))
    with pytest.raises(ValueError, match=r"p\(x \| z\) is over x of shape \(5,\); the data have x"):
        ml.annealed_importance_sampling(jax.random.key(0), joint, x[:4], q)
    with pytest.raises(TypeError, match="LogJoint has none"):
        ml.annealed_importance_sampling(jax.random.key(0), LogJoint(joint.log_prob), x)
    with pytest.raises(TypeError, match="floating-point"):
        discrete = Joint(
            distributions.Categorical(logits=jnp.zeros(3)),
            lambda k: distributions.DiagonalGaussian(jnp.eye(3)[k], jnp.zeros(3)),
        )
        ml.annealed_importance_sampling(jax.random.key(0), discrete, x[:3])


class _Uncertain(distributions.DiagonalGaussian):
    """Not a number for the second example alone, and without draws."""

    def log_prob(self, value):
        return jnp.where(value[0] == 7.0, jnp.nan, super().log_prob(value))

    def _sample_n(self, key, n):
        raise NotImplementedError


def test_examples_without_a_finite_density_are_named():
    joint = Joint(
        distributions.standard_normal(2),
        lambda z: _Uncertain(jnp.tanh(z), jnp.zeros_like(z)),
    )
    run = functools.partial(
        ml.log_marginal_likelihood,
        jax.random.key(0),
        joint,
        posterior=lambda x: distributions.DiagonalGaussian(0.5 * x, jnp.zeros(2)),
        estimator=functools.partial(ml.importance_sampling, num_samples=50),
    )
    xs = np.array([[0.0, 1.0], [7.0, 0.0], [1.0, 1.0]], np.float32)
    summary = run(xs).summary()
    assert (summary["n"], summary["not_finite"]) == (2, [1])
    assert np.isfinite([summary["log_p"]["mean"], summary["ess_median"]]).all()
    with pytest.raises(ValueError, match="finite for none of the 1 examples; for example 5"):
        run(xs[1:2], first_index=5)
    with pytest.raises(ValueError, match="at least one example"):
        run(xs[:0])
    with pytest.raises(TypeError, match="simulates x from p"):
        ml.bidirectional_monte_carlo(jax.random.key(0), joint, num_examples=2)
