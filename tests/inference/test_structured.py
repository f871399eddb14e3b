"""Structured posteriors: with exact potentials the ELBO is log p(x), of mixtures, linear dynamical
systems and hidden Markov models; what is missing, padded, or no prior with structure."""

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


def mixture():
    model = generative.latent_variable_model(
        generative.full_mixture_prior(D, num_components=K), Linear(), gaussian
    )
    theta = model.init(KEY)
    random = np.random.default_rng(0)
    theta["prior"]["logits"] = jnp.array([0.3, -0.5, 0.1])
    lower = jnp.asarray(random.normal(size=(K, 1)), jnp.float32)
    theta["prior"]["factors"]["lower"] = lower
    return model, theta


def expected_log_likelihood(q, x):
    """E_q[log p(x | z)] of a Gaussian likelihood, by q's moments."""
    weights = np.asarray(jax.nn.softmax(q.logits))
    total = 0.0
    for w, mean, factor in zip(weights, np.asarray(q.means), np.asarray(q.factors), strict=True):
        away = np.sum((x - SHIFT - W @ mean) ** 2) + np.sum((W @ factor) ** 2)
        total += w * (-0.5 * away / NOISE**2 - N * np.log(NOISE * np.sqrt(2 * np.pi)))
    return total


def test_a_mixture_with_exact_potentials_has_the_elbo_log_p_of_a_mixture_of_factor_analyzers():
    model, theta = mixture()
    joint = model.joint(theta)
    xs = np.asarray(jax.vmap(joint.sample)(jax.random.split(KEY, 5))[1])
    prior = joint.prior
    truth = scipy.special.logsumexp(
        [
            np.log(w)
            + scipy.stats.multivariate_normal(
                W @ m + SHIFT, W @ L @ L.T @ W.T + NOISE**2 * np.eye(N)
            ).logpdf(xs)
            for w, m, L in zip(
                jax.nn.softmax(prior.logits),
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
    for x, log_p in zip(xs, truth, strict=True):
        q = prior.posterior(exact_potential((), x))
        bound = expected_log_likelihood(q, x) - float(q.known_kl.value)
        np.testing.assert_allclose(bound, log_p, rtol=1e-4)
        z = q.sample(seed=KEY)
        value = joint.log_prob(x, z) - q.log_prob(z)  # the same at every z
        np.testing.assert_allclose(value, log_p, rtol=1e-4)
    mean, error = averaged(model, structured(EXACT), theta, Example(jnp.asarray(xs[0])))
    assert abs(mean - truth[0]) < 4 * error


def test_the_gradient_of_the_mixtures_elbo_is_that_of_log_p():
    """In theta, through q's own dependence on it and through its draws, components included."""
    model, theta = mixture()
    x = jnp.asarray(model.joint(theta).sample(KEY)[1])

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
    truth = jax.grad(log_p)(theta["prior"])
    for found, expected in zip(jax.tree.leaves(gradients), jax.tree.leaves(truth), strict=True):
        found = np.asarray(found, np.float64)
        error = found.std(axis=0) / np.sqrt(len(found))
        assert (np.abs(found.mean(axis=0) - expected) < 4.5 * error + 1e-3).all()


def test_a_mixture_with_a_component_of_no_weight_or_no_potential():
    q = FullGaussianMixture(
        jnp.array([0.0, -jnp.inf]), jnp.array([[0.0], [5.0]]), jnp.ones((2, 1, 1))
    )
    posterior = q.posterior(Potential(jnp.zeros(1), jnp.zeros(1)))
    np.testing.assert_allclose(posterior.known_kl.value, 0.0, atol=1e-6)
    np.testing.assert_allclose(posterior.mean(), 0.0, atol=1e-6)

    def value(logits, h):
        p = FullGaussianMixture(logits, q.means, q.factors)
        q_x = p.posterior(Potential(h, jnp.ones(1)))
        z, kl = sample_and_kl(KEY, q_x, p)
        return jnp.sum(z) + kl

    gradient = jax.grad(value, argnums=(0, 1))(q.logits, jnp.array([50.0]))
    assert all(np.isfinite(leaf).all() for leaf in gradient)


def given_of(length, room, actions=True):
    exists = jnp.arange(room) < length
    u = jnp.asarray(np.random.default_rng(1).normal(size=(room, 1)), jnp.float32)
    return Conditions(exists, u if actions else ())


def lds(parallel=False):
    prior = generative.linear_dynamical_system(D, num_actions=1, parallel=parallel)
    model = generative.sequence_model(prior, Linear(), gaussian)
    theta = model.init(jax.random.key(3))
    theta["prior"]["b"] = jnp.array([0.5, -0.1])
    theta["prior"]["noise"]["log_scale"] = jnp.array([-1.0, -0.3])
    theta["prior"]["noise"]["lower"] = jnp.array([0.7])
    return model, theta


@pytest.mark.parametrize("parallel", [False, True])
def test_an_lds_with_exact_potentials_has_the_elbo_of_the_kalman_filter(parallel):
    """With a missing frame and two steps beyond the length; log p(x, z) - log q(z) at any draw."""
    model, theta = lds(parallel)
    given = given_of(T - 2, T)
    joint = model.joint(theta, given)
    z, x = joint.sample(KEY)
    assert (z[T - 2 :] == 0).all() and x.shape == (T, N)
    x = np.asarray(x).copy()
    x[2] = np.nan
    found = exact(joint)
    assert "Kalman" in found.reason
    truth = found.log_marginal(x[None])[0][0]
    q_network = structured(along_time(EXACT))
    q = q_network.posterior((), x, joint, given)
    assert isinstance(q, Markov)
    z, log_q = q.sample_and_log_prob(seed=KEY)
    np.testing.assert_allclose(joint.log_prob(x, z) - log_q, truth, rtol=1e-4)
    mean, covariance, _ = q.moments()
    seen = np.isfinite(x).all(axis=1) & np.asarray(given.exists)
    away = np.nan_to_num(x) - SHIFT - np.asarray(mean) @ W.T
    spread = np.einsum("ni,tij,nj->t", W, covariance, W)
    each = -0.5 * (np.sum(away**2, axis=1) + spread) / NOISE**2
    each -= N * np.log(NOISE * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(each[seen].sum() - float(q.known_kl.value), truth, rtol=1e-4)
    found, error = averaged(model, q_network, theta, Example(jnp.asarray(x), given), 500)
    assert abs(found - truth) < 4 * error


def test_the_particle_filter_moved_by_the_smoothers_steps_is_exact():
    model, theta = lds()
    given = given_of(T, T)
    joint = model.joint(theta, given)
    x = joint.sample(KEY)[1]
    q = structured(along_time(EXACT)).posterior((), x, joint, given)
    found = particle_filter(KEY, joint, x, q, num_particles=3, num_filters=2)
    np.testing.assert_allclose(found.value, exact(joint).log_marginal(np.asarray(x)[None])[0], 1e-4)


def test_the_gradient_of_the_lds_elbo_is_that_of_log_p():
    """In the prior's parameters, averaged over draws: to 4.5 standard errors."""
    model, theta = lds()
    given = given_of(T, T)
    x = model.joint(theta, given).sample(KEY)[1]

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
        closed, at_draws = leaf[:, 0], leaf[:, 1]
        if closed.size == 0:
            continue
        error = np.asarray(jnp.std(closed - at_draws, axis=0)) / np.sqrt(len(leaf))
        difference = np.asarray(jnp.mean(closed - at_draws, axis=0))
        assert (np.abs(difference) < 4.5 * error + 1e-3).all()


def test_a_sequence_with_every_frame_missing_has_q_equal_to_p():
    model, theta = lds()
    given = given_of(T, T)
    joint = model.joint(theta, given)
    x = jnp.full((T, N), jnp.nan)
    q = structured(along_time(EXACT)).posterior((), x, joint, given)
    np.testing.assert_allclose(q.known_kl.value, 0.0, atol=1e-5)
    z = q.sample(seed=KEY)
    np.testing.assert_allclose(z, joint.prior.sample(seed=KEY), rtol=1e-4, atol=1e-5)
    assert joint.likelihood(z).log_prob(x) == 0.0


def test_a_hidden_markov_model_with_exact_potentials_is_its_sum_over_states():
    means = jnp.asarray(np.random.default_rng(2).normal(size=(K, N)), jnp.float32)

    class Lookup:
        def init(self, key, s):
            return means

        def apply(self, theta, s):
            return s @ theta

    model = generative.sequence_model(generative.hidden_markov(K), Lookup(), gaussian)
    theta = model.init(KEY)
    given = Conditions(jnp.arange(5) < 4)
    joint = model.joint(theta, given)
    x = joint.sample(KEY)[1]
    states = np.array(list(itertools.product(range(K), repeat=4)))
    padded = jnp.asarray(np.pad(states, ((0, 0), (0, 1))))
    truth = jax.nn.logsumexp(jax.jit(jax.vmap(lambda s: joint.log_prob(x, s)))(padded))

    class LogLikelihoods:
        def init(self, key, x):
            return ()

        def apply(self, phi, x):
            return jax.vmap(lambda mean: gaussian(mean).log_prob(x))(means)

    q_network = structured(along_time(discrete_recognition(K, LogLikelihoods(), (N,))))
    q = q_network.posterior((), x, joint, given)
    s, log_q = q.sample_and_log_prob(seed=KEY)
    np.testing.assert_allclose(joint.log_prob(x, s) - log_q, truth, rtol=1e-4)
    mean, error = averaged(model, q_network, theta, Example(x, given))
    assert abs(mean - truth) < 4 * error + 1e-4


@pytest.mark.parametrize("full", [False, True])
def test_a_switching_system_has_a_bound_and_finite_gradients_under_vmap_and_jit(full):
    prior = generative.switching_linear_dynamical_system(2, D, num_actions=1)
    model = generative.sequence_model(prior, networks.MLP((8,), (N,)), gaussian)
    size = D * (D + 3) // 2 if full else 2 * D
    recognition = gaussian_recognition(D, networks.MLP((8,), (size,)), (N,), full=full)
    q = structured(along_time(recognition))
    params = Params(model.init(KEY), q.init(KEY))
    x = np.random.default_rng(0).normal(size=(2, T, N)).astype(np.float32)
    x[0, 1] = np.nan
    examples = Example(jnp.asarray(x), jax.tree.map(lambda a: jnp.stack([a, a]), given_of(5, T)))

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
    prior = model.joint(theta, given_of(T, T)).prior
    J = np.tile(np.eye(D), (T, 1, 1))
    J[3, 0, 0] = -1.0
    with pytest.raises(ValueError, match=r"potential at step 3 .* smallest eigenvalue is -1"):
        prior.posterior(Potential(jnp.zeros((T, D)), J))
    with pytest.raises(ValueError, match=r"step 2 is not finite"):
        prior.posterior(Potential(jnp.zeros((T, D)).at[2].set(jnp.nan), jnp.ones((T, D))))
    padded = model.joint(theta, given_of(T - 4, T)).prior
    assert np.isfinite(padded.posterior(Potential(jnp.zeros((T, D)), J)).known_kl.value)
    with pytest.raises(ValueError, match=r"expected a potential with h of shape \(6, 2\)"):
        prior.posterior(Potential(jnp.zeros((T, 3)), jnp.zeros((T, 3))))
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
