"""The types that everything here is written in.

Networks produce distributions; objectives and estimators consume distributions. All of these
are tuples of pure functions of ONE example; batching is done once, by `vmap`, at the edge.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

Key = PRNGKeyArray
Latent = PyTree[Array]
Observation = PyTree[Array]
Given = PyTree[Array]
Parameters = PyTree[Array]
Variational = Any  # a pytree of arrays
Arrays = TypeVar("Arrays")


def check_key(function: str, key: Any) -> None:
    """Raises TypeError unless `key` is a key of JAX, also a raw one of uint32, or an array of
    them."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (dtype == jnp.uint32 or jnp.issubdtype(dtype, jax.dtypes.prng_key)):
        raise TypeError(
            f"{function}: key: expected a key, as jax.random.key(0) makes it; got "
            f"{type(key).__name__}"
        )


def check_counts(function: str, **counts: int) -> None:
    """Raises ValueError for one that is not a whole number above 0."""
    for name, value in counts.items():
        try:
            valid = operator.index(value) >= 1
        except TypeError:
            valid = False
        if not valid:
            raise ValueError(f"{function}: {name} must be a whole number, at least 1; got {value}")


class Distribution(Protocol):
    """What is asked of a distribution: the part of `distrax.Distribution` that is used here. Log
    densities and KLs are in nats.
    """

    def sample(self, *, seed: Key, sample_shape: Any = ()) -> Any: ...

    def log_prob(self, value: Any) -> Any: ...

    def sample_and_log_prob(self, *, seed: Key, sample_shape: Any = ()) -> Any: ...

    def kl_divergence(self, other_dist: Any) -> Any: ...

    def mean(self) -> Any: ...

    @property
    def event_shape(self) -> Any: ...


class Example(NamedTuple):
    """One example of a data set, or many along the first axis of every array.

    Attributes:
      x: what is modelled: any pytree of arrays. Their dtypes are kept.
      given: what p and q are conditioned on: a length, actions, a label; () for nothing.
    """

    x: Observation
    given: Given = ()


class Conditions(NamedTuple):
    """What a sequence is given: which of its steps exist, and the actions on it.

    Time is the first axis of each array, as it is of x's: cut or padded alike, they stay one
    sequence.

    Attributes:
      exists: which steps there are: the first `length` of them.
      actions: u_t, what acts on the step from t - 1 to t; () where there are none.

    Example:
      >>> import jax, vaejax
      >>> int(vaejax.Conditions(exists=jax.numpy.arange(5) < 3).length)
      3
    """

    exists: Bool[Array, " time"]
    actions: Float[Array, "time action"] | tuple = ()

    @property
    def length(self) -> Int[Array, ""]:
        """How many steps there are."""
        return jnp.sum(self.exists, dtype=jnp.int32)


def rows_of(tree: Arrays, rows: int | slice | np.ndarray | Array) -> Arrays:
    """Some of many examples, samples or conditions: `leaf[rows]` of each leaf."""
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def num_rows(tree: PyTree[Array]) -> int:
    """How many there are along the first axis: examples, samples or steps."""
    return jax.tree.leaves(tree)[0].shape[0]


def missing_frames(x: Observation, axes: int = 1) -> Bool[Array, ...]:
    """Which frames are missing: each of their values is NaN; of whole numbers, below 0. `axes` are
    those before a frame's: 1 for time, 2 for examples and time. Of numpy's arrays it is found
    without JAX."""

    def without_value(leaf):
        flat = leaf.reshape(*leaf.shape[:axes], -1)
        none = flat != flat if jnp.issubdtype(leaf.dtype, jnp.floating) else flat < 0
        return none.all(axis=-1)

    return functools.reduce(operator.and_, map(without_value, jax.tree.leaves(x)))


