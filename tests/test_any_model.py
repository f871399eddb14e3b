"""Models of other shapes than a VAE's go through fit, the bounds and the estimators as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import scipy.stats
from jax.tree_util import Partial

import vaejax
from tests.pairs import digits_pair, elbo_objective, grey_digits, linear_gaussian
from tests.state_space import F, kalman_log_likelihood, padded, sequence, smoother, state_space
from vaejax import (
    Example,
    GenerativeModel,
    InferenceNetwork,
    Joint,
    distributions,
    generative,
    inference,
    networks,
    objectives,
)
from vaejax.distributions import Bernoulli, DiagonalGaussian, Hierarchical, standard_normal
from vaejax.marginal_likelihood import annealed_importance_sampling, importance_sampling
from vaejax.training import semi_amortized_terms
from vaejax.types import Params, bind

KEY = jax.random.key(0)


class CountsAndValues(distributions.Distribution):
    """Independent x = {"count": Poisson, "value": N(mean, 1)}."""

    def __init__(self, log_rate, mean):
        self.log_rate, self.loc = log_rate, mean

    @property
    def event_shape(self):
        return {"count": self.log_rate.shape, "value": self.loc.shape}

    def _sample_n(self, key, n):
        count_key, value_key = jax.random.split(key)
        rate = jnp.exp(self.log_rate)
        noise = jax.random.normal(value_key, (n, *self.loc.shape))
        count = jax.random.poisson(count_key, rate, (n, *rate.shape), jnp.int32)
        return {"count": count, "value": self.loc + noise}

    def log_prob(self, value):
        count = value["count"]
        assert count.dtype == jnp.int32 and value["value"].dtype == jnp.float32
        of_count = jax.scipy.stats.poisson.logpmf(count, jnp.exp(self.log_rate)).sum()
        return of_count + jax.scipy.stats.norm.logpdf(value["value"], self.loc).sum()


RATES, MEANS = np.array([[0.5, -0.3], [0.2, 0.4], [0.1, 0.6]]), np.array([[1.0, 0.2], [-0.4, 0.9]])


def counts_pair():
    """z ~ N(shift, I) with the shift given; q is the prior, moved by a function of x."""

    def decode(theta, z):
        return CountsAndValues(theta["rates"] @ z, theta["means"] @ z)

    def joint(theta, given):
        return Joint(DiagonalGaussian(given["shift"], jnp.zeros(2)), Partial(decode, theta))

    def posterior(phi, x, joint, given):
        assert jnp.issubdtype(x["count"].dtype, jnp.integer) and set(given) == {"shift"}
        moved = phi["w"] @ jnp.concatenate([x["count"].astype(jnp.float32), x["value"]])
        prior = joint.prior
        return DiagonalGaussian(prior.loc + moved, prior.log_scale + phi["log_scale"])

    theta = {"rates": jnp.asarray(RATES), "means": jnp.asarray(MEANS)}
    phi = {"w": jnp.zeros((2, 5)), "log_scale": jnp.zeros(2)}
    return GenerativeModel(lambda key: theta, joint), InferenceNetwork(lambda key: phi, posterior)


def log_p_by_quadrature(x, shift):
    """Over a grid of z."""
    grid = np.linspace(-8.0, 8.0, 401)
    z = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2) + shift
    log_p = scipy.stats.norm(shift).logpdf(z).sum(-1)
    log_p += scipy.stats.poisson(np.exp(z @ RATES.T)).logpmf(x["count"]).sum(-1)
    log_p += scipy.stats.norm(z @ MEANS.T).logpdf(x["value"]).sum(-1)
    return scipy.special.logsumexp(log_p) + 2 * np.log(grid[1] - grid[0])


def test_an_x_of_several_arrays_with_whole_numbers_and_conditions():
    random = np.random.default_rng(0)
    n = 64
    data = Example(
        {
            "count": random.poisson(1.5, (n, 3)).astype(np.int32),
            "value": random.normal(size=(n, 2)).astype(np.float32),
        },
        {"shift": random.normal(size=(n, 2)).astype(np.float32)},
    )
    pair = counts_pair()
    params, trace = vaejax.fit(
        KEY, *pair, elbo_objective, data, num_steps=200, batch_size=32, optimizer=optax.adam(0.03)
    )
    assert np.mean(trace[-20:]) > np.mean(trace[:20]) + 0.3

    one = jax.tree.map(lambda leaf: leaf[5], data)
    start = Params(pair[0].init(KEY), params.inference)  # where log p(x) is known

    @jax.jit
    def measured(key):
        joint, q, x = bind(*pair, start, one)
        keys = jax.random.split(key, 4000)
        bound = jax.vmap(lambda k: objectives.elbo(k, q, joint, x).value)(keys)
        tight = jax.vmap(lambda k: objectives.iwae(k, q, joint, x, num_samples=8).value)(keys)
        return bound, tight, importance_sampling(key, joint, x, q, num_samples=4000)

    bound, tight, estimate = measured(KEY)
    truth = log_p_by_quadrature(one.x, one.given["shift"])
    assert abs(estimate.value - truth) < 4 * estimate.std_error
    assert estimate.std_error < 0.05
    assert np.mean(bound) < np.mean(tight) < truth
    ratio = np.exp(np.float64(tight) - truth)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))


@pytest.mark.parametrize("shape", [(8,), (1,), (8, 8, 1)])
def test_a_decoder_of_another_shape_is_refused_in_one_line(shape):
    """Each of them would broadcast against x of (8, 8)."""
    prior = standard_normal(2)
    model = generative.latent_variable_model(prior, networks.MLP((4,), shape), Bernoulli)
    _, q = digits_pair()
    words = r"^{}: p\(x \| z\) is over x of shape \({}.*the data have x of shape \(8, 8\).*"
    with pytest.raises(ValueError, match=words.format("fit", shape[0])) as refused:
        vaejax.fit(KEY, model, q, elbo_objective, np.zeros((100, 8, 8), np.float32), num_steps=1)
    assert "\n" not in str(refused.value)
    joint = model.joint(model.init(KEY))
    with pytest.raises(ValueError, match=words.format("there", shape[0])):
        distributions.check_shapes("there", joint, prior, jnp.zeros((8, 8)))


def test_a_joint_crosses_jit_and_is_compiled_once():
    weights = np.array([[1.0, 0.5], [-0.5, 2.0], [0.3, 0.0]])
    model, _ = linear_gaussian(weights, 0.7)
    traces, x, z = [], np.array([0.4, -1.0, 2.0]), np.array([0.2, -0.3])

    @jax.jit
    def log_p(joint, x, z):
        traces.append(None)
        return joint.log_prob(x, z)

    theta = model.init(KEY)
    for factor in (1.0, -2.0):
        moved = theta | {"weights": factor * theta["weights"]}
        exact = scipy.stats.norm.logpdf(z).sum()
        exact += scipy.stats.norm.logpdf(x, factor * weights @ z, 0.7).sum()
        np.testing.assert_allclose(log_p(model.joint(moved), x, z), exact, rtol=1e-5)
    assert len(traces) == 1
    digits, _ = digits_pair()
    for seed in (1, 2):
        joint = digits.joint(digits.init(jax.random.key(seed)))
        log_p(joint, jnp.zeros((8, 8)), z)
    assert len(traces) == 2


def test_refinement_that_is_stopped_leaks_nothing_to_either():
    """theta has the gradient of the bound at the refined lambda held constant, phi that of the
    bound at its own lambda with theta held constant."""
    model, _ = linear_gaussian(np.array([[1.0, 0.5], [-0.5, 2.0], [0.3, 0.0]]), 0.7)
    family = inference.full_gaussian(2)
    q = inference.amortized(family, networks.MLP((4,), (5,)), (3,))
    params = Params(model.init(KEY), q.init(jax.random.key(1)))
    example = Example(jnp.array([0.4, -1.0, 2.0]))
    steps = {"num_steps": 3, "learning_rate": 0.1, "through": False}
    terms_of = semi_amortized_terms(model, q, **steps)
    found = jax.jit(jax.grad(lambda params: terms_of(params, KEY, example, 0).value))(params)

    refine_key, key = jax.random.split(KEY)

    def bound(theta, lam):
        return objectives.elbo(key, family.distribution(lam), model.joint(theta), example.x).value

    @jax.jit
    def expected(params):
        lam = q.variational(params.inference, example.x)
        joint = model.joint(params.generative)
        at = objectives.refine(refine_key, family, lam, joint, example.x, **steps)
        of_theta = jax.grad(bound)(params.generative, at)
        own = jax.grad(lambda phi: bound(params.generative, q.variational(phi, example.x)))
        return Params(of_theta, own(params.inference))

    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
    jax.tree.map(close, found, expected(params))


def two_layers():
    """z = (top, bottom): p top-down, q bottom-up."""
    decoder, down = networks.MLP((16,), (8, 8)), networks.MLP((), (2, 3))
    bottom, up = networks.MLP((16,), (2, 3)), networks.MLP((), (2, 2))

    def gaussian(network):
        def of(weights, value):
            mean, log_scale = network.apply(weights, value)
            return DiagonalGaussian(mean, jnp.tanh(log_scale))

        return of

    from_top, from_bottom = gaussian(down), gaussian(up)

    def decode(weights, z):
        return Bernoulli(decoder.apply(weights, z[1]))

    def joint(theta, given=()):
        prior = Hierarchical(standard_normal(2), Partial(from_top, theta["down"]))
        return Joint(prior, Partial(decode, theta["decoder"]))

    def posterior(phi, x, joint, given=()):
        first = gaussian(bottom)(phi["bottom"], x)
        return Hierarchical(first, Partial(from_bottom, phi["up"]), places=(1, 0))

    def init_p(key):
        one, two = jax.random.split(key)
        return {"decoder": decoder.init(one, jnp.zeros(3)), "down": down.init(two, jnp.zeros(2))}

    def init_q(key):
        one, two = jax.random.split(key)
        return {"bottom": bottom.init(one, jnp.zeros((8, 8))), "up": up.init(two, jnp.zeros(3))}

    return GenerativeModel(init_p, joint), InferenceNetwork(init_q, posterior)


def estimates(pair, params, example, start):
    """The ELBO and the IWAE bound of many keys, importance sampling, and annealing."""

    @jax.jit
    def all_of(key, params, example):
        joint, q, x = bind(*pair, params, example)
        keys = jax.random.split(key, 200)
        bound = jax.vmap(lambda k: objectives.elbo(k, q, joint, x).value)(keys)
        tight = jax.vmap(lambda k: objectives.iwae(k, q, joint, x, num_samples=8).value)(keys)
        sampled = importance_sampling(key, joint, x, q, num_samples=2000)
        return bound, tight, sampled

    def annealed(key, params, example):
        joint, q, x = bind(*pair, params, example)
        return annealed_importance_sampling(
            key, joint, x, q, num_chains=16, num_temperatures=60, start=start
        )

    return *all_of(KEY, params, example), jax.jit(annealed)(KEY, params, example)


def test_two_layers_on_images():
    """Importance sampling and annealing, which start at q and at p, find the same log p(x)."""
    pair, xs = two_layers(), grey_digits().split("train")
    optimizer = optax.adam(1e-2)
    params, trace = vaejax.fit(
        KEY, *pair, elbo_objective, xs, num_steps=300, batch_size=32, optimizer=optimizer
    )
    assert np.mean(trace[-10:]) > np.mean(trace[:10])
    bound, tight, sampled, annealed = estimates(pair, params, Example(xs[0]), "prior")
    error = np.hypot(sampled.std_error, annealed.std_error)
    assert error < 0.5 and abs(sampled.value - annealed.value) < 4 * error
    assert np.mean(bound) < np.mean(tight) < sampled.value + 4 * sampled.std_error


def test_a_linear_state_space_model_with_its_smoother():
    """fit climbs the log-likelihood itself, at any F; every estimator gives Kalman's."""
    lengths = (3, 4, 5, 5)
    sequences = [sequence(length, seed) for seed, length in enumerate(lengths)]
    examples = [Example(*padded(*both, 5)) for both in sequences]
    data = jax.tree.map(lambda *leaves: np.stack(leaves), *examples)
    truth = np.array([kalman_log_likelihood(*both) for both in sequences])
    pair = state_space(5), smoother()
    params, trace = vaejax.fit(
        KEY, *pair, elbo_objective, data, num_steps=60, batch_size=4, optimizer=optax.adam(0.02)
    )
    np.testing.assert_allclose(trace[0], truth.mean(), atol=1e-3)
    assert np.all(np.diff(trace[:10]) > 0)
    assert trace[-1] > trace[0] + 0.1

    exact = Params(jnp.asarray(F, jnp.float32), params.inference)
    bound, tight, sampled, annealed = estimates(pair, exact, examples[3], "posterior")
    for value in (bound, tight, sampled.value, annealed.value):
        np.testing.assert_allclose(value, truth[3], atol=2e-3)
    assert max(sampled.std_error, annealed.std_error) < 1e-3
