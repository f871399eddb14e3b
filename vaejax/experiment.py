"""The typed configuration of one run, and the experiment file that it belongs to.

An experiment is a Python file with a docstring (what, command, expected, measured), a `config`
and `build(config, dataset) -> Experiment`; or with a `comparison` of other experiments.
"""

import ast
import dataclasses
import functools
import hashlib
import importlib.util
import json
import math
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vaejax import distributions, generative, inference, networks
from vaejax.data import Binarization, Dataset
from vaejax.errors import UserError
from vaejax.evaluation import Compare, Evaluate
from vaejax.objectives import (
    elbo,
    free_bits,
    gaussian_noise,
    linear_warmup,
    masking_noise,
    salt_and_pepper,
)
from vaejax.training import (
    Train,
    Trainer,
    denoising_terms,
    encoder_first,
    semi_amortized_terms,
)
from vaejax.training.update import Update, gradient_update
from vaejax.types import GenerativeModel, InferenceNetwork, Params, VariationalFamily


class Experiment(NamedTuple):
    """What an experiment file builds: p(x, z), q(z | x), and what is maximized.

    Attributes:
      inference: `inference.no_latent()` for a model without a latent variable.
      objective: (key, q, joint, x, step) -> Terms.
      corrupt: (key, x) -> x, what q alone sees, in training alone: q(z | corrupt(x)) against the
        clean x. With Gaussian noise it regularizes amortized inference (Shu et al. 2018); with the
        objective of an autoencoder it makes a denoising one.
      walkback: the most further rounds of the model's own chain that lead from x to what q sees
        (`objectives.walkback`).
      terms_of: what training maximizes where it is not the objective at q(z | x):
        `training.semi_amortized_terms`.
      optimizer: an optax optimizer of `Params`; that of the settings unless given.
      make_update: (loss, optimizer) -> `training.Update`.
    """

    generative: GenerativeModel
    inference: InferenceNetwork
    objective: Callable
    corrupt: Callable | None = None
    walkback: int = 0
    terms_of: Callable | None = None
    optimizer: Any = None
    make_update: Callable[..., Update] = gradient_update

    def trainer(self, dataset: Dataset, settings: Train) -> Trainer:
        terms_of = self.terms_of
        if self.corrupt is not None:
            terms_of = denoising_terms(*self[:3], self.corrupt, most_walkback=self.walkback)
        return Trainer(
            *self[:3],
            dataset,
            settings,
            terms_of=terms_of,
            optimizer=self.optimizer,
            make_update=self.make_update,
        )


class Member(NamedTuple):
    """One model of a comparison: what it is called there, its experiment file, its arguments."""

    label: str
    experiment: str
    arguments: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """What a file that compares experiments has in place of `config` and `build`."""

    members: tuple[Member, ...]
    settings: Compare = Compare()
    tuning: str = ""  # what was chosen for each, and on what


@dataclasses.dataclass(frozen=True)
class Data:
    """Data and protocol."""

    name: str = "digits"
    """digits, mnist, binarized_mnist, or the path of an .npz or .npy file."""
    binarization: Binarization | None = None
    """How grey values become binary; the data set's usual way unless given."""
    validation: int | None = None
    """Training examples held out for validation; the data set's usual number unless given."""


@dataclasses.dataclass(frozen=True)
class MLP:
    """Two multilayer perceptrons, the decoder mirroring the encoder."""

    latent_dim: int = 50
    """Dimensions of z."""
    hidden: tuple[int, ...] = (200, 200)
    """Widths of the encoder's hidden layers; reversed in the decoder."""
    activation: Literal["tanh", "relu", "elu", "softplus"] = "tanh"
    """Nonlinearity."""
    likelihood: Literal["bernoulli", "discretized_logistic", "gaussian"] = "bernoulli"
    """p(x | z): for binary data; for grey values; for real values. Scales are learned."""

    def __post_init__(self):
        if self.latent_dim < 1:
            raise UserError(f"--model.latent-dim must be at least 1; got {self.latent_dim}")
        if any(width < 1 for width in self.hidden):
            raise UserError(f"--model.hidden must be widths of at least 1; got {self.hidden}")


