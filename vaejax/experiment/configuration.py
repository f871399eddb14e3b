"""The typed configuration of one run."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from vaejax import networks
from vaejax.data import Binarization, Dataset, load
from vaejax.errors import SettingError, require
from vaejax.evaluation import Evaluate
from vaejax.experiment.likelihoods import LIKELIHOODS, Likelihood
from vaejax.objectives import (
    elbo,
    free_bits,
    gaussian_noise,
    linear_warmup,
    masking_noise,
    salt_and_pepper,
)
from vaejax.training import Train, encoder_first, semi_amortized_terms
from vaejax.training.update import Update, gradient_update
from vaejax.types import GenerativeModel, InferenceNetwork, Params


@dataclasses.dataclass(frozen=True)
class Data:
    """The data set, and how its values are prepared."""

    name: str = "digits"
    """A name that `vaejax data` lists; or the path of an .npz or .npy file, or of a folder of
    images."""
    binarization: Binarization | None = None
    """How grey values become 0 and 1: drawn again at every step (dynamic), already 0 and 1
    (static), by a threshold at 1/2 (threshold), or not at all (none). By default what the
    likelihood needs, else the usual choice for this data set."""
    validation: int | None = None
    """Number of training examples held out for validation; the default depends on the data set."""
    missing: bool = False
    """Whether frames of NaN in your own sequences are missing: the likelihood leaves them out."""
    standardize: bool = False
    """Whether to take your own numbers as real-valued features, even if whole or in [0, 1].
    A Gaussian likelihood standardizes such features; log p(x) stays in their own units."""


PriorName = Literal["normal", "mixture", "vamp", "flow"]


@dataclasses.dataclass(frozen=True)
class MLP:
    """Two networks: an encoder, and a decoder with the same layers in reverse order."""

    latent_dim: int = 50
    """Number of dimensions of z."""
    hidden: tuple[int, ...] = (200, 200)
    """Widths of the encoder's hidden layers; reversed in the decoder."""
    activation: Literal["tanh", "relu", "elu", "softplus"] = "tanh"
    """Nonlinearity of the hidden layers."""
    likelihood: Likelihood = "bernoulli"
    """p(x | z): bernoulli for values 0 and 1, discretized_logistic for grey values, gaussian
    for real values, categorical for categories. Scales are learned."""
    prior: PriorName = "normal"
    """p(z): N(0, I) (normal); or learned: a mixture of Gaussians, a VampPrior, a coupling flow."""
    prior_components: int = 50
    """Components of a mixture, or pseudo-inputs of a VampPrior (Tomczak & Welling 2018)."""
    kind: Literal["mlp", "conv"] = "mlp"
    """mlp: multilayer perceptrons. conv: the same, with convolutions between them and x,
    which is an image of shape (h, w), (h, w, channels) or (channels, h, w)."""
    channels: tuple[int, ...] = (32, 64)
    """With kind conv: channels after each convolution of the encoder; reversed in the decoder.
    Each convolution halves the height and the width."""

    def __post_init__(self):
        require(self.latent_dim >= 1, "latent_dim", "at least 1", self.latent_dim)
        require_widths("hidden", self.hidden)
        require_widths("channels", self.channels)
        require(len(self.channels) >= 1, "channels", "of at least one convolution", self.channels)
        components = self.prior_components
        require(components >= 1, "prior_components", "at least 1", components)


@dataclasses.dataclass(frozen=True)
class MaskedMLP:
    """p(x) of binary data as a masked network (MADE) with direct connections."""

    hidden: tuple[int, ...] = (500,)
    """Widths of the hidden layers."""
    activation: Literal["tanh", "relu", "elu", "softplus"] = "relu"
    """Nonlinearity of the hidden layers."""
    orders: int = 1
    """Number of orders of the elements of x: the first is the natural one, the others random."""
    masks: int = 1
    """Sets of hidden degrees for each order; p(x) is the mean over all orders and masks."""
    masks_seed: int = 0
    """Seed of the random orders and hidden degrees."""

    def __post_init__(self):
        require_widths("hidden", self.hidden)
        require(self.orders >= 1, "orders", "at least 1", self.orders)
        require(self.masks >= 1, "masks", "at least 1", self.masks)


@dataclasses.dataclass(frozen=True)
class Corruption:
    """How x is corrupted before the encoder sees it, in training and in the sampling chain."""

    kind: Literal["masking", "salt_and_pepper", "gaussian"] = "salt_and_pepper"
    """masking sets elements to 0; salt_and_pepper to 0 or 1; gaussian adds noise to all."""
    level: float = 0.2
    """Fraction of elements that are corrupted; for gaussian, standard deviation of the noise."""
    walkback: int = 0
    """Largest number of walkback rounds in training (Bengio et al. 2013); 0 for none."""

    def __post_init__(self):
        most = float("inf") if self.kind == "gaussian" else 1.0
        valid = 0 < self.level <= most and self.level < math.inf
        require(valid, "level", f"above 0 and at most {most:g}, and finite", self.level)
        require(self.walkback >= 0, "walkback", "0 or more", self.walkback)

    def function(self) -> Callable:
        """The function corrupt(key, x) -> x, for one example."""
        kinds = {
            "masking": masking_noise,
            "salt_and_pepper": salt_and_pepper,
            "gaussian": gaussian_noise,
        }
        return kinds[self.kind](self.level)


