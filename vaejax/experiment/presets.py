"""Models of single examples, built from a configuration and a summary of the data."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vaejax import distributions, generative, inference, networks
from vaejax.data import DataSummary, image_axes
from vaejax.errors import SettingError, require
from vaejax.experiment.configuration import MLP, MaskedMLP, require_widths
from vaejax.experiment.likelihoods import LIKELIHOODS, check_data, mean_logit
from vaejax.objectives import gaussian_noise
from vaejax.types import GenerativeModel, InferenceNetwork, VariationalFamily

SMALLEST_IMAGE = 8  # least height and width for a convolutional network
FLOW_LAYERS, FLOW_HIDDEN = (
    8,
    (64, 64),
)  # coupling layers, and widths of their networks, where p(z) is a flow


def masked_density(model: MaskedMLP, data: DataSummary) -> GenerativeModel:
    """p(x) as a masked network, whose output bias starts at the mean of the data; with several
    orders or masks, the uniform mixture over them.

    Raises:
      SettingError: the data are not binary.
    """
    check_data("bernoulli", data, fixed=True)
    size = math.prod(data.shape)
    network = networks.MaskedMLP(
        model.hidden,
        (size,),
        activation=getattr(jax.nn, model.activation),
        direct=True,
        output_bias=jnp.asarray(mean_logit(data).reshape(-1)),
    )
    masks = None
    if model.orders * model.masks > 1:
        masks = networks.draw_masks(
            model.masks_seed,
            size,
            model.hidden,
            num_orders=model.orders,
            num_masks=model.masks,
        )
    return generative.masked_autoencoder(network, data.shape, masks)


def masked_pair(
    model: MLP, data: DataSummary, encoder_hidden: tuple[int, ...], context_scale: float
) -> tuple[GenerativeModel, InferenceNetwork]:
    """A VAE with an autoregressive decoder: p(z) = N(0, I); p(x | z) is a masked autoencoder with
    hidden widths `model.hidden` and z as its context; q is a diagonal Gaussian, initially N(0, I)
    for every x. The initial weights from z to the decoder have standard deviation `context_scale`:
    with a small one the decoder ignores z at first.

    Raises:
      SettingError: data that are not binary, or a setting out of range.
    """
    check_data("bernoulli", data, fixed=True)
    require(model.kind == "mlp", "model.kind", "mlp with a masked decoder", model.kind)
    valid = 0 < context_scale < math.inf
    require(valid, "context_scale", "finite and above 0", context_scale)
    require_widths("encoder_hidden", encoder_hidden)
    activation = getattr(jax.nn, model.activation)
    family = inference.diagonal_gaussian(model.latent_dim)
    encoder = networks.MLP(
        encoder_hidden,
        (inference.parameter_count(family),),
        activation,
        output_kernel_init=jax.nn.initializers.zeros,
    )
    decoder = networks.MaskedMLP(
        model.hidden,
        (math.prod(data.shape),),
        activation=activation,
        context_kernel_init=jax.nn.initializers.normal(context_scale),
    )
    return (
        generative.autoregressive_decoder(
            distributions.standard_normal(model.latent_dim), decoder, data.shape
        ),
        inference.amortized(family, encoder, data.shape),
    )


def encoder_noise(noise: float) -> Callable | None:
    """corrupt(key, x), which adds Gaussian noise of this standard deviation; None for 0."""
    require(0 <= noise < math.inf, "noise", "finite and 0 or more", noise)
    return gaussian_noise(noise) if noise > 0 else None


def mlp_pair(
    model: MLP,
    data: DataSummary,
    family: Callable[[int], VariationalFamily],
    *,
    decoder: Callable[..., Any] = networks.MLP,
    encoder_hidden: tuple[int, ...] | None = None,
) -> tuple[GenerativeModel, InferenceNetwork]:
    """A VAE with one layer of latents, as in Burda et al. (2016); with a point mass for q, an
    autoencoder.

    p(z) is N(0, I) unless `model.prior` says otherwise. Encoder and decoder are MLPs, or with
    `model.kind` conv `networks.ConvEncoder` and `networks.ConvDecoder`. The decoder's output bias
    starts at the mean of the data.

    Args:
      family: latent_dim -> the q family.
      decoder: makes the decoder's network from the arguments of `networks.MLP`.
      encoder_hidden: widths of the encoder; by default `model.hidden`.

    Raises:
      SettingError: the likelihood is not defined on the data; or `model.kind` is conv and x is not
        an image.
    """
    check_data(model.likelihood, data)
    likelihood, activation = LIKELIHOODS[model.likelihood], getattr(jax.nn, model.activation)
    make_encoder: Callable[..., Any] = networks.MLP
    if model.kind == "conv":
        make_encoder, decoder = _convolutional(model, data, decoder)
    decoder_network = decoder(
        model.hidden[::-1], likelihood.output_shape(data), activation, likelihood.output_bias(data)
    )
    q_family = family(model.latent_dim)
    widths = model.hidden if encoder_hidden is None else encoder_hidden
    require_widths("encoder_hidden", widths)
    encoder = make_encoder(
        widths,
        (inference.parameter_count(q_family),),
        activation,
        **standardized(model.likelihood, data),
    )
    q = inference.amortized(q_family, encoder, data.shape)
    if model.prior == "vamp":
        if q_family.name != "diagonal":
            raise SettingError(
                "model.prior vamp expects a q that is a diagonal Gaussian; this q is "
                f"{q_family.name}: give another model.prior",
                "model.prior",
            )
        q = inference.posterior_of_prior(model.latent_dim)
    prior = _prior(model, data, encoder)
    decode = likelihood.distribution(data)
    return generative.latent_variable_model(prior, decoder_network, decode), q


def _convolutional(
    model: MLP, data: DataSummary, decoder: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Two functions that make the encoder and the decoder from the arguments of `networks.MLP`."""
    if decoder is not networks.MLP:
        raise SettingError(
            "the spectral norm is for dense layers only: give model.kind mlp", "model.kind"
        )
    axes = image_axes(data.shape)
    if axes is None or min(data.shape[axis] for axis in axes) < SMALLEST_IMAGE:
        raise SettingError(
            "model.kind conv expects images (h, w), (h, w, 1 or 3) or (1 or 3, h, w) of at least "
            f"{SMALLEST_IMAGE} x {SMALLEST_IMAGE}; {data.name} has examples of shape "
            f"{data.shape}: use model.kind mlp",
            "model.kind",
        )
    before = LIKELIHOODS[model.likelihood].output_shape(data).index(data.shape[axes[0]]) - axes[0]
    encoder = functools.partial(networks.ConvEncoder, channels=model.channels, axes=axes)
    return encoder, functools.partial(
        networks.ConvDecoder,
        channels=model.channels[::-1],
        axes=(axes[0] + before, axes[1] + before),
    )


