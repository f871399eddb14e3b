"""Flows whose layers are conditioned by networks: z = mean + exp(log_scale) f(e), e ~ N(0, I)."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import (
    Flow,
    InverseAutoregressiveLayer,
    affine_coupling_layer,
    spline_coupling_layer,
)
from vaejax.networks.masked import MaskedMLP
from vaejax.networks.mlp import MLP
from vaejax.types import Key

_zeros = jax.nn.initializers.zeros


class FlowNetworks(NamedTuple):
    """A normalizing flow and the networks in it, as functions of their parameters.

    Attributes:
      init: key -> parameters, with f the identity: at N(0, I). They are `mean`, `log_scale` and the
        weights of the networks in f.
      distribution: parameters -> the `Flow`.
    """

    init: Callable[[Key], dict[str, Any]]
    distribution: Callable[[dict[str, Any]], Flow]


def affine_coupling_flow(
    shape: tuple[int, ...], *, num_layers: int, hidden: tuple[int, ...]
) -> FlowNetworks:
    """Real NVP (Dinh et al. 2017): a flow whose layers each shift and scale one half of the
    elements by a function of the other half, the two halves in turn.

    Args:
      shape: of z.
      hidden: units of each hidden layer of each layer's network.
    """
    return _coupling(shape, affine_coupling_layer, num_layers, hidden, 2)


def spline_coupling_flow(
    shape: tuple[int, ...], *, num_layers: int, hidden: tuple[int, ...], num_bins: int
) -> FlowNetworks:
    """Neural spline flow (Durkan et al. 2019): a flow whose layers each take one half of the
    elements through monotone rational-quadratic splines, which the other half chooses, the two
    halves in turn.

    Args:
      shape: of z.
      hidden: units of each hidden layer of each layer's network.
      num_bins: pieces of each spline.
    """
    return _coupling(shape, spline_coupling_layer, num_layers, hidden, 3 * num_bins + 1)


def inverse_autoregressive_flow(
    shape: tuple[int, ...], *, num_layers: int, hidden: tuple[int, ...]
) -> FlowNetworks:
    """Inverse autoregressive flow (IAF, Kingma et al. 2016): a flow whose layers each shift and
    scale each element by a function of those before it, in the order that they lie and its reverse
    in turn.

    Args:
      shape: of z.
      hidden: units of each hidden layer of each layer's network.
    """
    size = math.prod(shape)
    forwards = tuple(range(size))
    networks = [
        MaskedMLP(
            hidden,
            (size, 2),
            order=forwards[::-1] if i % 2 else forwards,
            output_kernel_init=_zeros,
        )
        for i in range(num_layers)
    ]
    layers = [InverseAutoregressiveLayer] * num_layers
    return _conditioned(shape, networks, [size] * num_layers, layers)


def _coupling(shape, layer, num_layers, hidden, num_parameters) -> FlowNetworks:
    size = math.prod(shape)
    half = size // 2
    networks, inputs, layers = [], [], []
    for i in range(num_layers):
        swap = bool(i % 2)
        given = size - half if swap else half
        if given == size:
            continue  # a single element has no other half
        networks.append(MLP(hidden, (size - given, num_parameters), output_kernel_init=_zeros))
        inputs.append(given)
        layers.append(lambda conditioner, swap=swap: layer(conditioner, size, swap))
    return _conditioned(shape, networks, inputs, layers)


def _conditioned(
    shape: tuple[int, ...],
    networks: Sequence[MLP | MaskedMLP],
    inputs: Sequence[int],
    layers: Sequence[Callable],
) -> FlowNetworks:
    """Layer i conditioned by network i, which takes `inputs[i]` elements; a zero, if there are
    none."""

    def init(key):
        keys = jax.random.split(key, len(networks))
        return {
            "mean": jnp.zeros(shape),
            "log_scale": jnp.zeros(shape),
            "conditioners": [
                network.init(k, jnp.zeros(max(n, 1)))
                for network, k, n in zip(networks, keys, inputs, strict=True)
            ],
        }

    def maker(layer, network):
        def conditioner(phi):
            return lambda x: network.apply(phi, x if x.size else jnp.zeros(1, x.dtype))

        return lambda phi: layer(conditioner(phi))

    makers = [maker(layer, network) for layer, network in zip(layers, networks, strict=True)]

    def distribution(parameters):
        return Flow(parameters["mean"], parameters["log_scale"], makers, parameters["conditioners"])

    return FlowNetworks(init, distribution)
