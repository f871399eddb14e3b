"""Structured posteriors: with exact potentials the ELBO is log p(x), of mixtures, linear dynamical
systems and hidden Markov models; what is missing, padded, or no prior with structure."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.tree_util import Partial

from vaejax import generative, networks
from vaejax.distributions import (
    DiagonalGaussian,
    FullGaussian,
    FullGaussianMixture,
    LinearChain,
    Markov,
    Potential,
    kl_form,
    sample_and_kl,
    standard_normal,
)
from vaejax.inference import (
    Recognition,
    along_time,
    discrete_recognition,
    gaussian_recognition,
    structured,
)
from vaejax.marginal_likelihood import exact, particle_filter
from vaejax.objectives import elbo
from vaejax.types import Conditions, Example, GenerativeModel, Joint, Params, bind

KEY = jax.random.key(0)
D, N, K, T = 2, 3, 3, 6
W = np.random.default_rng(5).normal(size=(N, D)).astype(np.float32)
SHIFT = np.array([0.3, -0.2, 0.5], np.float32)
NOISE = 0.4


class Linear:
    """x = W z + shift + N(0, NOISE^2), as an emission."""

    def init(self, key, z):
        return jnp.asarray(W)

    def apply(self, theta, z):
        return theta @ z + SHIFT


def gaussian(mean):
    return DiagonalGaussian(mean, jnp.full_like(mean, np.log(NOISE)))


def exact_potential(phi, x, given=()):
    """log p(x | z), but for a constant."""
    return Potential(W.T @ (x - SHIFT) / NOISE**2, jnp.asarray(W.T @ W / NOISE**2))


EXACT = Recognition(lambda key: (), exact_potential)
draw = jax.jit(Joint.sample)  # of a model that is given: (z, x)


def averaged(model, q, theta, example, count=2000):
    """(mean, standard error) of the ELBO over draws."""

    @jax.jit
    def values(theta, example):
        joint, q_x, x = bind(model, q, Params(theta, ()), example)
        assert kl_form(q_x, joint.prior) == "closed form"
        keys = jax.random.split(KEY, count)
        return jax.vmap(lambda k: elbo(k, q_x, joint, x).value)(keys)

    found = np.asarray(values(theta, example), np.float64)
    return found.mean(), found.std() / np.sqrt(count)


@functools.cache
def mixture():
    model = generative.latent_variable_model(
        generative.full_mixture_prior(D, num_components=K), Linear(), gaussian
    )
    theta = jax.jit(model.init)(KEY)
    random = np.random.default_rng(0)
    theta["prior"]["logits"] = np.array([0.3, -0.5, 0.1], np.float32)
    theta["prior"]["factors"]["lower"] = random.normal(size=(K, 1)).astype(np.float32)
    return model, theta


def expected_log_likelihood(q, x):
    """E_q[log p(x | z)] of a Gaussian likelihood, by q's moments."""
    weights = scipy.special.softmax(q.logits)
    total = 0.0
    for w, mean, factor in zip(weights, np.asarray(q.means), np.asarray(q.factors), strict=True):
        away = np.sum((x - SHIFT - W @ mean) ** 2) + np.sum((W @ factor) ** 2)
        total += w * (-0.5 * away / NOISE**2 - N * np.log(NOISE * np.sqrt(2 * np.pi)))
    return total


def test_a_mixture_with_exact_potentials_has_the_elbo_log_p_of_a_mixture_of_factor_analyzers():
    model, theta = mixture()
    joint = jax.jit(model.joint)(theta)
    xs = np.asarray(jax.jit(jax.vmap(joint.sample))(jax.random.split(KEY, 5))[1])
    prior = joint.prior
    truth = scipy.special.logsumexp(
        [
            np.log(w)
            + scipy.stats.multivariate_normal(
                W @ m + SHIFT, W @ L @ L.T @ W.T + NOISE**2 * np.eye(N)
            ).logpdf(xs)
            for w, m, L in zip(
                scipy.special.softmax(prior.logits),
                np.asarray(prior.means),
                np.asarray(prior.factors),
                strict=True,
            )
        ],
        axis=0,
    )
    found = exact(joint)
    assert "factor analyzers" in found.reason
    np.testing.assert_allclose(found.log_marginal(xs)[0], truth, rtol=1e-6)

    @jax.jit
    def posterior(x):
        q = prior.posterior(exact_potential((), x))
        z = q.sample(seed=KEY)
        return q, joint.log_prob(x, z) - q.log_prob(z)

    for x, log_p in zip(xs, truth, strict=True):
        q, value = posterior(x)
        bound = expected_log_likelihood(q, x) - float(q.known_kl.value)
        np.testing.assert_allclose(bound, log_p, rtol=1e-4)
        np.testing.assert_allclose(value, log_p, rtol=1e-4)  # the same at every z
    mean, error = averaged(model, structured(EXACT), theta, Example(xs[0]))
    assert abs(mean - truth[0]) < 4 * error


