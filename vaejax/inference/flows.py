"""Normalizing flows as variational families: z = mean + exp(log_scale) f(e), e ~ N(0, I).

Lambda holds the weights of the networks in f, beside `mean` and `log_scale`. It starts with f the
identity, so at N(0, I); with another's `mean` and `log_scale` put in, at that diagonal Gaussian.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from vaejax.distributions import (
    Flow,
    InverseAutoregressiveLayer,
    affine_coupling_layer,
    spline_coupling_layer,
)
from vaejax.networks import MLP, MaskedMLP
from vaejax.types import VariationalFamily

FLOW_RATE = 0.005  # Adam's first: at a larger one the networks diverge, or settle worse

_zeros = jax.nn.initializers.zeros


def affine_coupling(
    *shape: int, num_layers: int = 4, hidden: tuple[int, ...] = (32,)
) -> VariationalFamily:
    """Real NVP (Dinh et al. 2017): each layer shifts and scales one half of the elements by a
    function of the other half, the two halves in turn."""
    return _coupling("coupling", shape, affine_coupling_layer, num_layers, hidden, 2)


def spline_coupling(
    *shape: int, num_layers: int = 2, hidden: tuple[int, ...] = (32,), num_bins: int = 8
) -> VariationalFamily:
    """Neural spline flow (Durkan et al. 2019): each layer takes one half of the elements through
    monotone rational-quadratic splines, which the other half chooses, the two halves in turn."""
    return _coupling("spline", shape, spline_coupling_layer, num_layers, hidden, 3 * num_bins + 1)


def inverse_autoregressive(
    *shape: int, num_layers: int = 2, hidden: tuple[int, ...] = (64,)
) -> VariationalFamily:
    """IAF (Kingma et al. 2016): each layer shifts and scales each element by a function of those
    before it, in the order that they lie and its reverse in turn.

    Sampling is one pass; the log density of a z that was not drawn takes d passes a layer.
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
    return _flow("flow", shape, networks, [size] * num_layers, layers)


def _coupling(name, shape, layer, num_layers, hidden, num_parameters) -> VariationalFamily:
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
    return _flow(name, shape, networks, inputs, layers)


def _flow(
    name: str,
    shape: tuple[int, ...],
    networks: Sequence[MLP | MaskedMLP],
    inputs: Sequence[int],
    layers: Sequence[Callable],
) -> VariationalFamily:
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

    def distribution(v):
        return Flow(v["mean"], v["log_scale"], makers, v["conditioners"])

    def start_at(key, mean, scale):
        return init(key) | {"mean": mean, "log_scale": jnp.log(scale)}

    return VariationalFamily(name, init, distribution, start_at, FLOW_RATE)
