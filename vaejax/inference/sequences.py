"""q(z_0..z_{T-1} | x): inference networks that see a whole sequence, or its past alone."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vaejax.distributions import DiagonalGaussian, Markov, filled
from vaejax.networks import GRU, Combiner, inverse_autoregressive_flow
from vaejax.types import Conditions, InferenceNetwork, missing_frames

Sees = Literal["past", "future", "both", "both, without z"]


def sequence_posterior(
    latent_dim: int,
    embedding: Any,
    frame_shape: tuple[int, ...],
    hidden: int,
    *,
    sees: Sees = "future",
    num_flows: int = 0,
    num_actions: int = 0,
) -> InferenceNetwork:
    """An inference network for sequences: q(z_0 | x) prod_t q(z_t | z_{t-1}, x) (Krishnan et al.
    2017, sec. 4).

    Each factor is a diagonal Gaussian that a `Combiner` makes of z_{t-1} and of summaries of x and
    u by `GRU`s. What is given is a `Conditions`. Missing frames are 0 with a mark beside them.

    Args:
      latent_dim: numbers in z_t.
      embedding: anything with `init(key, x_t)` and `apply(phi, x_t) -> features`, for one frame.
      frame_shape: shape of one x_t.
      hidden: units of each GRU.
      sees: of x, besides z_{t-1}: "past", x_0..x_t (filtering); "future", x_t..x_{T-1} (DKS; as the
        exact posterior does); "both" (ST-LR); "both, without z", independent from step to step
        (MF-LR, mean field).
      num_flows: inverse autoregressive layers (Kingma et al. 2016) on each step's Gaussian draw,
        with the same parameters at each. No KL is then known; the log ratio at the draw is taken.
      num_actions: numbers in u_t.

    Raises:
      ValueError: an unknown `sees`.

    Example:
      A q that sees the past alone does not change with what comes later.

      >>> import jax, vaejax
      >>> embedding, jnp = vaejax.networks.MLP((), (8,)), jax.numpy
      >>> q = vaejax.inference.sequence_posterior(2, embedding, (3,), 8, sees="past")
      >>> key, given = jax.random.key(0), vaejax.Conditions(exists=jnp.ones(4, bool))
      >>> phi, x = jax.jit(q.init)(key), jnp.ones((4, 3))
      >>> draw = jax.jit(lambda x: q.posterior(phi, x, None, given).sample(seed=key))
      >>> (draw(x) == draw(x.at[3].set(0.0))).all(axis=1).tolist()
      [True, True, True, False]
    """
    if sees not in get_args(Sees):
        raise ValueError(f"sees must be one of {', '.join(get_args(Sees))}; got {sees!r}")
    directions = {"past": (False,), "future": (True,)}.get(sees, (False, True))
    readers = [GRU(hidden, backwards=backwards) for backwards in directions]
    combiner = Combiner(latent_dim, state=sees != "both, without z")
    flow = None
    if num_flows:
        flow = inverse_autoregressive_flow((latent_dim,), num_layers=num_flows, hidden=(hidden,))

    def features(phi, x, actions):
        missing = missing_frames(x)
        embed = jax.vmap(lambda frame: embedding.apply(phi, frame))
        embedded = embed(filled(x, missing))
        marks = jnp.where(missing, 1.0, 0.0)[:, None]
        seen = jnp.where(missing[:, None], 0.0, embedded)
        return jnp.concatenate([seen, marks, *([actions] if num_actions else [])], axis=1)

    def init(key):
        embedding_key, combiner_key, flow_key, readers_key = jax.random.split(key, 4)
        frame, z = jnp.zeros(frame_shape), jnp.zeros(latent_dim)
        embedded = embedding.init(embedding_key, frame)
        size = jax.eval_shape(embedding.apply, embedded, frame).shape[0] + 1 + num_actions
        inputs, exists = jnp.zeros((1, size)), jnp.ones(1, bool)
        keys = jax.random.split(readers_key, len(readers))
        return {
            "embedding": embedded,
            "readers": [r.init(k, inputs, exists) for r, k in zip(readers, keys, strict=True)],
            "combiner": combiner.init(combiner_key, z, jnp.zeros((len(readers), hidden))),
            "flow": () if flow is None else flow.init(flow_key)["conditioners"],
            "start": z,
        }

    def summaries(phi, x, given):
        inputs = features(phi["embedding"], x, given.actions)
        parts = [
            reader.apply(parameters, inputs, given.exists)
            for reader, parameters in zip(readers, phi["readers"], strict=True)
        ]
        return jnp.stack(parts, axis=1)

    def step_of(parameters, summaries, t, z):
        mean, log_scale = combiner.apply(parameters["combiner"], z, summaries[t])
        if flow is None:
            return DiagonalGaussian(mean, log_scale)
        zeros = jnp.zeros(latent_dim)
        whole = {"mean": zeros, "log_scale": zeros, "conditioners": parameters["flow"]}
        return flow.distribution(whole).of_gaussian(mean, log_scale)

    def posterior(phi, x, joint, given: Conditions):
        del joint
        seen = summaries(phi, x, given)
        first = step_of(phi, seen, 0, phi["start"])
        kept = {name: phi[name] for name in ("combiner", "flow")}
        return Markov(first, Partial(step_of, kept, seen), len(seen), given.length)

    return InferenceNetwork(init, posterior)