def test_the_gradient_of_the_mixtures_elbo_is_that_of_log_p():
    """In theta, through q's own dependence on it and through its draws, components included."""
    model, theta = mixture()
    x = draw(jax.jit(model.joint)(theta), KEY)[1]

    def log_p(prior):
        p = model.joint(theta | {"prior": prior}).prior
        covariances = W @ p.factors @ jnp.swapaxes(p.factors, 1, 2) @ W.T + NOISE**2 * jnp.eye(N)
        means = p.means @ W.T + SHIFT
        normal = jax.scipy.stats.multivariate_normal.logpdf
        each = jax.vmap(lambda m, c: normal(x, m, c))(means, covariances)
        return jax.nn.logsumexp(each + jax.nn.log_softmax(p.logits))

    def bound(prior, key):
        params = Params(theta | {"prior": prior}, ())
        joint, q, _ = bind(model, structured(EXACT), params, Example(x))
        return elbo(key, q, joint, x).value

    keys = jax.random.split(KEY, 4000)
    gradients = jax.jit(jax.vmap(jax.grad(bound), (None, 0)))(theta["prior"], keys)
    truth = jax.jit(jax.grad(log_p))(theta["prior"])
    for found, expected in zip(jax.tree.leaves(gradients), jax.tree.leaves(truth), strict=True):
        found = np.asarray(found, np.float64)
        error = found.std(axis=0) / np.sqrt(len(found))
        assert (np.abs(found.mean(axis=0) - expected) < 4.5 * error + 1e-3).all()


def test_a_mixture_with_a_component_of_no_weight_or_no_potential():
    logits = np.array([0.0, -np.inf], np.float32)
    means, factors = np.array([[0.0], [5.0]], np.float32), np.ones((2, 1, 1), np.float32)

    @jax.jit
    def unmoved(logits):
        q = FullGaussianMixture(logits, means, factors)
        posterior = q.posterior(Potential(jnp.zeros(1), jnp.zeros(1)))
        return posterior.known_kl.value, posterior.mean()

    for found in unmoved(logits):
        np.testing.assert_allclose(found, 0.0, atol=1e-6)

    def value(logits, h):
        p = FullGaussianMixture(logits, means, factors)
        q_x = p.posterior(Potential(h, jnp.ones(1)))
        z, kl = sample_and_kl(KEY, q_x, p)
        return jnp.sum(z) + kl

    gradient = jax.jit(jax.grad(value, argnums=(0, 1)))(logits, np.array([50.0], np.float32))
    assert all(np.isfinite(leaf).all() for leaf in gradient)


def given_of(length, room, actions=True):
    exists = np.arange(room) < length
    u = np.random.default_rng(1).normal(size=(room, 1)).astype(np.float32)
    return Conditions(exists, u if actions else ())


@functools.cache
def lds(parallel=False):
    prior = generative.linear_dynamical_system(D, num_actions=1, parallel=parallel)
    model = generative.sequence_model(prior, Linear(), gaussian)
    theta = jax.jit(model.init)(jax.random.key(3))
    theta["prior"]["b"] = np.array([0.5, -0.1], np.float32)
    theta["prior"]["noise"]["log_scale"] = np.array([-1.0, -0.3], np.float32)
    theta["prior"]["noise"]["lower"] = np.array([0.7], np.float32)
    return model, theta


