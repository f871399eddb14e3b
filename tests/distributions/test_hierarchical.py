"""Several latents against the dense algebra of their joint Gaussian, and against enumeration."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax.tree_util import Partial

from vaejax.distributions import (
    Categorical,
    DiagonalGaussian,
    Hierarchical,
    held_fixed,
    kl_form,
    sample_and_kl,
)
from vaejax.objectives import elbo, iwae
from vaejax.types import Joint

SIZES = (2, 3)  # of z = (top, bottom)
DRAWS = 4000


def conditional(parts, given):
    return DiagonalGaussian(parts["A"] @ given + parts["b"], parts["log_scale"])


def two_layers(seed, places=(0, 1)):
    """A hierarchy over z = (top, bottom), and the mean and covariance of [top, bottom]."""
    random = np.random.default_rng(seed)
    first, second = (SIZES[place] for place in places)
    m, log_s = random.normal(size=first), 0.3 * random.normal(size=first)
    A, b = 0.7 * random.normal(size=(second, first)), random.normal(size=second)
    log_t = 0.3 * random.normal(size=second)
    parts = {"A": jnp.asarray(A), "b": jnp.asarray(b), "log_scale": jnp.asarray(log_t)}
    p = Hierarchical(DiagonalGaussian(m, log_s), Partial(conditional, parts), places=places)
    S, T = np.diag(np.exp(2 * log_s)), np.diag(np.exp(2 * log_t))
    mean = np.concatenate([m, A @ m + b])
    covariance = np.block([[S, S @ A.T], [A @ S, A @ S @ A.T + T]])
    # In the order of z in place of that in which it is drawn.
    rows = np.split(np.arange(5), [first])
    order = np.concatenate([rows[places.index(0)], rows[places.index(1)]])
    return p, (mean[order], covariance[np.ix_(order, order)])


def dense_kl(q, p):
    """KL(N(m, S) || N(n, T)) = (tr T^-1 S + (n - m)' T^-1 (n - m) - d + log |T| / |S|) / 2."""
    (m, S), (n, T) = q, p
    log_dets = np.linalg.slogdet(T)[1] - np.linalg.slogdet(S)[1]
    away = (n - m) @ np.linalg.solve(T, n - m)
    return 0.5 * (np.trace(np.linalg.solve(T, S)) + away - len(m) + log_dets)


def within_errors(draws, truth, errors=4):
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    return np.all(np.abs(draws.mean(axis=0) - truth) < errors * error)


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_draws_and_densities_are_those_of_the_joint_gaussian(places):
    p, (mean, covariance) = two_layers(0, places)
    assert p.event_shape == ((2,), (3,))
    z, log_p = jax.jit(lambda k: p.sample_and_log_prob(seed=k, sample_shape=(DRAWS,)))(
        jax.random.key(1)
    )
    flat = np.concatenate(z, axis=1).astype(np.float64)
    truth = scipy.stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(log_p, truth.logpdf(flat), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(jax.jit(p.log_prob)(z), truth.logpdf(flat), rtol=1e-4, atol=1e-4)
    one = jax.tree.map(lambda leaf: leaf[7], z)
    np.testing.assert_allclose(jax.jit(p.log_prob)(one), truth.logpdf(flat[7]), rtol=1e-4)
    away = flat - mean
    assert within_errors(away, 0.0)
    assert within_errors(away[:, :, None] * away[:, None, :], covariance, 4.5)


def test_the_same_order_goes_layer_by_layer():
    """A closed form for each layer given the draws before: its mean is the KL of the joints, its
    variance less than that of the log ratio."""
    (q, dense_q), (p, dense_p) = two_layers(0), two_layers(1)
    assert kl_form(q, p) == "layer by layer (closed form at the first)"

    def both(key):
        z, kl = sample_and_kl(key, q, p)
        return kl, q.log_prob(z) - p.log_prob(z)

    kl, ratio = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(2), DRAWS))
    assert within_errors(kl, dense_kl(dense_q, dense_p))
    assert within_errors(ratio, dense_kl(dense_q, dense_p))
    assert np.var(kl) < 0.8 * np.var(ratio)


def test_bottom_up_against_top_down_is_the_log_ratio():
    (q, dense_q), (p, dense_p) = two_layers(0, (1, 0)), two_layers(1)
    assert kl_form(q, p) == "log q(z) - log p(z) at the draws"
    z, kl = jax.jit(jax.vmap(lambda key: sample_and_kl(key, q, p)))(
        jax.random.split(jax.random.key(3), DRAWS)
    )
    assert [leaf.shape[1:] for leaf in z] == [(2,), (3,)]
    assert within_errors(kl, dense_kl(dense_q, dense_p))


