"""Pictures in the plane: clusters of a two-dimensional z, and the density of a two-dimensional
x."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from vaejax.distributions import as_gaussian_mixture, has_latent
from vaejax.distributions.factors import inverse_of_factor
from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.samples import first_joint
from vaejax.evaluation.section import BLUE, Figure
from vaejax.sharding import map_examples
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Key, Params, bind

_SIDE = 100  # points of the grid along each axis
_DRAWS = 4000  # of z, to estimate p(x) at each point of the grid
_OF_CODES = 100  # draws of z, to estimate p(k | x)
_LEAST_WEIGHT = 0.01  # least weight of a component in the figure
_CONTOURS = 8  # contours, one nat apart, from the highest density down


def clusters(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    examples: Example,
) -> dict[str, np.ndarray]:
    """For a p(z) that is a mixture of Gaussians without conditions: its `component_weights`,
    `component_means` and `component_factors`, and `component`, the most probable component of each
    example under E_q[p(k | z)], from 100 draws. {} for any other p(z)."""
    joint = first_joint(generative, params, examples.given)
    mixture = as_gaussian_mixture(joint.prior)
    if mixture is None or len(mixture[0]) == 1 or jax.tree.leaves(examples.given):
        return {}
    log_weights, means, factors = mixture
    means = means.reshape(len(means), -1)
    inverses = inverse_of_factor(factors)
    scaled = log_weights - jnp.sum(jnp.log(jnp.diagonal(factors, axis1=1, axis2=2)), axis=1)

    def log_joint(z):
        """log w_k N(z; m_k, L_k L_k') for each k, up to a constant."""
        noise = jnp.einsum("kij,kj->ki", inverses, z.reshape(-1) - means)
        return scaled - 0.5 * jnp.sum(noise**2, axis=1)

    def most_probable(shared, index, example):
        key, params = shared
        _, q, _ = bind(generative, inference, params, example)
        z = q.sample(seed=jax.random.fold_in(key, index), sample_shape=(_OF_CODES,))
        return jnp.argmax(jnp.mean(jax.nn.softmax(jax.vmap(log_joint)(z)), axis=0))

    return {
        "component": map_examples(most_probable, (key, params), examples),
        "component_weights": np.exp(log_weights),
        "component_means": np.asarray(means),
        "component_factors": np.asarray(factors),
    }


def density(
    key: Key, generative: GenerativeModel, params: Params, x: Float[np.ndarray, "n 2"]
) -> dict[str, np.ndarray]:
    """`density`, log p(x) in nats on a grid that covers the examples x, and `density_grid`, the
    grid's values of x[0] and x[1]. p(x) is exact without a latent variable; else it is the mean of
    p(x | z) over 4,000 draws of z, the same at each point."""
    joint = first_joint(generative, params, ())
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.1 * (high - low)
    axes = [np.linspace(low[i] - margin[i], high[i] + margin[i], _SIDE) for i in range(2)]
    places = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(x.dtype)
    count = _DRAWS if has_latent(joint.prior) else 1

    @jax.jit
    def log_p(theta, key, places):
        joint = generative.joint(theta)

        def add(total, key):
            likelihood = joint.likelihood(joint.prior.sample(seed=key))
            return jnp.logaddexp(total, jax.vmap(likelihood.log_prob)(places)), None

        start = jnp.full(len(places), -jnp.inf)
        return jax.lax.scan(add, start, jax.random.split(key, count))[0] - jnp.log(count)

    found = np.asarray(log_p(params.generative, key, places))
    return {"density": found.reshape(_SIDE, _SIDE), "density_grid": np.stack(axes)}


def plane_figures(arrays: dict[str, np.ndarray], split: str) -> list[Figure]:
    """The figures of the clusters of z and of the density of x, if the arrays have them."""
    figures = []
    if "component" in arrays and arrays["component_means"].shape[1] == 2:
        figures.append(Figure("clusters", lambda: _clusters(arrays, split)))
    if "density" in arrays:
        figures.append(Figure("density", lambda: _density(arrays, split)))
    return figures


def _colours(arrays: dict[str, np.ndarray], count: int) -> Any:
    """The colours of the first examples: those of their components."""
    if "component" not in arrays:
        return BLUE
    return plt.get_cmap("tab20")(arrays["component"][:count] % 20)


def _clusters(arrays, split):
    code = arrays["code"]
    figure, axes = plt.subplots(figsize=(6, 6))
    axes.scatter(*code.T, s=5, c=_colours(arrays, len(code)))
    circle = _circle()
    parts = (arrays[f"component_{name}"] for name in ("weights", "means", "factors"))
    shown = 0
    for k, (weight, mean, factor) in enumerate(zip(*parts, strict=True)):
        if weight > _LEAST_WEIGHT:
            colour = plt.get_cmap("tab20")(k % 20)
            axes.plot(*(mean[:, None] + 2 * factor @ circle), color=colour)
            axes.annotate(f"{weight:.2f}", mean, ha="center", va="center", fontsize=8)
            shown += 1
    axes.set_xlabel("$z_1$")
    axes.set_ylabel("$z_2$")
    axes.set_aspect("equal")
    axes.set_title(f"mean of q(z | x), {split} examples, and p(z)", fontsize=10)
    return figure, (
        f"The codes of the {split} examples, each in the colour of its most probable component of "
        f"p(z). Ellipses: components at 2 standard deviations, with their weights; shown are the "
        f"{shown} of {len(arrays['component_weights'])} with a weight above {_LEAST_WEIGHT}."
    )


def _circle() -> Float[np.ndarray, "2 points"]:
    angle = np.linspace(0, 2 * np.pi, 100)
    return np.stack([np.cos(angle), np.sin(angle)])


def _density(arrays, split):
    x, log_p = arrays["originals"], arrays["density"]
    levels = np.ceil(log_p.max()) - np.arange(_CONTOURS, -1, -1)
    figure, axes = plt.subplots(figsize=(7, 6))
    drawn = axes.contourf(*arrays["density_grid"], log_p, levels, cmap="Greys", extend="min")
    figure.colorbar(drawn, label="log p(x), nats")
    axes.scatter(*x.T, s=4, c=_colours(arrays, len(x)))
    axes.set_xlabel("x[0]")
    axes.set_ylabel("x[1]")
    axes.set_aspect("equal")
    axes.set_title(f"log p(x), and {split} examples", fontsize=10)
    by_component = ", in the colours of their components" if "component" in arrays else ""
    return figure, (
        f"log p(x) of the model, and {split} examples{by_component}. With a latent variable, p(x) "
        f"is an average over {_DRAWS:,} draws of z, which is noisy where p(x) is low."
    )
