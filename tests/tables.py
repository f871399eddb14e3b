"""A model of two or three binary elements whose every probability stands in a table."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import GenerativeModel, InferenceNetwork, Joint, Params, distributions


def states(size):
    """All x of {0, 1}^size, (2^size, size); the first element counts most."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=size)), np.float32)


def place(x):
    """The row of x in `states`."""
    return jnp.sum(x * 2 ** jnp.arange(x.shape[-1])[::-1], axis=-1).astype(jnp.int32)


class Exactly(distributions.Distribution):
    """p over all states, as log probabilities."""

    def __init__(self, logits, size):
        self.logits, self.size = logits, size

    @property
    def event_shape(self):
        return (self.size,)

    def _sample_n(self, key, n):
        return jnp.asarray(states(self.size))[jax.random.categorical(key, self.logits, shape=(n,))]

    def log_prob(self, value):
        return jax.nn.log_softmax(self.logits)[place(value)]

    def mean(self):
        return jax.nn.softmax(self.logits) @ states(self.size)


def table_pair(q_family, likelihood):
    """z ~ q_family(rows of phi at x~), x ~ likelihood(z's row of theta)."""
    model = GenerativeModel(
        lambda key: (), lambda theta, given=(): Joint(None, lambda z: likelihood(theta[z]))
    )
    q = InferenceNetwork(
        lambda key: (), lambda phi, seen, joint, given=(): q_family(phi[place(seen)])
    )
    return model, q


def factorized(logits):
    """Probabilities of all states under independent Bernoullis with these logits, by hand."""
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    return np.prod(np.where(states(len(p)) > 0, p, 1 - p), axis=1)


def corruption_matrix(fraction, size):
    """[x, x~]: the probabilities of `salt_and_pepper`: each element flips with half of it."""
    x = states(size)
    flips = np.sum(x[:, None] != x, axis=-1)
    flip = fraction / 2
    return flip**flips * (1 - flip) ** (size - flips)


def stationary(transition):
    """The left eigenvector of a transition matrix [from, to] at eigenvalue 1."""
    values, vectors = np.linalg.eig(transition.T)
    vector = np.real(vectors[:, np.argmax(np.real(values))])
    return vector / vector.sum()


def point_mass_pair(size, seed=0):
    """(pair, params, the table [x~, x] of p(x | x~)): a point mass at one of three codes, and
    independent elements given the code."""
    random = np.random.RandomState(seed)
    codes = random.randint(0, 3, 2**size)
    logits = 2.0 * random.randn(3, size)
    pair = table_pair(distributions.PointMass, distributions.Bernoulli)
    params = Params(jnp.asarray(logits, jnp.float32), jnp.asarray(codes))
    return pair, params, np.array([factorized(logits[c]) for c in codes])


def density_pair(size, seed=0):
    """The same with q(z | x~) categorical over the three codes."""
    random = np.random.RandomState(seed)
    weights = random.dirichlet(np.ones(3), 2**size)
    logits = 2.0 * random.randn(3, size)
    pair = table_pair(lambda row: distributions.Categorical(logits=row), distributions.Bernoulli)
    params = Params(jnp.asarray(logits, jnp.float32), jnp.asarray(np.log(weights), jnp.float32))
    return pair, params, weights @ np.array([factorized(row) for row in logits])


def perfect_pair(size, fraction, seed=0):
    """(pair, params, p): p(x | x~) by Bayes from a p(x) drawn at random, of `salt_and_pepper`."""
    p = np.random.RandomState(seed).dirichlet(0.7 * np.ones(2**size))
    joint = p[:, None] * corruption_matrix(fraction, size)
    posterior = (joint / joint.sum(axis=0)).T  # [x~, x]
    pair = table_pair(distributions.PointMass, lambda row: Exactly(row, size))
    params = Params(jnp.asarray(np.log(posterior), jnp.float32), jnp.arange(2**size))
    return pair, params, p