@dataclasses.dataclass(frozen=True)
class Regularization:
    """Regularization of an autoencoder (Ghosh et al. 2020)."""

    code_penalty: float = 0.1
    """Weight of the code penalty: half of it times ||z||^2 is subtracted from the objective."""
    gradient_penalty: float = 0.1
    """Weight of the gradient penalty: it times ||d E[x | z] / dz||_F^2 is subtracted."""
    spectral_norm: bool = False
    """Whether to divide the weights of each decoder layer by their largest singular value."""
    decoder_l2: float = 0.0
    """Weight of the decoder's L2 penalty: half of it times the sum of its squared weights,
    without biases, is subtracted."""

    def __post_init__(self):
        for name in ("code_penalty", "gradient_penalty", "decoder_l2"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, "finite and 0 or more", value)

    def decoder(self) -> Callable[..., Any]:
        """The function that makes the decoder's network, for `mlp_pair`."""
        if not self.spectral_norm:
            return networks.MLP
        return functools.partial(networks.MLP, dense=networks.SpectralDense)

    def optimizer(self, train: Train, num_examples: int) -> optax.GradientTransformation:
        """Adam. The gradient of the L2 penalty is added before Adam's scaling."""
        adam = train.optimizer(num_examples)
        if self.decoder_l2 == 0:
            return adam
        return optax.chain(optax.add_decayed_weights(self.decoder_l2, decoder_weights), adam)


def decoder_weights(params: Params) -> Params:
    """A mask of the parameters: True for the matrices of p(x | z), all those of theta but what
    theta["prior"] has, else False."""

    def masked(path, leaf):
        of_prior = bool(path) and getattr(path[0], "key", None) == "prior"
        return leaf.ndim > 1 and not of_prior

    none = jax.tree.map(lambda leaf: False, params)
    return none._replace(generative=jax.tree.map_with_path(masked, params.generative))


@dataclasses.dataclass(frozen=True)
class Bound:
    """The ELBO, or a variant that keeps latent dimensions in use."""

    warmup_steps: int = 0
    """Number of steps over which the weight of the KL rises from 0 to 1; 0 for weight 1 always."""
    free_bits: float = 0.0
    """Free bits: smallest KL, in nats, that is counted for each dimension of z."""
    refine_steps: int = 0
    """Number of gradient steps that refine the encoder's q for each x."""
    refine_learning_rate: float = 0.1
    """Learning rate of these refining steps."""
    through: bool = True
    """Whether the training gradient passes through the refining steps."""

    def __post_init__(self):
        for name in ("warmup_steps", "free_bits", "refine_steps", "refine_learning_rate"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, "finite and 0 or more", value)
        if (self.warmup_steps > 0) + (self.free_bits > 0) + (self.refine_steps > 0) > 1:
            names = ("warmup_steps", "free_bits", "refine_steps")
            raise SettingError(
                f"{', '.join(names)} exclude each other: give only one of them", *names
            )

    def function(self) -> Callable:
        """The objective of one example: (key, q, joint, x, step) -> Terms, in nats."""

        def objective(key, q, joint, x, step):
            if self.free_bits > 0:
                return free_bits(key, q, joint, x, minimum=self.free_bits)
            return elbo(key, q, joint, x, beta=linear_warmup(step, self.warmup_steps))

        return objective

    def terms_of(self, model: GenerativeModel, q: InferenceNetwork) -> Callable | None:
        """The function that training maximizes if q is refined for each x; else None."""
        if self.refine_steps == 0:
            return None
        return semi_amortized_terms(
            model,
            q,
            num_steps=self.refine_steps,
            learning_rate=self.refine_learning_rate,
            through=self.through,
        )


@dataclasses.dataclass(frozen=True)
class EncoderFirst:
    """Updates of the encoder alone before each step, in the first epochs (He et al. 2019)."""

    encoder_steps: int = 0
    """Number of encoder updates before each step, each on its own batch; 0 for none."""
    epochs: int = 0
    """Number of epochs with such updates, from the first."""

    def __post_init__(self):
        require(self.encoder_steps >= 0, "encoder_steps", "0 or more", self.encoder_steps)
        require(self.epochs >= 0, "epochs", "0 or more", self.epochs)
        if (self.encoder_steps == 0) != (self.epochs == 0):
            raise SettingError(
                "encoder_steps and epochs go together: give both or neither; got "
                f"{self.encoder_steps} and {self.epochs}",
                "encoder_steps",
                "epochs",
            )

    def make_update(self, train: Train, num_examples: int) -> Callable[..., Update]:
        """The function (loss, optimizer) -> Update that an `Experiment` takes."""
        if self.encoder_steps == 0:
            return gradient_update
        return functools.partial(
            encoder_first,
            encoder_optimizer=train.optimizer(num_examples, updates_per_step=self.encoder_steps),
            encoder_steps=self.encoder_steps,
            first_steps=self.epochs * train.steps_per_epoch(num_examples),
        )


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings that every experiment has."""

    data: Data = dataclasses.field(default_factory=Data)
    model: MLP = dataclasses.field(default_factory=MLP)
    train: Train = dataclasses.field(default_factory=Train)
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)


def require_widths(field: str, widths: tuple[int, ...]) -> None:
    """Raise SettingError unless every layer has at least one unit."""
    require(all(width >= 1 for width in widths), field, "widths of at least 1", widths)


def load_data(config: Config) -> Dataset:
    """Load the data set with the settings of a configuration. If it gives no binarization,
    intensities are binarized only for a likelihood of binary values.

    Raises:
      UserError: as `data.load`; a SettingError has the section `data`.
    """
    likelihood = LIKELIHOODS[getattr(config.model, "likelihood", "bernoulli")]
    try:
        return load(
            config.data.name,
            binarization=config.data.binarization,
            validation=config.data.validation,
            binarize="binary" in likelihood.support,
            missing=config.data.missing,
            standardize=config.data.standardize,
        )
    except SettingError as error:
        raise error.within("data") from None
