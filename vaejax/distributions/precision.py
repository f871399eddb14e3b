"""Computations at full precision, whatever the device multiplies in by default."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def highest_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function, its matrix products (and those of the model that it calls) at the highest
    precision: a GPU's or TPU's default is worth tenths of a nat."""

    @functools.wraps(function)
    def precise(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return precise
