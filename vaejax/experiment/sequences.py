"""Deep state-space models built from a configuration and a summary of sequences."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from vaejax import generative, inference, networks
from vaejax.data import DataSummary, SequenceSummary
from vaejax.errors import SettingError, UserError, require
from vaejax.experiment.configuration import Config, require_widths
from vaejax.experiment.files import Experiment
from vaejax.experiment.likelihoods import LIKELIHOODS, Likelihood, check_data
from vaejax.experiment.presets import network_of_x
from vaejax.inference import Sees
from vaejax.objectives import elbo, fivo, iwae, linear_warmup
from vaejax.training import Train
from vaejax.types import GenerativeModel, InferenceNetwork


@dataclasses.dataclass(frozen=True)
class DeepStateSpace:
    """A deep state-space model and its inference network (Krishnan et al. 2017)."""

    latent_dim: int = 16
    """Number of dimensions of each z_t."""
    transition: Literal["linear", "gated", "mlp"] = "gated"
    """The mean of p(z_t | z_{t-1}, u_t), where u_t is the action if there is one: a linear map,
    a gated network or an mlp. The covariance is diagonal."""
    transition_hidden: int = 64
    """Units of each hidden layer of the transition; a linear transition has none."""
    emission_hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers from z_t to p(x_t | z_t); no widths make it linear."""
    likelihood: Likelihood = "bernoulli"
    """p(x_t | z_t): bernoulli for values 0 and 1, discretized_logistic for grey values,
    gaussian for real values, categorical for categories."""
    constant_scale: bool = False
    """Whether the scale of p(x_t | z_t) is the same for every z_t; for a gaussian likelihood."""
    sees: Sees = "future"
    """The frames of x that q(z_t | z_{t-1}, x) sees: up to t (past), from t on (future), or all
    (both). With "both, without z" q does not see z_{t-1}."""
    recurrent_hidden: int = 64
    """Units of each recurrent network in q."""
    num_flows: int = 0
    """Number of inverse autoregressive flow layers at each step of q; with 0, q is Gaussian."""

    def __post_init__(self):
        for name in ("latent_dim", "transition_hidden", "recurrent_hidden"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.num_flows >= 0, "num_flows", "0 or more", self.num_flows)
        require_widths("emission_hidden", self.emission_hidden)


@dataclasses.dataclass(frozen=True)
class SequenceBound:
    """The objective that is maximized: in expectation, a lower bound on log p(x)."""

    kind: Literal["elbo", "iwae", "fivo"] = "elbo"
    """elbo; iwae: the importance-weighted bound on whole sequences; fivo: the bound of a
    particle filter (Maddison et al. 2017)."""
    num_samples: int = 5
    """Number of draws for iwae, or of particles for fivo."""
    resampling_gradients: bool = False
    """Whether the gradient of fivo has the resampling term: the gradient is biased without it,
    and noisy with it."""
    warmup_steps: int = 0
    """Number of steps over which the weight of the ELBO's KL rises to 1."""
    warmup_start: float = 0.0
    """Weight of the KL at the first step."""

    def __post_init__(self):
        require(self.num_samples >= 1, "num_samples", "at least 1", self.num_samples)
        require(self.warmup_steps >= 0, "warmup_steps", "0 or more", self.warmup_steps)
        start = self.warmup_start
        require(0 <= start <= 1, "warmup_start", "from 0 to 1", start)
        if self.warmup_steps > 0 and self.kind != "elbo":
            raise SettingError(
                f"warmup_steps is for kind elbo, whose KL it weights; got kind {self.kind}: give "
                "warmup_steps 0",
                "warmup_steps",
                "kind",
            )

    def function(self) -> Callable:
        """The objective of one example: (key, q, joint, x, step) -> Terms, in nats."""

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
            progress = linear_warmup(step, self.warmup_steps)
            beta = self.warmup_start + (1 - self.warmup_start) * progress
            return elbo(key, q, joint, x, beta=beta)

        return objective


@dataclasses.dataclass(frozen=True)
class GradientRules:
    """Changes to the gradient before Adam uses it."""

    clip: float = 100.0
    """Largest norm of the gradient (of the mean over sequences); a longer gradient is scaled
    down."""
    l2: float = 0.0
    """Weight of an L2 penalty: half of it times the sum of the squared weights, without biases."""

    def __post_init__(self):
        require(0 < self.clip < math.inf, "clip", "above 0 and finite", self.clip)
        require(0 <= self.l2 < math.inf, "l2", "finite and 0 or more", self.l2)

    def optimizer(self, train: Train, num_examples: int) -> optax.GradientTransformation:
        """An optimizer that clips the gradient, adds that of the penalty, and applies Adam."""
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
    """The model p(x, z) and the inference network q(z | x)."""
    objective: SequenceBound = dataclasses.field(default_factory=SequenceBound)
    gradient: GradientRules = dataclasses.field(default_factory=GradientRules)


def sequence_pair(
    model: DeepStateSpace, data: DataSummary
) -> tuple[GenerativeModel, InferenceNetwork]:
    """p(x, z) and q(z | x) for sequences.

    Raises:
      UserError: the data are not sequences, or the likelihood is not defined on their values.
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
    width = model.recurrent_hidden
    q = inference.sequence_posterior(
        model.latent_dim,
        # One hidden layer embeds a frame.
        network_of_x(model.likelihood, frame, (width,), width, jax.nn.relu),
        frame.shape,
        width,
        sees=model.sees,
        num_flows=model.num_flows,
        num_actions=num_actions,
    )
    return p, q


def check_sequences(data: DataSummary) -> SequenceSummary:
    """The facts about sequences in the summary; raises UserError if the data are not sequences."""
    if data.sequence is None and data.note and len(data.shape) > 1:
        raise UserError(
            f"{data.name} has no lengths, and this experiment expects sequences: if its examples "
            f"of shape {data.shape} have up to {data.shape[0]} steps, add to the .npz an array "
            "length (n,), the number of steps of each; for splits train_length (n,), ..."
        )
    if data.sequence is None:
        raise UserError(
            f"{data.name} has no sequences, which this experiment expects: give an .npz file with "
            "x (n, time, ...) and length (n,), or one of lds, switching, pendulum, jsb, "
            "nottingham, piano_midi, musedata"
        )
    return data.sequence


def sequence_experiment(config: SequenceConfig, data: DataSummary) -> Experiment:
    """The experiment that a configuration describes: p, q, the bound and the optimizer."""
    p, q = sequence_pair(config.model, data)
    optimizer = config.gradient.optimizer(config.train, data.num_train)
    return Experiment(p, q, config.objective.function(), optimizer=optimizer)


def emission_network(model: Any, frame: DataSummary) -> Any:
    """The network from z_t to the parameters of `model.likelihood`.

    Raises:
      SettingError: `constant_scale` with a likelihood that has no scale.
    """
    likelihood = LIKELIHOODS[model.likelihood]
    shape, bias = likelihood.output_shape(frame), likelihood.output_bias(frame)
    if not model.constant_scale:
        return networks.MLP(model.emission_hidden, shape, jax.nn.relu, bias)
    if not likelihood.is_density:
        raise SettingError(
            "model.constant_scale is for model.likelihood gaussian, which has a scale; got "
            f"{model.likelihood}: leave it out",
            "model.constant_scale",
            "model.likelihood",
        )
    return networks.ConstantScale(networks.MLP(model.emission_hidden, shape[1:], jax.nn.relu))