def test_its_parameters_are_held_where_they_are_leaves():
    q, _ = two_layers(0)
    z = jax.jit(lambda key: q.sample(seed=key))(jax.random.key(0))
    moved = jax.jit(jax.grad(lambda q: held_fixed(q).log_prob(z), allow_int=True))(q)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(moved))
    scale = jnp.ones(2)
    hidden = Hierarchical(q.first, lambda top: DiagonalGaussian(scale * top, jnp.zeros(2)))
    with pytest.raises(TypeError, match=r"^expected each conditional of a Hierarchical .*got func"):
        held_fixed(hidden)


def test_places_are_one_for_each_latent():
    with pytest.raises(ValueError, match=r"places must list 0 to 1.*got \(0, 2\)"):
        Hierarchical(DiagonalGaussian(jnp.zeros(1), jnp.zeros(1)), lambda z: z, places=(0, 2))


def exact_mixture():
    """z = (k, u): k of three kinds, u | k ~ N(m_k, s_k^2), x | k, u ~ N(w u + c_k, r^2)."""
    random = np.random.default_rng(5)
    logits, m, s = random.normal(size=3), 2 * random.normal(size=3), np.array([0.5, 1.0, 1.5])
    w, c, r = np.array([1.0, -0.5]), random.normal(size=(3, 2)), 0.6
    x = np.array([0.7, -1.2])
    log_weights = scipy.special.log_softmax(logits)
    of_kind = []  # log p(x | k), u integrated out
    for mean, scale, offset in zip(m, s, c, strict=True):
        covariance = scale**2 * np.outer(w, w) + r**2 * np.eye(2)
        of_kind.append(scipy.stats.multivariate_normal(mean * w + offset, covariance).logpdf(x))
    posterior_logits = log_weights + np.array(of_kind)
    posterior_variance = 1 / (s**-2.0 + w @ w / r**2)
    return SimpleNamespace(
        logits=logits,
        m=m,
        s=s,
        w=w,
        c=c,
        r=r,
        x=x,
        log_weights=log_weights,
        log_p=scipy.special.logsumexp(posterior_logits),
        posterior_logits=posterior_logits,
        posterior_mean=posterior_variance * (m / s**2 + (x - c) @ w / r**2),
        posterior_scale=np.sqrt(posterior_variance),
    )


MIXTURE = exact_mixture()


def mixed(logits, means, scales):
    means, log_scales = jnp.asarray(means), jnp.log(jnp.asarray(scales))
    return Hierarchical(
        Categorical(logits=jnp.asarray(logits)),
        lambda k: DiagonalGaussian(means[k], log_scales[k]),
    )


def mixed_joint():
    def likelihood(z):
        k, u = z
        mean = jnp.asarray(MIXTURE.w) * u + jnp.asarray(MIXTURE.c)[k]
        return DiagonalGaussian(mean, jnp.full(2, np.log(MIXTURE.r)))

    return Joint(mixed(MIXTURE.logits, MIXTURE.m, MIXTURE.s), likelihood)


def test_a_discrete_and_a_continuous_latent_by_enumeration():
    prior = mixed_joint().prior
    z = jax.jit(lambda key: prior.sample(seed=key, sample_shape=(50,)))(jax.random.key(0))
    assert jnp.issubdtype(z[0].dtype, jnp.integer) and prior.event_shape == ((), ())
    k, u = np.asarray(z[0]), np.asarray(z[1], np.float64)
    truth = MIXTURE.log_weights[k] + scipy.stats.norm(MIXTURE.m[k], MIXTURE.s[k]).logpdf(u)
    np.testing.assert_allclose(jax.jit(prior.log_prob)(z), truth, rtol=1e-4, atol=1e-5)


def test_bounds_of_a_discrete_and_a_continuous_latent():
    """At the exact posterior each draw is log p(x), by summation over k; at another q the weights'
    mean is p(x)."""
    joint, x = mixed_joint(), jnp.asarray(MIXTURE.x)
    exact = mixed(MIXTURE.posterior_logits, MIXTURE.posterior_mean, MIXTURE.posterior_scale)
    other = mixed(np.zeros(3), MIXTURE.posterior_mean + 0.2, np.full(3, 0.8))

    @jax.jit
    @jax.vmap
    def bounds(key):
        of_exact = iwae(key, exact, joint, x, num_samples=3).value
        return (
            of_exact,
            iwae(key, other, joint, x, num_samples=8).value,
            elbo(key, exact, joint, x).value,
        )

    at_exact, at_other, by_layer = bounds(jax.random.split(jax.random.key(1), DRAWS))
    np.testing.assert_allclose(at_exact, MIXTURE.log_p, atol=1e-4)
    assert within_errors(np.exp(np.float64(at_other) - MIXTURE.log_p), 1.0)
    assert np.mean(at_other) < MIXTURE.log_p
    assert within_errors(by_layer, MIXTURE.log_p)
