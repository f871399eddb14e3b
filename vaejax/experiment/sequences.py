"""Deep state-space models built from a configuration and a summary of sequences."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from vaejax import generative, inference, networks
from vaejax.data import DataSummary, SequenceSummary
from vaejax.errors import SettingError, UserError, require
from vaejax.experiment.configuration import Config, require_widths
from vaejax.experiment.files import Experiment
from vaejax.experiment.likelihoods import LIKELIHOODS, Likelihood, check_data
from vaejax.inference import Sees
from vaejax.objectives import elbo, fivo, iwae, linear_warmup
from vaejax.training import Train
from vaejax.types import GenerativeModel, InferenceNetwork


@dataclasses.dataclass(frozen=True)
class DeepStateSpace:
    """A deep state-space model and its inference network (Krishnan et al. 2017)."""

    latent_dim: int = 16
    """Dimensions of each z_t."""
    transition: Literal["linear", "gated", "mlp"] = "gated"
    """p(z_t | z_{t-1}, u_t), u_t the action where there is one: its mean is linear or a network's,
    its covariance diagonal."""
    transition_hidden: int = 64
    """Units of the transition's hidden layers; a linear one has none."""
    emission_hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers from z_t to x_t; none for a linear emission."""
    likelihood: Likelihood = "bernoulli"
    """p(x_t | z_t): of values 0 and 1 (bernoulli), grey values (discretized_logistic), real values
    (gaussian) or categories (categorical)."""
    constant_scale: bool = False
    """Whether the scale of p(x_t | z_t) is the same for every z_t, where it has one."""
    sees: Sees = "future"
    """What q(z_t | z_{t-1}, x) sees of x: the frames up to t, those from t on, or both; or both
    without z_{t-1}."""
    recurrent_hidden: int = 64
    """Units of each recurrent network of q."""
    num_flows: int = 0
    """Inverse autoregressive layers that reshape each step of q; 0 leaves it Gaussian."""

    def __post_init__(self):
        for name in ("latent_dim", "transition_hidden", "recurrent_hidden"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.num_flows >= 0, "num_flows", "0 or more", self.num_flows)
        require_widths("emission_hidden", self.emission_hidden)


@dataclasses.dataclass(frozen=True)
class SequenceBound:
    """What is maximized: a lower bound on log p(x) in expectation."""

    kind: Literal["elbo", "iwae", "fivo"] = "elbo"
    """The ELBO; the importance-weighted bound of whole sequences (iwae); or the bound of a particle
    filter (fivo, Maddison et al. 2017)."""
    num_samples: int = 5
    """Draws of iwae, or particles of fivo."""
    resampling_gradients: bool = False
    """Whether fivo's gradient has the term of the resampling: without it the gradient is biased,
    with it noisy."""
    warmup_steps: int = 0
    """Steps over which the weight of the ELBO's KL rises to 1."""
    warmup_start: float = 0.0
    """Weight of the KL in the first step, from which it rises."""

    def __post_init__(self):
        require(self.num_samples >= 1, "num_samples", "at least 1", self.num_samples)
        require(self.warmup_steps >= 0, "warmup_steps", "0 or more", self.warmup_steps)
        start = self.warmup_start
        require(0 <= start <= 1, "warmup_start", "from 0 to 1", start)
        if self.warmup_steps > 0 and self.kind != "elbo":
            raise SettingError(
                f"warmup_steps weighs the ELBO's KL, which {self.kind} does not have: give "
                "warmup_steps 0",
                "warmup_steps",
                "kind",
            )

    def function(self) -> Callable:
        """objective(key, q, joint, x, step) -> Terms."""

        def objective(key, q, joint, x, step):
            if self.kind == "iwae":
                return iwae(key, q, joint, x, num_samples=self.num_samples)
            if self.kind == "fivo":
                return fivo(
                    key,
                    q,
                    joint,
                    x,
                    num_particles=self.num_samples,
                    resampling_gradients=self.resampling_gradients,
                )
            risen = linear_warmup(step, self.warmup_steps)
            return elbo(key, q, joint, x, beta=self.warmup_start + (1 - self.warmup_start) * risen)

        return objective


