"""What is known of the states of a sequence: filtering and smoothing.

The filtered z_t are those given the frames up to t, p(z_t | x_0..x_t); the smoothed ones are given
all frames, p(z_t | x_0..x_{T-1}).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vaejax.distributions import StateSpace, filled, filter_particles, steps_of, structure_of
from vaejax.distributions.precision import highest_precision
from vaejax.marginal_likelihood.linear_state_space import linear_state_space
from vaejax.types import Distribution, Joint, Key, Latent, Observation, check_counts, rows_of


class States(NamedTuple):
    """Means and standard deviations of each z_t of a sequence, time along the first axis; all 0
    beyond the length.

    Attributes:
      mean, std: as z is; the standard deviation is of each number by itself.
      ess: effective sample size of the weighted particles that they are made of; infinite where
        they are exact. Near 1 they are of one particle, and not to be believed. 0 where no
        particle had a weight above 0 (in float32, an x far from all that the model expects): the
        states then leave out what x says there.
    """

    mean: Latent
    std: Latent
    ess: Float[Array, " time"]


@highest_precision
def filtered_states(
    key: Key,
    model: StateSpace | Joint,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_particles: int,
    length: Any = None,
) -> States:
    """The filtered states of a sequence, each z_t given the frames up to t, by one particle filter.

    They are right in the limit of many particles. Of each step its moments alone are kept.

    Arguments and errors are those of `particle_filter`. A q that has seen all of x does not change
    what the filter is about, since the weights correct for it; but it proposes where the future
    is, and the filter is less accurate than without it. It serves log p(x) and `smoothed_states`.
    """
    name = "filtered_states"
    check_counts(name, num_particles=num_particles)
    steps, length = steps_of(name, model, x, q, length)

    def keep(z, log_w):
        return _moments(z, jnp.exp(log_w))

    found = filter_particles(
        key, steps, x, q, num_particles=num_particles, length=length, keep=keep
    )
    return _within(length, _without_lost(found.along, ~jnp.isfinite(jnp.cumsum(found.increments))))


@highest_precision
def smoothed_states(
    key: Key,
    model: StateSpace | Joint,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_particles: int,
    num_draws: int = 100,
    length: Any = None,
) -> States:
    """The smoothed states of a sequence, each z_t given all frames, by draws backwards over the
    particles of one filter (Godsill, Doucet & West 2004).

    Where z_{t+1} is drawn, z_t is the particle i with probability

    v_t^i in proportion to w_t^i p(z_{t+1} | z_t^i).

    The moments are those of the particles under the mean of v_t over the draws. They are right in
    the limit of many particles and draws. All particles are kept, T times `num_particles` states;
    each step takes `num_particles` times `num_draws` transition densities.

    Args:
      num_draws: trajectories drawn backwards.

    The others, and the errors, are those of `particle_filter`; TypeError too where a transition has
    no density.
    """
    name = "smoothed_states"
    check_counts(name, num_particles=num_particles, num_draws=num_draws)
    steps, length = steps_of(name, model, x, q, length)
    filter_key, draw_key = jax.random.split(key)
    found = filter_particles(
        filter_key,
        steps,
        x,
        q,
        num_particles=num_particles,
        length=length,
        keep=lambda z, log_w: (z, log_w),
    )
    room = len(found.ess)
    last = (room if length is None else length) - 1

    def drawn(key, z, log_v):
        """(a z for each row of weights, the moments under their mean)."""
        chosen = jax.random.categorical(key, log_v, axis=-1)
        return rows_of(z, chosen), _moments(z, jnp.exp(log_v).mean(axis=0))

    def back(later, inputs):
        t, (z, log_w) = inputs

        def densities(z):  # of all draws, given one particle
            return jax.vmap(steps.transition(t + 1, z).log_prob)(later)

        log_v = jax.nn.log_softmax(log_w + jax.vmap(densities)(z).T, axis=-1)
        new, moments = drawn(jax.random.fold_in(draw_key, t), z, log_v)
        return jax.tree.map(lambda a, b: jnp.where(t < last, a, b), new, later), moments

    log_w = jnp.broadcast_to(found.log_weights, (num_draws, num_particles))
    end, at_last = drawn(jax.random.fold_in(draw_key, room), found.z, log_w)
    times, before = jnp.arange(room - 1), rows_of(found.along, slice(room - 1))
    _, earlier = jax.lax.scan(back, end, (times, before), reverse=True)
    # The last step that counts has its filtered moments, wherever padding begins.
    along = jax.tree.map(
        lambda all_t, at: jnp.concatenate([all_t, at[None]]).at[last].set(at), earlier, at_last
    )
    return _within(length, _without_lost(along, ~jnp.isfinite(found.log_p)))


def exact_states(joint: Joint, x: Observation) -> tuple[States, States]:
    """The filtered and the smoothed states of a model whose every step is linear-Gaussian, exactly.

    They are those of the Kalman filter and the smoother of Rauch, Tung & Striebel (1965), in
    float64 on the host. Missing frames are integrated over.

    Returns:
      (filtered, smoothed).

    Raises:
      TypeError: the model is another; estimate its states by `filtered_states`, `smoothed_states`.
      ValueError: x is of another shape than the model's; a frame is NaN in part.

    Example:
      All frames know more than those up to t, and the last state is the same.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, StateSpace
      >>> step = lambda t, z: DiagonalGaussian(z, 0.0 * z)  # z_t and x_t: N(z, 1)
      >>> joint = StateSpace(DiagonalGaussian(0.0, 0.0), step, step).joint(length=3)
      >>> x = jax.numpy.array([1.0, 2.0, 4.0])
      >>> filtered, smoothed = vaejax.marginal_likelihood.exact_states(joint, x)
      >>> (smoothed.std < filtered.std).tolist(), bool(filtered.mean[2] == smoothed.mean[2])
      ([True, True, False], True)
    """
    steps_of("exact_states", joint, x, None)
    linear = linear_state_space(joint)
    if linear is None:
        raise TypeError(
            "exact_states expects a state-space model whose every step is linear-Gaussian: use "
            "filtered_states and smoothed_states"
        )
    leaves, tree = jax.tree.flatten(structure_of(joint.prior))
    shape = leaves[0].shape

    def along(values: np.ndarray) -> Any:
        padded = np.zeros((shape[0], *values.shape[1:]))
        padded[: len(values)] = values
        return jax.tree.unflatten(tree, [padded.reshape(shape)])

    def states(mean, covariance):
        std = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        ess = np.where(np.arange(shape[0]) < len(mean), np.inf, 0.0)
        return States(along(mean), along(std), ess)

    filtered, smoothed = linear.states(x)
    return states(*filtered), states(*smoothed)


def _moments(z: Latent, weights: Float[Array, " n"]) -> States:
    """Of particles along the first axis."""
    mean = jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), z)
    variance = jax.tree.map(
        lambda leaf, m: jnp.tensordot(weights, jnp.square(leaf - m), 1), z, mean
    )
    return States(mean, jax.tree.map(jnp.sqrt, variance), 1 / jnp.sum(jnp.square(weights)))


def _without_lost(states: States, lost: Bool[Array, "..."]) -> States:
    """With an effective sample size of 0 where the filter had lost all its particles."""
    return states._replace(ess=jnp.where(lost, 0.0, states.ess))


def _within(length: Any, states: States) -> States:
    """With 0 beyond the length."""
    return states if length is None else filled(states, jnp.arange(len(states.ess)) >= length)
