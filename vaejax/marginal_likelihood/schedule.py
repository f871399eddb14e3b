"""Temperatures from 0 to 1, and the pilot run that places them and tunes the sampler.

Everything tuned is frozen before a weight is computed: adapting while weighting would make the
estimate biased (and its bounds no bounds).
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.marginal_likelihood.annealed_path import AnnealedPath
from vaejax.marginal_likelihood.hmc import transition
from vaejax.types import Key

TARGET_ACCEPTANCE = 0.65  # Beskos et al. (2013); Wu et al. (2017) tune to it too
_WINDOW = 5

Schedule = Literal["linear", "sigmoid", "adaptive"]


class Tuned(NamedTuple):
    """What a pilot run fixes: temperatures beta_0 = 0 .. beta_T = 1 and HMC's step size at each."""

    betas: Float[Array, " t"]
    step_sizes: Float[Array, " t"]


def sigmoid_schedule(num_temperatures: int) -> Float[Array, " t"]:
    """sigma(4 (2t/T - 1)), rescaled to go from 0 to 1 (Grosse et al. 2015, section 6)."""
    values = jax.nn.sigmoid(4.0 * jnp.linspace(-1.0, 1.0, num_temperatures + 1))
    return (values - values[0]) / (values[-1] - values[0])


def pilot_size(num_temperatures: int) -> int:
    """Temperatures of the pilot run: a fifth, and enough to find a step size."""
    return max(num_temperatures // 5, 30)


def evaluations(
    num_chains: int,
    num_temperatures: int,
    num_leapfrog: int,
    *,
    annealings: int = 1,
    pilot_chains: int | None = None,
) -> int:
    """Gradient evaluations of a pilot run and so many annealings (nothing moves at the last
    temperature); the pilot has as many chains unless said."""
    pilot = (pilot_chains or num_chains) * pilot_size(num_temperatures)
    return num_leapfrog * (annealings * num_chains * (num_temperatures - 1) + pilot)


def _smooth(values: Float[Array, " t"]) -> Float[Array, " t"]:
    """Mean over a window, the ends repeated."""
    padded = jnp.pad(values, _WINDOW // 2, mode="edge")
    return jnp.convolve(padded, jnp.ones(_WINDOW, values.dtype) / _WINDOW, mode="valid")


def pilot(
    key: Key,
    path: AnnealedPath,
    *,
    betas: Float[Array, " p"],
    num_chains: int,
    num_leapfrog: int,
) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
    """Anneal once along `betas`, tuning as it goes; its own weights are thrown away.

    Returns (log step size, variance of log f_1 - log f_0 over the chains) at each temperature. The
    step size follows the mean acceptance: log e += acceptance - 0.65.
    """
    start_key, chain_key = jax.random.split(key)
    points = path.starts(start_key, num_chains)

    def step(carry, inputs):
        points, log_step = carry
        index, beta = inputs
        keys = jax.random.split(jax.random.fold_in(chain_key, index), num_chains)
        points, acceptance = jax.vmap(
            lambda key, point: transition(key, path, beta, point, jnp.exp(log_step), num_leapfrog)
        )(keys, points)
        # A broken start (log density -inf) says nothing of the spacing.
        ratio = jnp.where(jnp.isfinite(points.log_ratio), points.log_ratio, jnp.nan)
        variance = jnp.nan_to_num(jnp.nanvar(ratio))
        return (points, log_step + (jnp.mean(acceptance) - TARGET_ACCEPTANCE)), (log_step, variance)

    first = jnp.log(jnp.asarray(0.2, betas.dtype))
    _, (log_steps, variances) = jax.lax.scan(step, (points, first), (jnp.arange(len(betas)), betas))
    return log_steps, variances


def tune(
    key: Key,
    path: AnnealedPath,
    *,
    num_temperatures: int,
    schedule: Schedule,
    num_chains: int,
    num_leapfrog: int,
) -> Tuned:
    """Temperatures and step sizes from a pilot of `pilot_size` temperatures.

    `adaptive` spaces the temperatures at equal distances in the metric sqrt(Var_beta(log f_1 -
    log f_0)) d beta, along which the log weights vary evenly (Gelman & Meng 1998, eq. 49).
    """
    if schedule not in get_args(Schedule):
        raise ValueError(f"schedule is one of {get_args(Schedule)}; got {schedule!r}")
    grid = sigmoid_schedule(pilot_size(num_temperatures) - 1)
    log_steps, variances = pilot(
        key, path, betas=grid, num_chains=num_chains, num_leapfrog=num_leapfrog
    )
    even = jnp.linspace(0.0, 1.0, num_temperatures + 1)
    if schedule == "linear":
        betas = even
    elif schedule == "sigmoid":
        betas = sigmoid_schedule(num_temperatures)
    else:
        speed = jnp.sqrt(_smooth(variances)) + 1e-6
        lengths = 0.5 * (speed[1:] + speed[:-1]) * jnp.diff(grid)
        # A tenth of the temperatures follow the grid, whatever the pilot believes.
        lengths = lengths / jnp.sum(lengths) + 0.1 / len(lengths)
        distance = jnp.concatenate([jnp.zeros(1), jnp.cumsum(lengths)])
        betas = jnp.interp(even, distance / distance[-1], grid)
        betas = betas.at[0].set(0.0).at[-1].set(1.0)
    # The first temperatures were still looking for their step size: those after speak for them.
    settled = jnp.arange(len(grid)) >= len(grid) // 5
    log_steps = jnp.where(settled, log_steps, log_steps[len(grid) // 5])
    return Tuned(betas, jnp.exp(jnp.interp(betas, grid, _smooth(log_steps))))
