"""Structured VAEs (Johnson et al. 2016) of single examples: p(z) is a mixture of Gaussians, p(x |
z) and the recognition potentials are neural networks."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from vaejax import generative, inference, networks
from vaejax.data import DataSummary
from vaejax.errors import SettingError, require
from vaejax.experiment.configuration import Config, require_widths
from vaejax.experiment.files import Experiment
from vaejax.experiment.likelihoods import LIKELIHOODS, Likelihood, check_data
from vaejax.experiment.presets import network_of_x
from vaejax.generative.structured.mixture_learning import (
    MixturePrior,
    fit_mixture,
    mixture_divergence,
)
from vaejax.objectives import elbo, linear_warmup
from vaejax.training import Train, natural_gradient, objective_terms
from vaejax.training.networks_first import networks_first
from vaejax.training.update import Update, gradient_update
from vaejax.types import GenerativeModel, InferenceNetwork, Params, bind, num_rows

_CODES = 1000  # about so many codes are used to fit the mixture


@dataclasses.dataclass(frozen=True)
class StructuredMixture:
    """p(z) is a mixture of Gaussians; networks give p(x | z) and the recognition potentials."""

    latent_dim: int = 2
    """Number of dimensions of z."""
    num_components: int = 15
    """Number of Gaussians in p(z), each with a full covariance."""
    hidden: tuple[int, ...] = (40, 40)
    """Widths of the recognition network's hidden layers; reversed in the decoder."""
    activation: Literal["tanh", "relu", "elu", "softplus"] = "tanh"
    """Nonlinearity of the hidden layers."""
    likelihood: Likelihood = "gaussian"
    """p(x | z): bernoulli for values 0 and 1, discretized_logistic for grey values, gaussian
    for real values, categorical for categories. Scales are learned."""
    full: bool = True
    """Whether the recognition potentials, Gaussian factors in z, have full precision matrices,
    or diagonal ones."""

    def __post_init__(self):
        for name in ("latent_dim", "num_components"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require_widths("hidden", self.hidden)


@dataclasses.dataclass(frozen=True)
class MixtureLearning:
    """How the parameters of the mixture are learned; Adam learns those of the networks."""

    gradient: Literal["natural", "ordinary"] = "natural"
    """natural: natural gradients; ordinary: Adam, as for the networks."""
    rate: float = 0.05
    """Initial learning rate of natural gradients; it follows the schedule of the networks."""
    warmup_epochs: int = 200
    """Number of first epochs that train the networks with p(z) = N(0, I), while the weight of
    the KL rises from 0 to 1; then the mixture is fitted to the codes. With 0 it starts at
    random means."""
    parameters: Literal["map", "point"] = "map"
    """map: the mode under Dirichlet and normal-inverse-Wishart priors; point: without priors."""

    def __post_init__(self):
        require(0 < self.rate < math.inf, "rate", "above 0 and finite", self.rate)
        require(self.warmup_epochs >= 0, "warmup_epochs", "0 or more", self.warmup_epochs)

    def optimizer(
        self, train: Train, num_examples: int, latent_dim: int
    ) -> optax.GradientTransformation:
        """The optimizer of `Params`."""
        divergence = None
        if self.gradient == "natural":
            pseudo_count = MixturePrior().pseudo_count(latent_dim) / num_examples
            divergence = functools.partial(mixture_divergence, pseudo_count=pseudo_count)
        usual = train.optimizer(num_examples)
        return graphical_optimizer(train, num_examples, usual, self.rate, divergence)

    def terms_of(
        self, model: GenerativeModel, q: InferenceNetwork, objective: Callable, num_examples: int
    ) -> Callable | None:
        """The function that training maximizes: the objective plus the log density of the mixture's
        parameters divided by the number of examples; None without priors on them."""
        if self.parameters == "point":
            return None
        usual = objective_terms(model, q, objective)

        def terms(params, key, example, step):
            found = usual(params, key, example, step)
            p: Any = model.joint(params.generative, example.given).prior
            log_density = MixturePrior().log_density(p)
            return found._replace(value=found.value + log_density / num_examples)

        return terms

    def make_update(
        self,
        model: GenerativeModel,
        q: InferenceNetwork,
        num_components: int,
        train: Train,
        num_examples: int,
    ) -> Callable[..., Update]:
        """The function (loss, optimizer) -> Update that an `Experiment` takes."""
        if self.warmup_epochs == 0:
            return gradient_update

        def codes(params, key, examples):
            def one(key, example):
                return bind(model, q, params, example)[1].sample(seed=key)

            return jax.vmap(one)(jax.random.split(key, num_rows(examples)), examples)

        return functools.partial(
            networks_first,
            codes=codes,
            fit=functools.partial(fit_mixture, num_components=num_components, prior=MixturePrior()),
            first_steps=self.warmup_epochs * train.steps_per_epoch(num_examples),
            num_batches=-(-_CODES // train.batch_size),
        )


def graphical_optimizer(
    train: Train,
    num_examples: int,
    usual: optax.GradientTransformation,
    rate: float,
    divergence: Callable | None,
) -> optax.GradientTransformation:
    """The usual optimizer. If a divergence is given, theta["prior"] is learned by natural gradients
    instead, at the initial learning rate `rate` and on the schedule of the settings."""
    if divergence is None:
        return usual
    schedule = train.schedule_of(num_examples)
    natural = natural_gradient(
        lambda count: rate / train.learning_rate * schedule(count),
        lambda theta, other: divergence(theta.generative["prior"], other.generative["prior"]),
    )

    def labels(params: Params) -> Params:
        theta: Any = params.generative
        kinds = {name: "natural" if name == "prior" else "usual" for name in theta}
        return Params(kinds, "usual")

    return optax.multi_transform({"natural": natural, "usual": usual}, labels)


@dataclasses.dataclass(frozen=True)
class MixtureConfig(Config):
    """The configuration of a structured VAE with a mixture."""

    model: StructuredMixture = dataclasses.field(  # type: ignore[assignment]
        default_factory=StructuredMixture
    )
    """The model p(x, z) and the inference network q(z | x)."""
    learning: MixtureLearning = dataclasses.field(default_factory=MixtureLearning)


def mixture_experiment(config: MixtureConfig, data: DataSummary) -> Experiment:
    """The experiment that a configuration describes: p, q, the ELBO, and the optimizers.

    Raises:
      SettingError: the likelihood is not defined on the data; the warm-up takes all of training.
    """
    settings, learning, train = config.model, config.learning, config.train
    check_data(settings.likelihood, data)
    likelihood = LIKELIHOODS[settings.likelihood]
    activation = getattr(jax.nn, settings.activation)
    prior = generative.full_mixture_prior(
        settings.latent_dim,
        num_components=settings.num_components,
        # With spread 0 all components are N(0, I), so p(z) is N(0, I).
        spread=2.0 if learning.warmup_epochs == 0 else 0.0,
    )
    decoder = networks.MLP(
        settings.hidden[::-1],
        likelihood.output_shape(data),
        activation,
        likelihood.output_bias(data),
    )
    d = settings.latent_dim
    size = d * (d + 3) // 2 if settings.full else 2 * d
    recognition = network_of_x(settings.likelihood, data, settings.hidden, size, activation)
    model = generative.latent_variable_model(prior, decoder, likelihood.distribution(data))
    q = inference.structured(
        inference.gaussian_recognition(d, recognition, data.shape, full=settings.full)
    )

    first_steps = learning.warmup_epochs * train.steps_per_epoch(data.num_train)
    total = train.total_steps(data.num_train)
    if first_steps >= total:
        raise SettingError(
            f"learning.warmup_epochs {learning.warmup_epochs} are {first_steps:,} steps, and "
            f"training has {total:,}, so that no mixture would be fitted: give fewer, or more "
            "train.epochs",
            "learning.warmup_epochs",
            "train.epochs",
        )

    def objective(key, q, joint, x, step):
        return elbo(key, q, joint, x, beta=linear_warmup(step, first_steps))

    return Experiment(
        model,
        q,
        objective,
        terms_of=learning.terms_of(model, q, objective, data.num_train),
        optimizer=learning.optimizer(train, data.num_train, settings.latent_dim),
        make_update=learning.make_update(model, q, settings.num_components, train, data.num_train),
    )
