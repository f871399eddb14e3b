"""The evidence lower bound."""

import jax.numpy as jnp

from vaejax.distributions import sample_and_kl
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def elbo(key: Key, q: Distribution, joint: Joint, x: Observation, *, beta=1.0) -> Terms:
    """The evidence lower bound, from one draw of z (Kingma & Welling 2014, eq. 3), in nats:

    E_q[log p(x | z)] - beta KL(q(z | x) || p(z)).

    The KL is that of `distributions.sample_and_kl`. With beta of 1 or more the expectation of the
    value is a lower bound on log p(x). With a smaller one it is not (Higgins et al. 2017), while
    `reconstruction - kl` still is. Without a latent variable it is log p(x), exactly.

    Gradients go through the draw. A discrete part of q gets none from log p(x | z).

    Metrics: `reconstruction`, log p(x | z), and `kl`.

    Raises:
      TypeError: q is a point mass, which has no KL.

    Example:
      Where q is the exact posterior, the ELBO is log p(x) on average; here log N(1; 0, 2).

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> q = DiagonalGaussian(0.5, -0.3466)  # p(z | x = 1) = N(1 / 2, 1 / 2)
      >>> keys = jax.random.split(jax.random.key(0), 10_000)
      >>> bound = lambda key: vaejax.objectives.elbo(key, q, joint, 1.0).value
      >>> mean = jax.jit(jax.vmap(bound))(keys).mean()
      >>> bool(abs(mean - jax.scipy.stats.norm.logpdf(1.0, scale=2**0.5)) < 0.03)
      True
    """
    z, kl = sample_and_kl(key, q, joint.prior)
    reconstruction = joint.likelihood(z).log_prob(x)
    value = reconstruction - jnp.asarray(beta) * kl
    return Terms(value, {"reconstruction": reconstruction, "kl": kl})
