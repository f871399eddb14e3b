"""Functions with parameters: what turns z into the parameters of p(x | z), and x into lambda."""

from vaejax.networks.masked import MaskedMLP, Masks, draw_masks
from vaejax.networks.mlp import MLP
from vaejax.networks.spectral import SpectralDense

__all__ = ["MLP", "MaskedMLP", "Masks", "SpectralDense", "draw_masks"]
