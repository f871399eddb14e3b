"""A linear dynamical system in z, and what potentials make of it: again one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from vaejax.distributions.factors import parameters_of_factor
from vaejax.distributions.frames import filled
from vaejax.distributions.full_gaussian import FullGaussian
from vaejax.distributions.known_kl import KnownKL
from vaejax.distributions.linear_messages import Moments, Steps, moments, smooth, trajectory
from vaejax.distributions.markov import Markov
from vaejax.distributions.potential import Potential, check_potential, check_potential_shape
from vaejax.distributions.state_space import check_length
from vaejax.types import Key

_HALF_LOG_2PI = 0.9189385332046727


def gaussian_of_factor(mean: Float[Array, " d"], factor: Float[Array, "d d"]) -> FullGaussian:
    """The Gaussian N(mean, L L'), from a lower triangular L with a positive diagonal."""
    return FullGaussian(mean, **parameters_of_factor(factor))


def _step(steps: Steps, t: Int[Array, ""], z: Float[Array, " d"]) -> FullGaussian:
    return gaussian_of_factor(steps.A[t] @ z + steps.b[t], steps.G[t])


class LinearChain(Markov):
    """A linear dynamical system: a `Markov` chain of linear-Gaussian steps.

    z_t = A_t z_{t-1} + b_t + G_t e_t, e_t ~ N(0, I).

    Args:
      A: along time; A_0 is not used.
      b: b_0 is the mean of z_0.
      G: lower triangular, with a diagonal above 0, the Cholesky factor of the noise; G_0 is that
        of z_0.
      length: how many steps count, all unless given; may be traced.
      parallel: whether passes along time are an associative scan, of depth log T, in place of one
        step after another. Neither changes a number but by rounding.
      known_kl: of a q, its KL from the prior that it was made from.

    Raises:
      ValueError: shapes that do not fit; of known values, one that is not finite, or a G that is
        not lower triangular with a diagonal above 0. The line names the step.

    Example:
      One z ~ N(0, 1), and an x = 1 seen with noise of variance 1: q is N(1 / 2, 1 / 2).

      >>> import jax.numpy as jnp, vaejax
      >>> from vaejax.distributions import LinearChain, Potential
      >>> p = LinearChain(A=jnp.ones((1, 1, 1)), b=jnp.zeros((1, 1)), G=jnp.ones((1, 1, 1)))
      >>> q = p.posterior(Potential(h=jnp.ones((1, 1)), J=jnp.ones((1, 1))))
      >>> print(f"{q.mean()[0, 0]:.3f}, {q.stddev()[0, 0] ** 2:.3f}")
      0.500, 0.500
    """

    def __init__(
        self,
        A: Float[Array, "time d d"],
        b: Float[Array, "time d"],
        G: Float[Array, "time d d"],
        length: Int[Array, ""] | int | None = None,
        *,
        parallel: bool = False,
        known_kl: KnownKL | None = None,
    ):
        A, b, G = map(jnp.asarray, (A, b, G))
        check_linear_steps("LinearChain", A, b, G)
        check_length("LinearChain", length, len(b))
        steps = Steps(A, b, G)
        super().__init__(gaussian_of_factor(b[0], G[0]), Partial(_step, steps), len(b), length)
        self.parallel = parallel
        self.known_kl = known_kl

    @property
    def steps(self) -> Steps:
        """A, b and G along time."""
        return self.step.args[0]  # type: ignore[attr-defined]

    def _counting(self, values: Array) -> Array:
        """0 beyond the length."""
        return filled(values, self.beyond)

    def moments(self) -> Moments:
        """Means and covariances of z_t, and Cov(z_t, z_{t-1}); 0 beyond the length."""
        return jax.tree.map(self._counting, moments(self.steps, parallel=self.parallel))

    def mean(self) -> Float[Array, "time d"]:
        return self.moments().mean

    def stddev(self) -> Float[Array, "time d"]:
        """The standard deviation of each element of z_t."""
        return jnp.sqrt(jnp.diagonal(self.moments().covariance, axis1=1, axis2=2))

    def entropy(self) -> Float[Array, ""]:
        """The entropy, in nats: sum_t log |2 pi e G_t G_t'| / 2 over the steps that count."""
        each = jnp.log(jnp.diagonal(self.steps.G, axis1=1, axis2=2)) + _HALF_LOG_2PI + 0.5
        return jnp.sum(self._counting(each))

    def _noise(self, key: Key) -> Float[Array, "time d"]:
        # fold_in, not split: a step's draw does not depend on how many there are.
        keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(self.num_steps))
        b = self.steps.b
        return jax.vmap(lambda k: jax.random.normal(k, b.shape[1:], b.dtype))(keys)

    def _draw_of_noise(self, noise: Float[Array, "time d"]) -> Float[Array, "time d"]:
        A, b, G = self.steps
        moved = b + jnp.einsum("tij,tj->ti", G, noise)
        return self._counting(trajectory(A, moved, parallel=self.parallel))

    def _draw(self, key: Key) -> Float[Array, "time d"]:
        return self._draw_of_noise(self._noise(key))

    def _draw_and_log_density(self, key: Key) -> tuple[Any, Float[Array, ""]]:
        noise = self._noise(key)
        log_scale = jnp.log(jnp.diagonal(self.steps.G, axis1=1, axis2=2))
        log_q = -jnp.sum(self._counting(0.5 * noise**2 + log_scale + _HALF_LOG_2PI))
        return self._draw_of_noise(noise), log_q

    def posterior(self, potentials: Potential) -> "LinearChain":
        """The chain q(z) in proportion to p(z) exp(sum_t h_t' z_t - z_t' J_t z_t / 2), with its KL
        from p.

        It takes one pass back and one forth. Potentials beyond the length are not looked at.

        Raises:
          TypeError, ValueError: as `check_potential`.
        """
        check_potential_shape("LinearChain.posterior", potentials, self.event_shape)
        h, J = self._counting(potentials.h), self._counting(potentials.matrix)
        check_potential("LinearChain.posterior", Potential(h, J), self.event_shape)
        found = smooth(self.steps, h, J, parallel=self.parallel)
        kl = KnownKL(self, jnp.sum(self._counting(found.kl)))
        A, b, G = found.steps
        return LinearChain(A, b, G, self.length, parallel=self.parallel, known_kl=kl)


def check_linear_steps(function: str, A: Any, b: Any, G: Any) -> None:
    """Raises ValueError where the arrays of linear-Gaussian steps are not as in `LinearChain`."""
    time, d = b.shape if b.ndim == 2 else (0, 0)
    if A.shape != (time, d, d) or G.shape != (time, d, d) or time < 1:
        raise ValueError(
            f"{function}: expected A (time, d, d), b (time, d) and G (time, d, d); got A "
            f"{A.shape}, b {b.shape} and G {G.shape}"
        )
    if any(isinstance(leaf, jax.core.Tracer) for leaf in (A, b, G)):
        return
    A, b, G = map(np.asarray, (A, b, G))
    finite = [np.isfinite(leaf.reshape(time, -1)).all(axis=1) for leaf in (A, b, G)]
    triangular = (np.triu(G, 1) == 0).all(axis=(1, 2))
    wrong = ~np.all(finite, axis=0) | ~triangular | (np.diagonal(G, 0, 1, 2) <= 0).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"{function}: at step {int(np.argmax(wrong))} A, b and G must be finite, and G lower "
            "triangular with a diagonal above 0: no noise is degenerate"
        )
