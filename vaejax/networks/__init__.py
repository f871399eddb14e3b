"""Functions with parameters: what turns z into the parameters of p(x | z), and x into lambda."""

from vaejax.networks.convolution import ConvDecoder, ConvEncoder
from vaejax.networks.flows import (
    FlowNetworks,
    affine_coupling_flow,
    inverse_autoregressive_flow,
    spline_coupling_flow,
)
from vaejax.networks.heads import ConstantScale, OneHot
from vaejax.networks.masked import MaskedMLP, Masks, draw_masks
from vaejax.networks.mlp import MLP
from vaejax.networks.recurrent import GRU
from vaejax.networks.spectral import SpectralDense
from vaejax.networks.transitions import (
    Combiner,
    GatedTransition,
    LinearTransition,
    MLPTransition,
)

__all__ = [
    "GRU",
    "MLP",
    "Combiner",
    "ConstantScale",
    "ConvDecoder",
    "ConvEncoder",
    "FlowNetworks",
    "GatedTransition",
    "LinearTransition",
    "MLPTransition",
    "MaskedMLP",
    "Masks",
    "OneHot",
    "SpectralDense",
    "affine_coupling_flow",
    "draw_masks",
    "inverse_autoregressive_flow",
    "spline_coupling_flow",
]
