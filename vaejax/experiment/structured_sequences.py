"""Structured VAEs of sequences: p(z) is a linear or a switching dynamical system, p(x_t | z_t) and
the recognition potentials are neural networks."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Literal

import jax

from vaejax import generative, inference
from vaejax.data import DataSummary
from vaejax.errors import SettingError, require
from vaejax.experiment.configuration import require_widths
from vaejax.experiment.files import Experiment
from vaejax.experiment.likelihoods import LIKELIHOODS, Likelihood, check_data
from vaejax.experiment.presets import network_of_x
from vaejax.experiment.sequences import SequenceConfig, check_sequences, emission_network
from vaejax.experiment.structured import graphical_optimizer
from vaejax.generative.structured.dynamics_learning import dynamics_divergence
from vaejax.generative.structured.switching_system import alike, turned_apart
from vaejax.training.one_system_first import one_system_first
from vaejax.training.update import gradient_update
from vaejax.types import GenerativeModel, InferenceNetwork


@dataclasses.dataclass(frozen=True)
class StructuredStateSpace:
    """p(z) is a dynamical system; networks give p(x_t | z_t) and the potential of each frame."""

    latent_dim: int = 2
    """Number of dimensions of each z_t."""
    prior: Literal["linear", "switching"] = "linear"
    """linear: one linear dynamical system. switching: several, and a discrete Markov chain
    chooses one at each step; in the first half of training they are kept equal."""
    num_states: int = 3
    """Number of linear systems, with prior switching."""
    emission_hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers from z_t to p(x_t | z_t); no widths make it linear."""
    recognition_hidden: tuple[int, ...] = (64,)
    """Widths of the recognition network's hidden layers; no widths make it linear. From x_t it
    computes a potential: a Gaussian factor of q(z | x) in z_t."""
    full: bool = True
    """Whether the potentials have full precision matrices, or diagonal ones."""
    likelihood: Likelihood = "bernoulli"
    """p(x_t | z_t): bernoulli for values 0 and 1, discretized_logistic for grey values,
    gaussian for real values, categorical for categories."""
    constant_scale: bool = False
    """Whether the scale of p(x_t | z_t) is the same for every z_t; for a gaussian likelihood."""

    def __post_init__(self):
        for name in ("latent_dim", "num_states"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("emission_hidden", "recognition_hidden"):
            require_widths(name, getattr(self, name))


@dataclasses.dataclass(frozen=True)
class DynamicsLearning:
    """How the parameters of the dynamical system are learned; Adam learns those of the networks."""

    gradient: Literal["natural", "ordinary"] = "ordinary"
    """natural: natural gradients; ordinary: Adam, as for the networks."""
    rate: float = 0.1
    """Initial learning rate of natural gradients; it follows the schedule of the networks."""

    def __post_init__(self):
        require(0 < self.rate < math.inf, "rate", "above 0 and finite", self.rate)


@dataclasses.dataclass(frozen=True)
class StructuredSequenceConfig(SequenceConfig):
    """The configuration of a structured VAE of sequences."""

    model: StructuredStateSpace = dataclasses.field(  # type: ignore[assignment]
        default_factory=StructuredStateSpace
    )
    """The model p(x, z) and the inference network q(z | x)."""
    learning: DynamicsLearning = dataclasses.field(default_factory=DynamicsLearning)


def structured_sequence_pair(
    model: StructuredStateSpace, data: DataSummary
) -> tuple[GenerativeModel, InferenceNetwork]:
    """p(x, z) and q(z | x) for sequences.

    Raises:
      UserError: the data are not sequences, or the likelihood is not defined on their values.
    """
    num_actions = check_sequences(data).num_actions
    frame = data.frame()
    check_data(model.likelihood, frame)
    likelihood, d = LIKELIHOODS[model.likelihood], model.latent_dim
    if model.prior == "linear":
        prior = generative.linear_dynamical_system(d, num_actions=num_actions)
    else:
        prior = generative.switching_linear_dynamical_system(
            model.num_states, d, num_actions=num_actions
        )
    p = generative.sequence_model(
        prior, emission_network(model, frame), likelihood.distribution(frame)
    )
    size = d * (d + 3) // 2 if model.full else 2 * d
    network = network_of_x(model.likelihood, frame, model.recognition_hidden, size, jax.nn.relu)
    recognition = inference.gaussian_recognition(d, network, frame.shape, full=model.full)
    return p, inference.structured(inference.along_time(recognition))


def structured_sequence_experiment(
    config: StructuredSequenceConfig, data: DataSummary
) -> Experiment:
    """The experiment that a configuration describes: p, q, the bound, and the optimizers.

    Raises:
      SettingError: natural gradients of a switching system, or of one with actions.
    """
    p, q = structured_sequence_pair(config.model, data)
    usual = config.gradient.optimizer(config.train, data.num_train)
    divergence = None
    if config.learning.gradient == "natural":
        sequence = check_sequences(data)
        if config.model.prior != "linear" or sequence.num_actions:
            raise SettingError(
                "natural gradients are for a linear dynamical system without actions: give "
                "learning.gradient ordinary",
                "learning.gradient",
            )
        frames = sequence.frames["train"] + sequence.missing["train"]
        num_steps = max(2, round(frames / data.num_train))
        divergence = functools.partial(dynamics_divergence, num_steps=num_steps)
    optimizer = graphical_optimizer(
        config.train, data.num_train, usual, config.learning.rate, divergence
    )
    make_update: Callable = gradient_update
    if config.model.prior == "switching":
        make_update = functools.partial(
            one_system_first,
            make_equal=alike,
            make_different=turned_apart,
            first_steps=max(1, config.train.total_steps(data.num_train) // 2),
        )
    objective = config.objective.function()
    return Experiment(p, q, objective, optimizer=optimizer, make_update=make_update)