def _prior(model: MLP, data: DataSummary, encoder: Any) -> generative.Prior:
    """The prior that `model.prior` names."""
    bounded = data.support != "real"
    priors = {
        "normal": lambda: generative.fixed_prior(distributions.standard_normal(model.latent_dim)),
        "mixture": lambda: generative.mixture_prior(
            model.latent_dim, num_components=model.prior_components
        ),
        "vamp": lambda: generative.vamp_prior(
            encoder,
            jnp.asarray(data.mean, jnp.float32),
            jnp.asarray(data.std, jnp.float32),
            num_components=model.prior_components,
            lowest=0.0 if bounded else -jnp.inf,
            highest=1.0 if bounded else jnp.inf,
        ),
        "flow": lambda: generative.flow_prior(
            model.latent_dim, num_layers=FLOW_LAYERS, hidden=FLOW_HIDDEN
        ),
    }
    return priors[model.prior]()


def standardized(likelihood: str, data: DataSummary) -> dict[str, Any]:
    """Arguments with which `networks.MLP` standardizes each element of x, so that units of x do not
    matter; none where the likelihood is no density."""
    if not LIKELIHOODS[likelihood].is_density:
        return {}
    return {
        "input_shift": jnp.asarray(data.mean, jnp.float32),
        "input_scale": jnp.asarray(data.std, jnp.float32),
    }


def network_of_x(
    likelihood: str, data: DataSummary, hidden: tuple[int, ...], size: int, activation: Callable
) -> Any:
    """A network from x, or from a frame, to `size` numbers; categories are one-hot."""
    network = networks.MLP(hidden, (size,), activation, **standardized(likelihood, data))
    if data.num_categories is None:
        return network
    return networks.OneHot(network, data.num_categories)