@dataclasses.dataclass(frozen=True)
class GradientRules:
    """What is done to the gradient before Adam."""

    clip: float = 100.0
    """Largest norm of the gradient, of a mean over sequences; a longer one is scaled down."""
    l2: float = 0.0
    """Weight of an L2 penalty: half of this times the sum of the squared weights, without
    biases."""

    def __post_init__(self):
        require(0 < self.clip < math.inf, "clip", "above 0 and finite", self.clip)
        require(0 <= self.l2 < math.inf, "l2", "finite and 0 or more", self.l2)

    def optimizer(self, train: Train, num_examples: int) -> optax.GradientTransformation:
        """Clipping, then the penalty, then Adam."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip),
            optax.add_decayed_weights(self.l2, _matrices),
            train.optimizer(num_examples),
        )


def _matrices(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


@dataclasses.dataclass(frozen=True)
class SequenceConfig(Config):
    """The configuration of an experiment on sequences."""

    model: DeepStateSpace = dataclasses.field(  # type: ignore[assignment]
        default_factory=DeepStateSpace
    )
    """p(x, z) and q(z | x)."""
    objective: SequenceBound = dataclasses.field(default_factory=SequenceBound)
    gradient: GradientRules = dataclasses.field(default_factory=GradientRules)


def sequence_pair(
    model: DeepStateSpace, data: DataSummary
) -> tuple[GenerativeModel, InferenceNetwork]:
    """p(x, z) and q(z | x) of sequences.

    Raises:
      UserError: the data are no sequences, or not of the likelihood's kind.
    """
    num_actions = check_sequences(data).num_actions
    frame = data.frame()
    check_data(model.likelihood, frame)
    likelihood = LIKELIHOODS[model.likelihood]
    emission = emission_network(model, frame)
    transitions: dict[str, Any] = {
        "linear": networks.LinearTransition,
        "gated": lambda: networks.GatedTransition(model.transition_hidden),
        "mlp": lambda: networks.MLPTransition(model.transition_hidden),
    }
    p = generative.state_space_model(
        model.latent_dim,
        transitions[model.transition](),
        emission,
        likelihood.distribution(frame),
        num_actions=num_actions,
    )
    q = inference.sequence_posterior(
        model.latent_dim,
        _embedding(model, frame),
        frame.shape,
        model.recurrent_hidden,
        sees=model.sees,
        num_flows=model.num_flows,
        num_actions=num_actions,
    )
    return p, q


def check_sequences(data: DataSummary) -> SequenceSummary:
    """What the data have as sequences; UserError where they are none."""
    if data.sequence is None:
        raise UserError(
            f"{data.name} has no sequences: this experiment expects arrays (n, time, ...) with a "
            "length beside them, or one of lds, switching, pendulum, jsb, "
            "nottingham, piano_midi, musedata"
        )
    return data.sequence


def sequence_experiment(config: SequenceConfig, data: DataSummary) -> Experiment:
    """The pair, the bound and the optimizer of a configuration."""
    p, q = sequence_pair(config.model, data)
    optimizer = config.gradient.optimizer(config.train, data.num_train)
    return Experiment(p, q, config.objective.function(), optimizer=optimizer)


def emission_network(model: Any, frame: DataSummary) -> Any:
    """From z_t to what `model.likelihood` takes, by `emission_hidden` and `constant_scale`."""
    likelihood = LIKELIHOODS[model.likelihood]
    shape, bias = likelihood.output_shape(frame), likelihood.output_bias(frame)
    if not model.constant_scale:
        return networks.MLP(model.emission_hidden, shape, jax.nn.relu, bias)
    if not likelihood.is_density:
        raise SettingError(
            "model.constant_scale is of a likelihood with a scale, gaussian; "
            f"{model.likelihood} has none: leave it out",
            "model.constant_scale",
            "model.likelihood",
        )
    return networks.ConstantScale(networks.MLP(model.emission_hidden, shape[1:], jax.nn.relu))


def _embedding(model: DeepStateSpace, frame: DataSummary) -> Any:
    """One hidden layer from a frame, standardized; categories as one of their number."""
    width = model.recurrent_hidden
    if frame.num_categories is not None:
        return networks.OneHot(networks.MLP((width,), (width,), jax.nn.relu), frame.num_categories)
    scales: dict[str, Any] = {}
    if LIKELIHOODS[model.likelihood].is_density:
        scales = {
            "input_shift": jnp.asarray(frame.mean, jnp.float32),
            "input_scale": jnp.asarray(frame.std, jnp.float32),
        }
    return networks.MLP((width,), (width,), jax.nn.relu, **scales)
