"""Every value of a discrete distribution, where there are few enough to be listed."""

import itertools

import numpy as np
from distrax import Categorical

from vaejax.distributions.bernoulli import Bernoulli
from vaejax.types import Distribution

MAX_STATES = 2**16


def states_of(p: Distribution) -> np.ndarray | None:
    """Every value of a discrete distribution, along the first axis: of a Categorical, or of an
    array of Bernoulli, with at most 2^16 values. None of any other.

    Example:
      >>> import jax, vaejax
      >>> p = vaejax.distributions.Bernoulli(jax.numpy.array([0.3, -1.0]))
      >>> vaejax.distributions.states_of(p).tolist()
      [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    if isinstance(p, Categorical) and p.batch_shape == ():
        return np.arange(p.num_categories) if p.num_categories <= MAX_STATES else None
    if isinstance(p, Bernoulli) and p.logits.size <= np.log2(MAX_STATES):
        bits = itertools.product((0.0, 1.0), repeat=p.logits.size)
        return np.array(list(bits), p.logits.dtype).reshape(-1, *p.logits.shape)
    return None
