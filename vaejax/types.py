"""The five types that everything here is written in.

Networks produce distributions; objectives and estimators consume distributions. All of these
are tuples of pure functions of ONE example; batching is done once, by `vmap`, at the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

Key = PRNGKeyArray
Latent = PyTree[Array]
Observation = PyTree[Array]
Parameters = PyTree[Array]
Variational = Any  # a pytree of arrays


class Distribution(Protocol):
    """What is asked of a distribution: the part of `distrax.Distribution` that is used here."""

    def sample(self, *, seed: Key, sample_shape: Any = ()) -> Any: ...

    def log_prob(self, value: Any) -> Any: ...

    def sample_and_log_prob(self, *, seed: Key, sample_shape: Any = ()) -> Any: ...

    def kl_divergence(self, other_dist: Any) -> Any: ...

    def mean(self) -> Any: ...

    @property
    def event_shape(self) -> Any: ...


class Joint(NamedTuple):
    """A generative model with its parameters bound: p(x, z) = p(z) p(x | z)."""

    prior: Distribution
    likelihood: Callable[[Latent], Distribution]

    def log_prob(self, x: Observation, z: Latent) -> Float[Array, ""]:
        """log p(x, z) = log p(z) + log p(x | z), in nats."""
        return self.prior.log_prob(z) + self.likelihood(z).log_prob(x)

    def sample(self, key: Key) -> tuple[Latent, Observation]:
        """(z, x) with z ~ p(z), x ~ p(x | z); so z is an exact draw from p(z | x) for that x."""
        prior_key, likelihood_key = jax.random.split(key)
        z = self.prior.sample(seed=prior_key)
        return z, self.likelihood(z).sample(seed=likelihood_key)


class LogJoint(NamedTuple):
    """log p(x, z) as one function, for a model whose parts are not known: estimators that start
    from a q(z | x) take it in place of a `Joint`."""

    log_density: Callable[[Observation, Latent], Float[Array, ""]]

    def log_prob(self, x: Observation, z: Latent) -> Float[Array, ""]:
        """log p(x, z), in nats."""
        return self.log_density(x, z)


class GenerativeModel(NamedTuple):
    """theta -> p(x, z)."""

    init: Callable[[Key], Parameters]
    joint: Callable[[Parameters], Joint]


class VariationalFamily(NamedTuple):
    """lambda -> q(z; lambda), with lambda unconstrained. Apart from any network: the same family
    is predicted for each x (amortized) or optimized for each x (classical)."""

    init: Callable[[Key], Variational]
    distribution: Callable[[Variational], Distribution]


class InferenceNetwork(NamedTuple):
    """Amortized inference: phi, x -> lambda -> q(z | x)."""

    init: Callable[[Key], Parameters]
    variational: Callable[[Parameters, Observation], Variational]
    posterior: Callable[[Parameters, Observation, Distribution], Distribution]  # the last is p(z)


class ExplicitModel(NamedTuple):
    """theta -> p(x), with no latent variable: an autoregressive model, for example."""

    init: Callable[[Key], Parameters]
    density: Callable[[Parameters], Distribution]


class Params(NamedTuple):
    """The parameters of a pair: theta of p(x, z), phi of q(z | x)."""

    generative: Parameters
    inference: Parameters
