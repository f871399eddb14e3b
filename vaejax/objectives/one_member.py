"""What a mixture of autoregressive models is trained on: one of its members."""

from typing import Any

import jax

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def one_member(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p_m(x) of one random member m of an ensemble of autoregressive models, in nats.

    p is the uniform mixture of M members p_m, so this is M times cheaper than log p(x). The members
    share their parameters, so all are trained (order- and connectivity-agnostic training: MADE,
    Germain et al. 2015, section 4). It is for a model without a latent variable whose p(x) is an
    `AutoregressiveEnsemble`.

    A lower bound on log p(x) in expectation: E_m log p_m(x) <= log E_m p_m(x) (Jensen). No metrics.
    """
    mixture: Any = joint.likelihood(q.sample(seed=key))
    member = mixture.member(jax.random.randint(key, (), 0, mixture.num_members))
    return Terms(member.log_prob(x), {})
