"""Normalizing flows as variational families: z = mean + exp(log_scale) f(e), e ~ N(0, I).

Lambda holds the weights of the networks in f, beside `mean` and `log_scale`. It starts with f the
identity, so at N(0, I); with another's `mean` and `log_scale` put in, at that diagonal Gaussian.
"""

import jax.numpy as jnp

from vaejax.networks import (
    FlowNetworks,
    affine_coupling_flow,
    inverse_autoregressive_flow,
    spline_coupling_flow,
)
from vaejax.types import VariationalFamily

FLOW_RATE = 0.005  # Adam's first: at a larger one the networks diverge, or settle worse


def affine_coupling(
    *shape: int, num_layers: int = 4, hidden: tuple[int, ...] = (32,)
) -> VariationalFamily:
    """The family of Real NVP flows (Dinh et al. 2017), by affine coupling layers.

    Args:
      *shape: of z.
      hidden: units of each hidden layer of each layer's network.
    """
    return _family("coupling", affine_coupling_flow(shape, num_layers=num_layers, hidden=hidden))


def spline_coupling(
    *shape: int, num_layers: int = 2, hidden: tuple[int, ...] = (32,), num_bins: int = 8
) -> VariationalFamily:
    """The family of neural spline flows (Durkan et al. 2019), by spline coupling layers.

    Args:
      *shape: of z.
      hidden: units of each hidden layer of each layer's network.
      num_bins: pieces of each spline.
    """
    flow = spline_coupling_flow(shape, num_layers=num_layers, hidden=hidden, num_bins=num_bins)
    return _family("spline", flow)


def inverse_autoregressive(
    *shape: int, num_layers: int = 2, hidden: tuple[int, ...] = (64,)
) -> VariationalFamily:
    """The family of inverse autoregressive flows (IAF, Kingma et al. 2016).

    Sampling is one pass; the log density of a z that was not drawn takes d passes a layer.

    Args:
      *shape: of z.
      hidden: units of each hidden layer of each layer's network.
    """
    flow = inverse_autoregressive_flow(shape, num_layers=num_layers, hidden=hidden)
    return _family("flow", flow)


def _family(name: str, flow: FlowNetworks) -> VariationalFamily:
    def start_at(key, mean, scale):
        return flow.init(key) | {"mean": mean, "log_scale": jnp.log(scale)}

    return VariationalFamily(name, flow.init, flow.distribution, start_at, FLOW_RATE)