@dataclasses.dataclass(frozen=True)
class MaskedMLP:
    """A masked network (MADE) with direct connections, as p(x) of binary data."""

    hidden: tuple[int, ...] = (500,)
    """Widths of the hidden layers."""
    activation: Literal["tanh", "relu", "elu", "softplus"] = "relu"
    """Nonlinearity."""
    orders: int = 1
    """Orders of the elements of x: the first as they lie, the others drawn."""
    masks: int = 1
    """Sets of hidden degrees an order; p(x) is the mean over orders x masks."""
    masks_seed: int = 0
    """Of the drawn orders and degrees."""

    def __post_init__(self):
        if any(width < 1 for width in self.hidden):
            raise UserError(f"--model.hidden must be widths of at least 1; got {self.hidden}")
        if min(self.orders, self.masks) < 1:
            raise UserError(
                "--model.orders and --model.masks must be at least 1; got "
                f"{self.orders} and {self.masks}"
            )


@dataclasses.dataclass(frozen=True)
class Corruption:
    """What is done to x before the encoder sees it, in training and in the chain."""

    kind: Literal["masking", "salt_and_pepper", "gaussian"] = "salt_and_pepper"
    """Elements set to 0; to 0 or 1, half each; noise added to all."""
    level: float = 0.2
    """The fraction of elements; of Gaussian noise, its standard deviation."""
    walkback: int = 0
    """Most further rounds of the model's own chain in training (Bengio et al. 2013)."""

    def __post_init__(self):
        most = float("inf") if self.kind == "gaussian" else 1.0
        if not 0 < self.level <= most or self.level == float("inf"):
            raise UserError(
                f"--corruption.level must be above 0 and at most {most:g}, and finite; got "
                f"{self.level}"
            )
        if self.walkback < 0:
            raise UserError(f"--corruption.walkback must be 0 or more; got {self.walkback}")

    def function(self) -> Callable:
        """corrupt(key, x)."""
        kinds = {
            "masking": masking_noise,
            "salt_and_pepper": salt_and_pepper,
            "gaussian": gaussian_noise,
        }
        return kinds[self.kind](self.level)