class Joint(NamedTuple):
    """A generative model with its parameters and conditions bound: p(x, z) = p(z) p(x | z).

    It is a pytree, and so may be an argument of a jitted function, where `likelihood` is a
    `jax.tree_util.Partial` of a function and its parameters.

    Attributes:
      prior: p(z).
      likelihood: z -> p(x | z).

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import Bernoulli, standard_normal
      >>> joint = vaejax.Joint(prior=standard_normal(3), likelihood=Bernoulli)  # logits = z
      >>> z, x = joint.sample(jax.random.key(0))
      >>> bool(joint.log_prob(x, z) == joint.prior.log_prob(z) + Bernoulli(z).log_prob(x))
      True
    """

    prior: Distribution
    likelihood: Callable[[Latent], Distribution]

    def log_prob(self, x: Observation, z: Latent) -> Float[Array, ""]:
        """log p(x, z) = log p(z) + log p(x | z), in nats."""
        return self.prior.log_prob(z) + self.likelihood(z).log_prob(x)

    def sample(self, key: Key) -> tuple[Latent, Observation]:
        """A draw (z, x) with z ~ p(z), x ~ p(x | z); so z is an exact draw from p(z | x) for that
        x.
        """
        prior_key, likelihood_key = jax.random.split(key)
        z = self.prior.sample(seed=prior_key)
        return z, self.likelihood(z).sample(seed=likelihood_key)


class LogJoint(NamedTuple):
    """A generative model as one function log p(x, z), where its parts are not known: estimators
    that start from a q(z | x) take it in place of a `Joint`.

    Attributes:
      log_density: (x, z) -> log p(x, z), in nats.
    """

    log_density: Callable[[Observation, Latent], Float[Array, ""]]

    def log_prob(self, x: Observation, z: Latent) -> Float[Array, ""]:
        """log p(x, z), in nats."""
        return self.log_density(x, z)


class GenerativeModel(NamedTuple):
    """A generative model p(x, z | given), as functions of its parameters theta.

    Attributes:
      init: key -> theta.
      joint: (theta, given=()) -> Joint.
    """

    init: Callable[[Key], Parameters]
    joint: Callable[..., Joint]


def _sum(variational: Variational, step: Variational) -> Variational:
    return jax.tree.map(jnp.add, variational, step)


class VariationalFamily(NamedTuple):
    """A family of distributions q(z; lambda), with lambda unconstrained.

    It is apart from any network: the same family is predicted for each x (amortized) or optimized
    for each x (classical).

    Attributes:
      name: what tables and settings call it.
      init: key -> lambda, near N(0, I).
      distribution: lambda -> q(z).
      start_at: (key, mean, scale) -> lambda of the diagonal Gaussian with that mean and standard
        deviation, or near it: where a fit starts.
      learning_rate: Adam's first, for a fit of one x.
      move: (lambda, step) -> lambda after a step of that fit. A family that measures the step in
        q's own scale is fitted in as few steps to a narrow or correlated posterior as to N(0, I).
    """

    name: str
    init: Callable[[Key], Variational]
    distribution: Callable[[Variational], Distribution]
    start_at: Callable[[Key, Array, Array], Variational]
    learning_rate: float
    move: Callable[[Variational, Variational], Variational] = _sum


class InferenceNetwork(NamedTuple):
    """Amortized inference q(z | x), as functions of its parameters phi.

    Attributes:
      init: key -> phi.
      posterior: (phi, x, joint, given=()) -> q(z | x). A structured q is built from joint.prior.
      family: of q, where q(z | x) is one lambda of a family for each x.
      variational: (phi, x, given=()) -> lambda, the network's prediction, where there is a family.
    """

    init: Callable[[Key], Parameters]
    posterior: Callable[..., Distribution]
    family: VariationalFamily | None = None
    variational: Callable[..., Variational] | None = None


class Params(NamedTuple):
    """The parameters of a model and its inference network.

    Attributes:
      generative: theta, of p(x, z).
      inference: phi, of q(z | x).
    """

    generative: Parameters
    inference: Parameters


def bind(
    generative: GenerativeModel, inference: InferenceNetwork, params: Params, example: Example
) -> tuple[Joint, Distribution, Observation]:
    """(p(x, z | given), q(z | x, given), x) of one example: the one place where a model meets
    data."""
    joint = generative.joint(params.generative, example.given)
    q = inference.posterior(params.inference, example.x, joint, example.given)
    return joint, q, example.x
