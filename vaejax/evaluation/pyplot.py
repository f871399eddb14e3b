"""`matplotlib.pyplot`, imported at the first figure, since that takes most of a second."""

import functools
from types import ModuleType
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(_pyplot(), name)


@functools.cache
def _pyplot() -> ModuleType:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot
