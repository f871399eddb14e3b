"""A Markov chain of discrete states, the z of a hidden Markov model, and its posterior."""

from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from vaejax.distributions.discrete_messages import NEVER, entropies, marginals, smooth
from vaejax.distributions.frames import filled
from vaejax.distributions.known_kl import KnownKL
from vaejax.distributions.markov import Markov
from vaejax.distributions.state_space import check_length


def _step(logits: Float[Array, "time k k"], t: Int[Array, ""], s: Int[Array, ""]) -> Any:
    return distrax.Categorical(logits[t, s])


class DiscreteChain(Markov):
    """A Markov chain of K discrete states, the z of a hidden Markov model.

    s_0 ~ softmax(logits_0), s_t ~ softmax(logits_t[s_{t-1}]).

    Args:
      logits: along time; the rows of logits_0 are alike, that of s_0.
      length: how many steps count, all unless given; may be traced.
      parallel: whether passes along time are an associative scan, of depth log T.
      known_kl: of a q, its KL from the prior that it was made from.

    Raises:
      ValueError: logits of another shape; of known values, NaN or +inf, or a row that is -inf
        throughout. The line names the step.

    Example:
      Equal probabilities, and an observation that is four times as likely in state 0:

      >>> import jax.numpy as jnp, vaejax
      >>> p = vaejax.distributions.DiscreteChain(jnp.zeros((2, 2, 2)))
      >>> log_likelihoods = jnp.log(jnp.array([[0.8, 0.2], [1.0, 1.0]]))  # step 1 says nothing
      >>> marginals = p.posterior(log_likelihoods).marginals()
      >>> [[f"{probability:.1f}" for probability in step] for step in marginals]
      [['0.8', '0.2'], ['0.5', '0.5']]
    """

    def __init__(
        self,
        logits: Float[Array, "time k k"],
        length: Int[Array, ""] | int | None = None,
        *,
        parallel: bool = False,
        known_kl: KnownKL | None = None,
    ):
        logits = jnp.asarray(logits)
        if logits.ndim != 3 or logits.shape[1] != logits.shape[2] or logits.size == 0:
            raise ValueError(
                f"DiscreteChain: expected logits of shape (time, k, k); got {logits.shape}"
            )
        impossible = "a row is -inf for every state"
        _check_logarithms("DiscreteChain: the logits", logits, impossible)
        check_length("DiscreteChain", length, len(logits))
        first = distrax.Categorical(logits[0, 0])
        super().__init__(first, Partial(_step, logits), len(logits), length)
        self.parallel = parallel
        self.known_kl = known_kl

    @property
    def logits(self) -> Float[Array, "time k k"]:
        """The logits along time, as they were given."""
        return self.step.args[0]  # type: ignore[attr-defined]

    def marginals(self) -> Float[Array, "time k"]:
        """The probabilities of s_t; beyond the length, where s_t is 0, those of the steps there."""
        return marginals(jax.nn.softmax(self.logits), parallel=self.parallel)

    def entropy(self) -> Float[Array, ""]:
        """The entropy, in nats: sum_t E[H(s_t | s_{t-1})] over the steps that count."""
        each = entropies(self.logits, parallel=self.parallel)
        return jnp.sum(filled(each, self.beyond))

    def posterior(self, log_likelihoods: Float[Array, "time k"]) -> "DiscreteChain":
        """q(s) in proportion to p(s) exp(sum_t log_likelihoods[t, s_t]), with its KL from p: one
        pass back and one forth. What is beyond the length is not looked at; 0 along a step says
        nothing; -inf makes a state impossible there.

        Raises:
          ValueError: they are of another shape; of known values, NaN or +inf, or -inf for every
            state of a step, or no sequence of states that has a probability.
        """
        _check_shape(log_likelihoods, self.logits.shape[:2])
        psi = filled(jnp.asarray(log_likelihoods), self.beyond)
        what = "DiscreteChain.posterior: the log-likelihoods"
        _check_logarithms(what, psi, "-inf for every state")
        found = smooth(self.logits, psi, parallel=self.parallel)
        kl = KnownKL(self, jnp.sum(filled(found.kl, self.beyond)))
        log_evidence = jnp.sum(found.marginals * jnp.maximum(psi, NEVER)) - kl.value
        if not isinstance(log_evidence, jax.core.Tracer) and log_evidence < 0.01 * NEVER:
            raise ValueError(f"{what} leave no sequence of states that the chain allows")
        return DiscreteChain(found.log_q, self.length, parallel=self.parallel, known_kl=kl)


def _check_shape(psi: Any, shape: tuple[int, ...]) -> None:
    if jnp.shape(psi) != shape:
        raise ValueError(
            "DiscreteChain.posterior: expected log-likelihoods of each state at each step, of "
            f"shape {shape}; got {jnp.shape(psi)}"
        )


def _check_logarithms(what: str, values: Any, impossible: str) -> None:
    """Raises ValueError where known logarithms of probabilities along time, the last axis that of
    the states, are none."""
    if isinstance(values, jax.core.Tracer):
        return
    values = np.asarray(values)
    wrong = np.isnan(values).any(-1) | (values == np.inf).any(-1) | (values == -np.inf).all(-1)
    wrong = wrong.reshape(len(wrong), -1).any(axis=1)
    if wrong.any():
        raise ValueError(f"{what} at step {int(np.argmax(wrong))} are NaN or +inf, or {impossible}")
