"""The table of named data sets: each has its own file, and one entry here."""

from vaejax.data import (
    binarized_mnist,
    digits,
    lds,
    mnist,
    pendulum,
    pinwheel,
    polyphonic,
    switching,
)
from vaejax.data.source import Source

SOURCES: dict[str, Source] = {
    "digits": digits.SOURCE,
    "mnist": mnist.SOURCE,
    "binarized_mnist": binarized_mnist.SOURCE,
    **polyphonic.SOURCES,
    "lds": lds.SOURCE,
    "pendulum": pendulum.SOURCE,
    "pinwheel": pinwheel.SOURCE,
    "switching": switching.SOURCE,
}