@dataclasses.dataclass(frozen=True)
class Regularization:
    """What keeps an autoencoder smooth (Ghosh et al. 2020)."""

    code_penalty: float = 0.1
    """Half of this times ||z||^2 is taken from the objective."""
    gradient_penalty: float = 0.1
    """This times ||d E[x | z] / dz||_F^2 is taken from the objective."""
    spectral_norm: bool = False
    """Whether each layer of the decoder has its weights divided by their largest singular value."""
    decoder_l2: float = 0.0
    """Half of this times the sum of the decoder's squared weights (biases aside) is taken from the
    objective."""

    def __post_init__(self):
        for name in ("code_penalty", "gradient_penalty", "decoder_l2"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(
                    f"--objective.{name.replace('_', '-')} must be finite and 0 or more; got "
                    f"{getattr(self, name)}"
                )

    def decoder(self) -> Callable[..., Any]:
        """What makes the decoder's network, for `mlp_pair`."""
        dense = networks.SpectralDense if self.spectral_norm else networks.MLP.dense
        return functools.partial(networks.MLP, dense=dense)

    def optimizer(self, train: Train, num_examples: int) -> optax.GradientTransformation:
        """Adam of the objective with its L2 penalty, whose gradient is added before Adam."""
        adam = train.optimizer(num_examples)
        if self.decoder_l2 == 0:
            return adam
        return optax.chain(optax.add_decayed_weights(self.decoder_l2, decoder_weights), adam)


def decoder_weights(params: Params) -> Params:
    """True at each matrix of the decoder, else False."""
    return Params(
        jax.tree.map(lambda leaf: leaf.ndim > 1, params.generative),
        jax.tree.map(lambda leaf: False, params.inference),
    )


@dataclasses.dataclass(frozen=True)
class Bound:
    """The ELBO, or one of its variants against unused latents."""

    warmup_steps: int = 0
    """Steps over which the KL's weight rises from 0."""
    free_bits: float = 0.0
    """Nats below which a dimension's KL costs no less."""
    refine_steps: int = 0
    """Gradient steps on q for each x, from the encoder's."""
    refine_learning_rate: float = 0.1
    """Of those steps."""
    through: bool = True
    """Whether the gradient passes through those steps."""

    def __post_init__(self):
        for name in ("warmup_steps", "free_bits", "refine_steps", "refine_learning_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(
                    f"--objective.{name.replace('_', '-')} must be finite and 0 or more; got "
                    f"{getattr(self, name)}"
                )
        if (self.warmup_steps > 0) + (self.free_bits > 0) + (self.refine_steps > 0) > 1:
            raise UserError(
                "--objective.warmup-steps, --objective.free-bits and --objective.refine-steps "
                "exclude each other: give one"
            )

    def function(self) -> Callable:
        """objective(key, q, joint, x, step) -> Terms."""

        def objective(key, q, joint, x, step):
            if self.free_bits > 0:
                return free_bits(key, q, joint, x, minimum=self.free_bits)
            return elbo(key, q, joint, x, beta=linear_warmup(step, self.warmup_steps))

        return objective

    def terms_of(self, model: GenerativeModel, q: InferenceNetwork) -> Callable | None:
        """What training maximizes where q is refined for each x, else None."""
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
    """Encoder-only updates before each step, in the first passes (He et al. 2019)."""

    encoder_steps: int = 0
    """How many before each step, on batches of their own; 0 for none."""
    epochs: int = 0
    """The first passes over the data, in which they are made."""

    def __post_init__(self):
        if min(self.encoder_steps, self.epochs) < 0:
            raise UserError(
                "--update.encoder-steps and --update.epochs must be 0 or more; got "
                f"{self.encoder_steps} and {self.epochs}"
            )
        if (self.encoder_steps == 0) != (self.epochs == 0):
            raise UserError(
                "--update.encoder-steps and --update.epochs go together: give both or neither; "
                f"got {self.encoder_steps} and {self.epochs}"
            )

    def make_update(self, train: Train, num_examples: int) -> Callable[..., Update]:
        """(loss, optimizer) -> Update."""
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
    """The base of every experiment's configuration."""

    data: Data = dataclasses.field(default_factory=Data)
    model: MLP = dataclasses.field(default_factory=MLP)
    train: Train = dataclasses.field(default_factory=Train)
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)


_ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "softplus": jax.nn.softplus,
}


def masked_density(model: MaskedMLP, dataset: Dataset) -> GenerativeModel:
    """p(x) as a masked network, whose output bias starts at the data's mean; of several orders or
    masks their uniform mixture."""
    check_support("bernoulli", dataset)
    clipped = np.clip(dataset.mean().astype(np.float32).reshape(-1), 0.001, 0.999)
    network = networks.MaskedMLP(
        model.hidden,
        clipped.shape,
        activation=_ACTIVATIONS[model.activation],
        direct=True,
        output_bias=np.log(clipped / (1 - clipped)),
    )
    masks = None
    if model.orders * model.masks > 1:
        masks = networks.draw_masks(
            model.masks_seed,
            clipped.size,
            model.hidden,
            num_orders=model.orders,
            num_masks=model.masks,
        )
    return generative.masked_autoencoder(network, dataset.shape, masks)


def masked_pair(
    model: MLP, dataset: Dataset, encoder_hidden: tuple[int, ...], context_scale: float
) -> tuple[GenerativeModel, InferenceNetwork]:
    """p(z) = N(0, I), a masked autoencoder of `model.hidden` with z as its context for p(x | z),
    and a diagonal Gaussian q that starts at p(z) for every x. The decoder's weights on z start
    with standard deviation `context_scale`: with a small one it models x without z at first."""
    check_support("bernoulli", dataset)
    if not 0 < context_scale < math.inf:
        raise UserError(f"--context-scale must be finite and above 0; got {context_scale}")
    activation = _ACTIVATIONS[model.activation]
    family = inference.diagonal_gaussian(model.latent_dim)
    encoder = networks.MLP(
        _encoder_widths(encoder_hidden),
        (inference.parameter_count(family),),
        activation,
        output_kernel_init=jax.nn.initializers.zeros,
    )
    decoder = networks.MaskedMLP(
        model.hidden,
        (math.prod(dataset.shape),),
        activation=activation,
        context_kernel_init=jax.nn.initializers.normal(context_scale),
    )
    return (
        generative.autoregressive_decoder(
            distributions.standard_normal(model.latent_dim), decoder, dataset.shape
        ),
        inference.amortized(family, encoder, dataset.shape),
    )


