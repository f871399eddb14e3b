"""What a model with an exact log p(x) is trained on: itself, or one member of its mixture."""

import jax
import jax.numpy as jnp

from vaejax.distributions import AutoregressiveEnsemble
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Key, Observation


def log_likelihood(key: Key, p: Distribution, x: Observation) -> Terms:
    """log p(x), exact: no z, no bound, no noise. It is `value` and `reconstruction`; `kl` is 0."""
    del key
    return _terms(p.log_prob(x))


def one_member(key: Key, p: AutoregressiveEnsemble, x: Observation) -> Terms:
    """log p_m(x), m drawn uniformly from the M members of the mixture p = mean_m p_m: M times
    cheaper than log p(x). The members share their parameters, so all are trained (order- and
    connectivity-agnostic training: MADE, Germain et al. 2015, section 4).

    A lower bound on log p(x) in expectation: E_m log p_m(x) <= log E_m p_m(x) (Jensen).
    """
    return _terms(p.member(jax.random.randint(key, (), 0, p.num_members)).log_prob(x))


def _terms(log_prob) -> Terms:
    return Terms(log_prob, log_prob, jnp.zeros_like(log_prob))
