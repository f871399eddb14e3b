"""Latent-variable generative models in JAX: p(z), p(x|z), q(z|x), and what each number is worth.

Nothing is imported before it is used, so that the command line starts at once.
"""

import importlib

__version__ = "0.2.0"

_TYPES = (
    "Conditions",
    "Example",
    "GenerativeModel",
    "InferenceNetwork",
    "Joint",
    "LogJoint",
    "Params",
    "VariationalFamily",
)
_MODULES = (
    "data",
    "distributions",
    "evaluation",
    "experiment",
    "generative",
    "inference",
    "marginal_likelihood",
    "networks",
    "objectives",
    "report",
    "training",
)
_FUNCTIONS = {
    "load": "vaejax.experiment.loading",
    "fit": "vaejax.training",
    "log_marginal_likelihood": "vaejax.marginal_likelihood",
}

__all__ = [*_TYPES, *_MODULES, *_FUNCTIONS]


def __getattr__(name: str):
    if name in _TYPES:
        return getattr(importlib.import_module("vaejax.types"), name)
    if name in _MODULES:
        return importlib.import_module(f"vaejax.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'vaejax' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
