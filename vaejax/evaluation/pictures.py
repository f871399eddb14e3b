"""Arrays that the report draws: reconstructions, samples, completions, the two-dimensional
manifold."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vaejax.distributions import Autoregressive, AutoregressiveEnsemble, PointMass
from vaejax.types import (
    Distribution,
    ExplicitModel,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Params,
)

MANIFOLD_SIDE = 20
_MEAN_DRAWS = 100
_CHUNK = 500  # samples drawn together

Kind = Literal["latent", "point mass", "explicit"]


def kind_of(
    generative: GenerativeModel | ExplicitModel,
    inference: InferenceNetwork | None,
    params: Params,
    x: np.ndarray,
) -> Kind:
    """`explicit`: p(x) without a z. `point mass`: an autoencoder. `latent`: p(x, z) and a q with a
    density."""
    if isinstance(generative, ExplicitModel):
        return "explicit"
    assert inference is not None
    return "point mass" if is_point_mass(generative, inference, params, x) else "latent"


def is_point_mass(
    generative: GenerativeModel, inference: InferenceNetwork, params: Params, x: np.ndarray
) -> bool:
    """Whether q(z | x) is a point mass: an autoencoder, which has no p(z) and no log p(x)."""
    kind = []

    def trace(params, x):
        joint = generative.joint(params.generative)
        kind.append(isinstance(inference.posterior(params.inference, x, joint.prior), PointMass))
        return 0

    jax.eval_shape(trace, params, jnp.asarray(x, jnp.float32))
    return kind[0]


def mean_of(key: Key, p: Distribution) -> Array:
    """E[x]; where p has no formula for it (autoregressive, a flow), the mean of 100 draws."""
    return mean_and_noise(key, p)[0]


def mean_and_noise(key: Key, p: Distribution) -> tuple[Array, Array | None]:
    """`mean_of`, and the variance of each element that is due to the draws, if it took any."""
    try:
        return p.mean(), None
    except NotImplementedError:
        draws = p.sample(seed=key, sample_shape=(_MEAN_DRAWS,))
        return jnp.mean(draws, axis=0), jnp.var(draws, axis=0, ddof=1) / _MEAN_DRAWS


def prior_samples(
    key: Key, generative: GenerativeModel, params: Params, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(E[x | z], x) for `count` draws z ~ p(z), x ~ p(x | z)."""

    def one(theta, key):
        joint = generative.joint(theta)
        prior_key, likelihood_key = jax.random.split(key)
        likelihood = joint.likelihood(joint.prior.sample(seed=prior_key))
        mean_key = jax.random.fold_in(key, 2)  # split's two may be fold_in's 0 and 1
        return mean_of(mean_key, likelihood), likelihood.sample(seed=likelihood_key)

    @jax.jit
    def draws(theta, keys):
        return jax.lax.map(lambda key: one(theta, key), keys, batch_size=500)

    means, samples = draws(params.generative, jax.random.split(key, count))
    return np.asarray(means), np.asarray(samples)


def explicit_samples(key: Key, model: ExplicitModel, params: Params, count: int) -> np.ndarray:
    """`count` draws x ~ p(x)."""

    @jax.jit
    def chunk(params, key):
        p = model.density(params.generative)
        return p.sample(seed=key, sample_shape=(min(_CHUNK, count),))

    keys = jax.random.split(key, -(-count // _CHUNK))
    return np.concatenate([np.asarray(chunk(params, key)) for key in keys])[:count]


def explicit_pictures(
    key: Key, model: ExplicitModel, params: Params, xs: np.ndarray, *, count: int = 64
) -> dict[str, np.ndarray]:
    """`originals`, `samples`, and what `completions` gives."""
    xs = np.asarray(xs[:count], np.float32)
    sample_key, complete_key = jax.random.split(key)
    return {
        "originals": xs,
        "samples": explicit_samples(sample_key, model, params, count),
        **completions(complete_key, model, params, xs),
    }


def completions(
    key: Key, model: ExplicitModel, params: Params, xs: np.ndarray
) -> dict[str, np.ndarray]:
    """Of an autoregressive model `completions`, one exact draw of the second half of each x given
    the first, where `completions_known` is True. Orders that do not begin with the same half, and
    other models, have none."""
    p = model.density(params.generative)
    if not isinstance(p, (Autoregressive, AutoregressiveEnsemble)):
        return {}
    half = int(np.prod(p.event_shape)) // 2
    try:
        known = np.asarray(p.first(half))
    except ValueError:
        return {}

    @jax.jit
    def complete(params, keys, xs):
        p = model.density(params.generative)
        # One by one, where each would need a masked copy of all weights.
        together = 1 if isinstance(p, AutoregressiveEnsemble) else len(xs)
        return jax.lax.map(lambda pair: p.complete(*pair, half), (keys, xs), batch_size=together)

    found = complete(params, jax.random.split(key, len(xs)), np.asarray(xs, np.float32))
    return {"completions": np.asarray(found), "completions_known": known}


def pictures(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    xs: np.ndarray,
    codes: np.ndarray,
    *,
    count: int = 64,
) -> dict[str, np.ndarray]:
    """`originals`, `reconstructions` (E[x | z], z ~ q); with a p(z), `sample_means` and
    `samples`; with two latents, `manifold`: E[x | z] on a square grid of z, at the normal
    quantiles of 0.01..0.99 for a q with a density; for a point mass between the same percentiles
    of the codes of `xs`."""
    xs = np.asarray(xs[:count], np.float32)
    point_mass = is_point_mass(generative, inference, params, xs[0])

    def reconstruct(key, x):
        joint = generative.joint(params.generative)
        q = inference.posterior(params.inference, x, joint.prior)
        return mean_of(jax.random.fold_in(key, 0), joint.likelihood(q.sample(seed=key)))

    reconstruct_key, sample_key = jax.random.split(key)
    keys = jax.random.split(reconstruct_key, len(xs))
    reconstructions = jax.jit(jax.vmap(reconstruct))(keys, xs)
    result = {"originals": xs, "reconstructions": np.asarray(reconstructions)}
    if not point_mass:
        result["sample_means"], result["samples"] = prior_samples(
            sample_key, generative, params, count
        )
    if codes.shape[1:] == (2,):
        if point_mass:
            low, high = np.percentile(codes, [1, 99], axis=0)
            axes = [np.linspace(low[i], high[i], MANIFOLD_SIDE) for i in range(2)]
        else:
            quantiles = np.linspace(0.01, 0.99, MANIFOLD_SIDE)
            axes = [np.asarray(jax.scipy.stats.norm.ppf(quantiles))] * 2
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float32)
        joint = generative.joint(params.generative)
        result["manifold"] = np.asarray(
            jax.jit(jax.vmap(lambda z: mean_of(jax.random.fold_in(key, 2), joint.likelihood(z))))(
                grid
            )
        )
    return result
