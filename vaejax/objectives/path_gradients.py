"""Bounds whose gradient for q runs through the draws alone: the score d log q / d lambda, which
has mean zero and a variance of its own, is left out. Values are those of `iwae`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions import held_fixed
from vaejax.objectives.iwae import over_draws
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Latent, Observation, check_counts


def sticking_the_landing(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """The ELBO, with a gradient for q that has no variance where q is p(z | x) (Roeder et al.
    2017):

    log p(x, z) - log q(z | x), z ~ q, in nats, with the parameters of log q held fixed. The
    gradient is unbiased for that of the ELBO.

    Metrics: `reconstruction`, log p(x | z), and `kl`, log q(z | x) - log p(z).

    Raises:
      TypeError: q is a point mass, or keeps its parameters where they cannot be held fixed.

    Example:
      At the exact posterior every draw has a gradient of 0.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> def value(mean):  # q = N(mean, 1 / 2), and p(z | x = 1) = N(1 / 2, 1 / 2)
      ...     q = DiagonalGaussian(mean, jax.numpy.log(0.5) / 2)
      ...     return vaejax.objectives.sticking_the_landing(jax.random.key(0), q, joint, 1.0).value
      >>> bool(abs(jax.grad(value)(0.5)) < 1e-5)
      True
    """
    z = q.sample(seed=key)
    reconstruction = joint.likelihood(z).log_prob(x)
    kl = held_fixed(q).log_prob(z) - joint.prior.log_prob(z)
    return Terms(reconstruction - kl, {"reconstruction": reconstruction, "kl": kl})


def doubly_reparameterized(
    key: Key, q: Distribution, joint: Joint, x: Observation, *, num_samples: int
) -> Terms:
    """The bound of `iwae`, with DReG's gradient (Tucker et al. 2019), unbiased for that of the
    bound.

    With normalized weights v_k = w_k / sum_j w_j, w = p(x, z) / q(z | x), the gradient is

      for q: sum_k v_k^2 (d log w_k / d z_k) (d z_k / d lambda)   (eq. 8)
      for p: sum_k v_k d log w_k / d theta, as in `iwae`.

    Args:
      num_samples: K.

    Metrics: `reconstruction` and `kl`, means over the draws; they have no gradient.

    Raises:
      TypeError: q is a point mass, or keeps its parameters where they cannot be held fixed.
      ValueError: num_samples below 1.
    """
    check_counts("doubly_reparameterized", num_samples=num_samples)
    fixed = held_fixed(q)

    def log_weights(z):
        def of_draw(z):
            kl = fixed.log_prob(z) - joint.prior.log_prob(z)
            return joint.likelihood(z).log_prob(x), kl

        return over_draws(of_draw, num_samples)(z)

    z = q.sample(seed=key, sample_shape=(num_samples,))
    # Twice the same numbers: XLA computes them once.
    reconstruction, kl = jax.lax.stop_gradient(log_weights(z))
    z = _scale_gradient(z, jax.nn.softmax(reconstruction - kl))
    reconstruction, kl = log_weights(z)
    value = jax.nn.logsumexp(reconstruction - kl) - jnp.log(num_samples)
    metrics = {"reconstruction": jnp.mean(reconstruction), "kl": jnp.mean(kl)}
    return Terms(value, jax.lax.stop_gradient(metrics))


@jax.custom_jvp
def _scale_gradient(z: Latent, weights: Float[Array, " K"]) -> Latent:
    """z_k itself; derivatives with respect to it are multiplied by its weight."""
    if not jax.tree.leaves(z):
        return z
    # Either branch is z. A result that is not batched where the weights are (one z, many x) is
    # mistaken for one that is: JAX 0.10, vmap of jit of custom_jvp.
    return jax.vmap(lambda v, z: jax.tree.map(lambda leaf: jnp.where(v >= 0, leaf, leaf), z))(
        weights, z
    )


@_scale_gradient.defjvp
def _scale_gradient_jvp(primals, tangents):
    (z, weights), (z_dot, _) = primals, tangents
    if not jax.tree.leaves(z):
        return z, z_dot
    scaled = jax.vmap(lambda v, z_dot: jax.tree.map(lambda leaf: v * leaf, z_dot))(weights, z_dot)
    return _scale_gradient(z, weights), scaled