def encoder_noise(level: float) -> Callable | None:
    """corrupt(key, x) that adds Gaussian noise of this standard deviation; None for 0."""
    if not 0 <= level < math.inf:
        raise UserError(f"--noise must be finite and 0 or more; got {level}")
    return gaussian_noise(level) if level > 0 else None


def _encoder_widths(hidden: tuple[int, ...]) -> tuple[int, ...]:
    if any(width < 1 for width in hidden):
        raise UserError(f"--encoder-hidden must be widths of at least 1; got {hidden}")
    return hidden


def mlp_pair(
    model: MLP,
    dataset: Dataset,
    family: Callable[[int], VariationalFamily],
    *,
    decoder: Callable[..., Any] = networks.MLP,
    encoder_hidden: tuple[int, ...] | None = None,
) -> tuple[GenerativeModel, InferenceNetwork]:
    """The one-layer model of Burda et al. (2016): p(z) = N(0, I), two MLPs, an output bias that
    starts at the data's mean, and any q family; a point mass makes it an autoencoder.
    `decoder` makes the decoder's network from what `networks.MLP` takes; `encoder_hidden` are the
    encoder's widths, `model.hidden` unless given."""
    activation = _ACTIVATIONS[model.activation]
    check_support(model.likelihood, dataset)
    mean = dataset.mean().astype(np.float32)
    if model.likelihood == "bernoulli":
        clipped = np.clip(mean, 0.001, 0.999)
        output_shape, bias = dataset.shape, np.log(clipped / (1 - clipped))
        likelihood: Callable = distributions.Bernoulli
    else:
        # The last layer gives a location and a log scale for each element of x.
        width = dataset.train.std(dtype=np.float64)
        spread = float(np.log(width / (dataset.levels or 1.0) + 1e-3))
        output_shape = (2, *dataset.shape)
        bias = np.stack([mean, np.full_like(mean, spread)])
        if model.likelihood == "gaussian":

            def likelihood(out):
                return distributions.DiagonalGaussian(out[0], out[1])
        else:

            def likelihood(out):
                # A scale below a hundredth of a grey level only makes probabilities underflow.
                log_scale = jnp.maximum(out[1], -jnp.log(100.0 * dataset.levels))
                return distributions.DiscretizedLogistic(out[0], log_scale, int(dataset.levels))

    decoder_network = decoder(model.hidden[::-1], output_shape, activation, bias)
    q_family = family(model.latent_dim)
    size = inference.parameter_count(q_family)
    standardize: dict[str, Any] = {}
    if dataset.support == "real":  # so that no unit of x saturates the first layer
        wide = dataset.train.astype(np.float64)
        # An element that hardly varies in training is left as it is: others may vary more.
        spread_of_x = np.where(wide.std(axis=0) > 1e-6 * wide.std(), wide.std(axis=0), wide.std())
        standardize = {
            "input_shift": jnp.asarray(mean),
            "input_scale": jnp.asarray(np.maximum(spread_of_x, 1e-6), jnp.float32),
        }
    encoder = networks.MLP(
        model.hidden if encoder_hidden is None else _encoder_widths(encoder_hidden),
        (size,),
        activation,
        **standardize,
    )
    return (
        generative.latent_variable_model(
            distributions.standard_normal(model.latent_dim), decoder_network, likelihood
        ),
        inference.amortized(q_family, encoder, dataset.shape),
    )