@pytest.mark.parametrize("parallel", [False, True])
def test_an_lds_with_exact_potentials_has_the_elbo_of_the_kalman_filter(parallel):
    """With a missing frame and two steps beyond the length; log p(x, z) - log q(z) at any draw."""
    model, theta = lds(parallel)
    given = given_of(T - 2, T)
    joint = jax.jit(model.joint)(theta, given)
    z, x = map(np.array, draw(joint, KEY))
    assert (z[T - 2 :] == 0).all() and x.shape == (T, N)
    x[2] = np.nan
    found = exact(joint)
    assert "Kalman" in found.reason
    truth = found.log_marginal(x[None])[0][0]
    q_network = structured(along_time(EXACT))

    @jax.jit
    def posterior(joint, x):
        q = q_network.posterior((), x, joint, given)
        assert isinstance(q, Markov)
        z, log_q = q.sample_and_log_prob(seed=KEY)
        return q.moments(), q.known_kl.value, joint.log_prob(x, z) - log_q

    (mean, covariance, _), kl, at_a_draw = posterior(joint, x)
    np.testing.assert_allclose(at_a_draw, truth, rtol=1e-4)
    seen = np.isfinite(x).all(axis=1) & np.asarray(given.exists)
    away = np.nan_to_num(x) - SHIFT - np.asarray(mean) @ W.T
    spread = np.einsum("ni,tij,nj->t", W, covariance, W)
    each = -0.5 * (np.sum(away**2, axis=1) + spread) / NOISE**2
    each -= N * np.log(NOISE * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(each[seen].sum() - float(kl), truth, rtol=1e-4)
    found, error = averaged(model, q_network, theta, Example(x, given), 500)
    assert abs(found - truth) < 4 * error


def test_the_particle_filter_moved_by_the_smoothers_steps_is_exact():
    model, theta = lds()
    given = given_of(T, T)
    joint = jax.jit(model.joint)(theta, given)
    x = draw(joint, KEY)[1]

    @jax.jit
    def filtered(joint, x):
        q = structured(along_time(EXACT)).posterior((), x, joint, given)
        return particle_filter(KEY, joint, x, q, num_particles=3, num_filters=2).value

    truth = exact(joint).log_marginal(np.asarray(x)[None])[0]
    np.testing.assert_allclose(filtered(joint, x), truth, 1e-4)


def test_the_gradient_of_the_lds_elbo_is_that_of_log_p():
    """In the prior's parameters, averaged over draws: to 4.5 standard errors."""
    model, theta = lds()
    given = given_of(T, T)
    x = draw(jax.jit(model.joint)(theta, given), KEY)[1]

    def bound(prior, key):
        params = Params(theta | {"prior": prior}, ())
        joint, q, _ = bind(model, structured(along_time(EXACT)), params, Example(x, given))
        z, kl = sample_and_kl(key, q, joint.prior)
        value = joint.likelihood(z).log_prob(x) - kl
        z, log_q = q.sample_and_log_prob(seed=key)
        return value, joint.log_prob(x, z) - log_q  # of the exact q, log p(x) at every draw

    def one(key):
        return jax.jacrev(lambda prior: jnp.stack(bound(prior, key)))(theta["prior"])

    found = jax.jit(jax.vmap(one))(jax.random.split(KEY, 2000))
    for leaf in jax.tree.leaves(found):
        if leaf.size == 0:
            continue
        closed, at_draws = np.moveaxis(np.asarray(leaf, np.float64), 1, 0)
        error = np.std(closed - at_draws, axis=0) / np.sqrt(len(leaf))
        difference = np.mean(closed - at_draws, axis=0)
        assert (np.abs(difference) < 4.5 * error + 1e-3).all()


def test_a_sequence_with_every_frame_missing_has_q_equal_to_p():
    model, theta = lds()
    given = given_of(T, T)
    x = np.full((T, N), np.nan, np.float32)

    @jax.jit
    def found(theta, x):
        joint = model.joint(theta, given)
        q = structured(along_time(EXACT)).posterior((), x, joint, given)
        z = q.sample(seed=KEY)
        of_prior = joint.prior.sample(seed=KEY)
        return q.known_kl.value, z, of_prior, joint.likelihood(z).log_prob(x)

    kl, z, of_prior, log_likelihood = found(theta, x)
    np.testing.assert_allclose(kl, 0.0, atol=1e-5)
    np.testing.assert_allclose(z, of_prior, rtol=1e-4, atol=1e-5)
    assert log_likelihood == 0.0


def test_a_hidden_markov_model_with_exact_potentials_is_its_sum_over_states():
    means = np.random.default_rng(2).normal(size=(K, N)).astype(np.float32)

    class Lookup:
        def init(self, key, s):
            return jnp.asarray(means)

        def apply(self, theta, s):
            return s @ theta

    model = generative.sequence_model(generative.hidden_markov(K), Lookup(), gaussian)
    theta = jax.jit(model.init)(KEY)
    given = Conditions(np.arange(5) < 4)
    joint = jax.jit(model.joint)(theta, given)
    x = draw(joint, KEY)[1]
    states = np.array(list(itertools.product(range(K), repeat=4)))
    padded = np.pad(states, ((0, 0), (0, 1)))
    log_joint = jax.jit(jax.vmap(lambda s: joint.log_prob(x, s)))(padded)
    truth = scipy.special.logsumexp(log_joint)

    class LogLikelihoods:
        def init(self, key, x):
            return ()

        def apply(self, phi, x):
            return jax.vmap(lambda mean: gaussian(mean).log_prob(x))(means)

    q_network = structured(along_time(discrete_recognition(K, LogLikelihoods(), (N,))))

    @jax.jit
    def at_a_draw(joint, x):
        s, log_q = q_network.posterior((), x, joint, given).sample_and_log_prob(seed=KEY)
        return joint.log_prob(x, s) - log_q

    np.testing.assert_allclose(at_a_draw(joint, x), truth, rtol=1e-4)
    mean, error = averaged(model, q_network, theta, Example(x, given))
    assert abs(mean - truth) < 4 * error + 1e-4


@pytest.mark.parametrize("full", [False, True])
def test_a_switching_system_has_a_bound_and_finite_gradients_under_vmap_and_jit(full):
    prior = generative.switching_linear_dynamical_system(2, D, num_actions=1)
    model = generative.sequence_model(prior, networks.MLP((8,), (N,)), gaussian)
    size = D * (D + 3) // 2 if full else 2 * D
    recognition = gaussian_recognition(D, networks.MLP((8,), (size,)), (N,), full=full)
    q = structured(along_time(recognition))
    params = Params(jax.jit(model.init)(KEY), jax.jit(q.init)(KEY))
    x = np.random.default_rng(0).normal(size=(2, T, N)).astype(np.float32)
    x[0, 1] = np.nan
    examples = Example(x, jax.tree.map(lambda a: np.stack([a, a]), given_of(5, T)))

    def loss(params, examples):
        def one(example):
            joint, q_x, x = bind(model, q, params, example)
            return elbo(KEY, q_x, joint, x).value

        return jnp.sum(jax.vmap(one)(examples))

    value, gradient = jax.jit(jax.value_and_grad(loss))(params, examples)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_persons_own_prior_needs_only_a_posterior():
    class Own(FullGaussian):
        def posterior(self, potentials):
            return FullGaussian(self.loc + potentials, self.log_scale, self.lower)

    def joint(theta, given=()):
        return Joint(Own(jnp.zeros(2), jnp.zeros(2), jnp.zeros(1)), Partial(lambda z: gaussian(z)))

    model = GenerativeModel(lambda key: (), joint)
    q = structured(Recognition(lambda key: (), lambda phi, x, given=(): x))
    found = bind(model, q, Params((), ()), Example(jnp.array([1.0, 2.0])))[1]
    np.testing.assert_allclose(found.mean(), [1.0, 2.0])


def test_bad_input_is_refused_in_one_line():
    joint = Joint(standard_normal(2), gaussian)
    with pytest.raises(TypeError, match=r"expected a prior with a method posterior.*DiagonalGauss"):
        structured(EXACT).posterior((), jnp.zeros(N), joint)
    model, theta = lds()
    prior = jax.jit(model.joint)(theta, given_of(T, T)).prior
    J = np.tile(np.eye(D, dtype=np.float32), (T, 1, 1))
    J[3, 0, 0] = -1.0
    with pytest.raises(ValueError, match=r"potential at step 3 .* smallest eigenvalue is -1"):
        prior.posterior(Potential(np.zeros((T, D), np.float32), J))
    with pytest.raises(ValueError, match=r"step 2 is not finite"):
        h = np.zeros((T, D), np.float32)
        h[2] = np.nan
        prior.posterior(Potential(h, np.ones((T, D), np.float32)))
    padded = jax.jit(model.joint)(theta, given_of(T - 4, T)).prior
    assert np.isfinite(padded.posterior(Potential(np.zeros((T, D), np.float32), J)).known_kl.value)
    with pytest.raises(ValueError, match=r"expected a potential with h of shape \(6, 2\)"):
        prior.posterior(Potential(np.zeros((T, 3)), np.zeros((T, 3))))
    with pytest.raises(TypeError, match="expected a Potential"):
        prior.posterior(jnp.zeros((T, D)))
    A, b, G = prior.steps
    with pytest.raises(ValueError, match=r"step 1 A, b and G must be finite, and G lower"):
        LinearChain(A, b, G.at[1].set(0.0))
    with pytest.raises(ValueError, match="give the network output shape"):
        recognition = gaussian_recognition(D, networks.MLP((), (3,)), (N,))
        recognition.potentials(recognition.init(KEY), jnp.zeros(N))
    with pytest.raises(ValueError, match="expected a number for each of the 3 states"):
        recognition = discrete_recognition(K, networks.MLP((), (4,)), (N,))
        recognition.potentials(recognition.init(KEY), jnp.zeros(N))
