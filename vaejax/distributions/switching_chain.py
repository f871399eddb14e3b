"""A switching linear dynamical system in (s, z), and its structured mean-field posterior."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from vaejax.distributions.discrete_chain import DiscreteChain
from vaejax.distributions.factors import inverse_of_factor
from vaejax.distributions.frames import filled
from vaejax.distributions.hierarchical import Hierarchical
from vaejax.distributions.known_kl import KnownKL
from vaejax.distributions.linear_chain import LinearChain, check_linear_steps, gaussian_of_factor
from vaejax.distributions.linear_messages import Steps
from vaejax.distributions.markov import Markov
from vaejax.distributions.mean_field import Found, Switching, mean_field
from vaejax.distributions.potential import Potential, check_potential, check_potential_shape
from vaejax.types import Key


def _state_given(steps: Steps, t, z, s) -> Any:
    return gaussian_of_factor(steps.A[t, s] @ z + steps.b[t, s], steps.G[t, s])


def _switching_step(switches: DiscreteChain, steps: Steps, t, before) -> Hierarchical:
    s, z = before
    return Hierarchical(switches.step(t, s), Partial(_state_given, steps, t, z))


class SwitchingChain(Markov):
    """A switching linear dynamical system: a `Markov` chain of pairs (s_t, z_t).

    s_t is a discrete chain of K states, and z_t = A_tk z_{t-1} + b_tk + G_tk e_t where s_t = k.

    Args:
      switches: p(s). Its length and `parallel` are those of the whole.
      A: along time, for each state; those of t = 0 are not used.
      b: b_0k is the mean of z_0 given s_0 = k.
      G: lower triangular, with a diagonal above 0; G_0k is that of z_0.

    Raises:
      ValueError: shapes that do not fit; of known values, as in `LinearChain`.
    """

    def __init__(
        self,
        switches: DiscreteChain,
        A: Float[Array, "time k d d"],
        b: Float[Array, "time k d"],
        G: Float[Array, "time k d d"],
    ):
        A, b, G = map(jnp.asarray, (A, b, G))
        if b.ndim != 3 or b.shape[:2] != switches.logits.shape[:2]:
            raise ValueError(
                "SwitchingChain: expected b of shape (time, k, d) with the time and the states of "
                f"the switches, {switches.logits.shape[:2]}; got {b.shape}"
            )
        for k in range(b.shape[1]):
            check_linear_steps(f"SwitchingChain, state {k}", A[:, k], b[:, k], G[:, k])
        steps = Steps(A, b, G)
        d = b.shape[-1]
        first = Partial(_state_given, steps, 0, jnp.zeros(d, b.dtype))
        super().__init__(
            Hierarchical(switches.initial, first),
            Partial(_switching_step, switches, steps),
            switches.num_steps,
            switches.length,
        )

    @property
    def switches(self) -> DiscreteChain:
        """p(s)."""
        return self.step.args[0]  # type: ignore[attr-defined]

    @property
    def steps(self) -> Steps:
        """A, b and G along time, for each state."""
        return self.step.args[1]  # type: ignore[attr-defined]

    def posterior(self, potentials: Potential) -> "ChainPair":
        """The best q(s) q(z) for p(s, z) exp(sum_t h_t' z_t - z_t' J_t z_t / 2), as
        `mean_field` finds it, with its KL from p. Potentials are of z alone; those beyond the
        length are not looked at.

        Raises:
          TypeError, ValueError: as `check_potential`.
        """
        A, b, G = self.steps
        shape = b.shape[0], b.shape[2]
        check_potential_shape("SwitchingChain.posterior", potentials, shape)
        h, J = filled((potentials.h, potentials.matrix), self.beyond)
        check_potential("SwitchingChain.posterior", Potential(h, J), shape)
        p = Switching(self.switches.logits, A, b, G, inverse_of_factor(G), ~self.beyond)
        found = mean_field(p, h, J, parallel=self.switches.parallel)
        return ChainPair(self, found)


def _whichever(p: Any, s: Any) -> Any:
    return p


def _pair_step(switches: DiscreteChain, states: LinearChain, t, before) -> Hierarchical:
    s, z = before
    return Hierarchical(switches.step(t, s), Partial(_whichever, states.step(t, z)))


class ChainPair(Markov):
    """A pair of independent chains, q(s) q(z): the posterior of a `SwitchingChain`, and a `Markov`
    chain of pairs.

    Args:
      prior: what it was made from.
      found: the chains of the best q, and its KL from the prior.

    `converged` says whether they are a fixed point, after at most 100 sweeps.
    """

    def __init__(self, prior: SwitchingChain, found: Found):
        length, parallel = prior.length, prior.switches.parallel
        switches = DiscreteChain(found.s.log_q, length, parallel=parallel)
        states = LinearChain(*found.z.steps, length, parallel=parallel)
        super().__init__(
            Hierarchical(switches.initial, Partial(_whichever, states.initial)),
            Partial(_pair_step, switches, states),
            prior.num_steps,
            length,
        )
        self.known_kl = KnownKL(prior, jnp.sum(found.kl))
        self.converged = found.converged

    @property
    def switches(self) -> DiscreteChain:
        """q(s)."""
        return self.step.args[0]  # type: ignore[attr-defined]

    @property
    def states(self) -> LinearChain:
        """q(z)."""
        return self.step.args[1]  # type: ignore[attr-defined]

    def entropy(self) -> Float[Array, ""]:
        """The entropy, in nats: that of q(s) and that of q(z)."""
        return self.switches.entropy() + self.states.entropy()

    def _draw_and_log_density(self, key: Key) -> tuple[Any, Float[Array, ""]]:
        s_key, z_key = jax.random.split(key)
        s, log_s = self.switches.sample_and_log_prob(seed=s_key)
        z, log_z = self.states.sample_and_log_prob(seed=z_key)
        return (s, z), log_s + log_z

    def _log_density(self, z: tuple[Int[Array, " time"], Array]) -> Float[Array, ""]:
        return self.switches.log_prob(z[0]) + self.states.log_prob(z[1])