def check_support(likelihood: str, dataset: Dataset) -> None:
    """Refuse a likelihood that is no density or probability on the data's values."""
    allowed = {
        "bernoulli": ("binary",),
        "discretized_logistic": ("grey",),
        "gaussian": ("real", "unit"),
    }[likelihood]
    if dataset.support in allowed:
        return
    advice = {
        "binary": "--model.likelihood bernoulli",
        "grey": "--data.binarization dynamic, or --model.likelihood discretized_logistic",
        "unit": "--data.binarization dynamic, or --model.likelihood gaussian",
        "real": "--model.likelihood gaussian",
    }[dataset.support]
    raise UserError(
        f"the {likelihood} likelihood expects {' or '.join(allowed)} values; {dataset.name} with "
        f"binarization {dataset.binarization} has {dataset.support} values: use {advice}"
    )


class ExperimentFile(NamedTuple):
    """A loaded experiment file."""

    name: str
    path: Path
    module: types.ModuleType

    @property
    def config(self) -> Config:
        return self.module.config

    @property
    def comparison(self) -> Comparison | None:
        """Of a file that compares others."""
        return getattr(self.module, "comparison", None)

    def build(self, config: Config, dataset: Dataset) -> Experiment:
        return self.module.build(config, dataset)


def folders() -> list[Path]:
    """Where experiment files are looked for by their stem: here, then with this package."""
    package = Path(__file__).resolve().parent
    candidates = [Path("experiments"), package.parent / "experiments", package / "experiments"]
    return [folder for folder in candidates if folder.is_dir()]


def find(name: str) -> Path:
    """The path of an experiment given by its path or its stem."""
    if name.endswith(".py"):
        if Path(name).is_file():
            return Path(name)
        raise UserError(f"no experiment file {name}")
    for folder in folders():
        path = folder / f"{name}.py"
        if path.is_file():
            return path
    known = sorted({path.stem for folder in folders() for path in folder.glob("*.py")})
    raise UserError(
        f"unknown experiment {name!r}: expected one of {', '.join(known)}, or the path of a file "
        "ending in .py"
    )


def load(path: Path, name: str | None = None) -> ExperimentFile:
    """Import an experiment file."""
    name = name or path.stem
    spec = importlib.util.spec_from_file_location(f"vaejax_experiment_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"cannot import the experiment {path}: {type(error).__name__}: {error}"
        ) from error
    for attribute in ("config", "build"):
        if not hasattr(module, attribute) and not hasattr(module, "comparison"):
            raise UserError(
                f"{path} is no experiment: expected `config` and `build(config, dataset)`, "
                f"found no `{attribute}`"
            )
    return ExperimentFile(name, path, module)


def to_json(config: Config) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_json(kind: type, values: dict[str, Any]) -> Any:
    """A configuration dataclass from `to_json`'s output, also of an earlier version: a field that
    it lacks takes its default. So the default of a field that is added later must mean what was
    done before there was one.

    Runs from before are read in this way (`vaejax evaluate`, `gaps`, `report` ...). `vaejax run`
    trains anew, since `identity` counts the new field.

    Raises:
      UserError: a field that this configuration does not have, or a missing one without default.
    """
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    names = {field.name for field in fields}
    required = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if not isinstance(values, dict) or not required <= set(values) <= names:
        raise UserError(
            f"the saved configuration of {kind.__name__} has fields "
            f"{sorted(values) if isinstance(values, dict) else values}; expected {sorted(names)}: "
            "it was made by another version of the experiment"
        )
    converted = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            value = from_json(hints[name], value)
        elif isinstance(value, list):
            value = tuple(value)
        converted[name] = value
    try:
        return kind(**converted)
    except TypeError as error:
        raise UserError(f"the saved configuration is damaged: {error}") from None


def identity(file: ExperimentFile, config: Config) -> str:
    """Eight hex digits that change with whatever changes the trained model: the configuration
    (evaluation aside) and the experiment's code (docstring aside)."""
    tree = ast.parse(file.path.read_text())
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:]
    trained = {k: v for k, v in to_json(config).items() if k != "evaluate"}
    content = json.dumps([file.name, trained, ast.dump(tree)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]
