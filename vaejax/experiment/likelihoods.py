"""The likelihoods p(x | z) that a configuration can name."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from vaejax import distributions
from vaejax.data import DataSummary
from vaejax.errors import SettingError
from vaejax.types import Distribution


class LikelihoodKind(NamedTuple):
    """A likelihood: how it makes p(x | z) from the output of a decoder.

    Attributes:
      support: the kinds of values (`DataSummary.support`) on which it is defined.
      output_shape: data -> the shape of the decoder's output.
      output_bias: data -> the initial bias of the decoder's last layer.
      distribution: data -> (outputs -> p(x | z)).
      is_density: whether p(x | z) is a density, which depends on the units of x.
    """

    support: tuple[str, ...]
    output_shape: Callable[[DataSummary], tuple[int, ...]]
    output_bias: Callable[[DataSummary], Any]
    distribution: Callable[[DataSummary], Callable[[Any], Distribution]]
    is_density: bool = False


def mean_logit(data: DataSummary) -> np.ndarray:
    """log(m / (1 - m)) of the training mean m of each element, clipped to [0.001, 0.999]."""
    clipped = np.clip(data.mean.astype(np.float32), 0.001, 0.999)
    return np.log(clipped / (1 - clipped))


def _location_and_scale(data: DataSummary) -> tuple[int, ...]:
    return (2, *data.shape)


def _grey_bias(data: DataSummary) -> np.ndarray:
    """(2, *shape): the mean of each element, and the log standard deviation of all values."""
    mean = data.mean.astype(np.float32)
    spread = np.sqrt(np.mean(data.std**2) + np.var(data.mean))
    return np.stack([mean, np.full_like(mean, np.log(spread + 1e-3))])


def _discretized_logistic(data: DataSummary) -> Callable[[Any], Distribution]:
    assert data.levels is not None
    levels = int(data.levels)

    def likelihood(outputs):
        # A scale below a hundredth of a grey level only makes probabilities underflow.
        log_scale = jnp.maximum(outputs[1], -jnp.log(100.0 * levels))
        return distributions.DiscretizedLogistic(outputs[0], log_scale, levels)

    return likelihood


def _gaussian(data: DataSummary) -> Callable[[Any], Distribution]:
    """N(m + s outputs[0], (s exp(outputs[1]))^2), where m and s are the training mean and standard
    deviation of each element. So scaling x changes log p(x) by the log-Jacobian only."""
    mean, std, log_std = data.mean, data.std, np.log(data.std)

    def likelihood(outputs):
        location = jnp.asarray(mean, outputs.dtype) + jnp.asarray(std, outputs.dtype) * outputs[0]
        log_scale = jnp.asarray(log_std, outputs.dtype) + outputs[1]
        return distributions.DiagonalGaussian(location, log_scale)

    return likelihood


def _log_frequencies(data: DataSummary) -> np.ndarray:
    """The log training frequency of each category at each element; frequencies are at least
    1e-6."""
    return np.log(np.clip(data.mean, 1e-6, 1.0)).astype(np.float32)


def _logits_of_categories(data: DataSummary) -> tuple[int, ...]:
    assert data.num_categories is not None
    return (*data.shape, data.num_categories)


LIKELIHOODS: dict[str, LikelihoodKind] = {
    "bernoulli": LikelihoodKind(
        support=("binary",),
        output_shape=lambda data: data.shape,
        output_bias=mean_logit,
        distribution=lambda data: distributions.Bernoulli,
    ),
    "discretized_logistic": LikelihoodKind(
        support=("grey",),
        output_shape=_location_and_scale,
        output_bias=_grey_bias,
        distribution=_discretized_logistic,
    ),
    "gaussian": LikelihoodKind(
        support=("real", "unit"),
        output_shape=_location_and_scale,
        output_bias=lambda data: 0.0,
        distribution=_gaussian,
        is_density=True,
    ),
    "categorical": LikelihoodKind(
        support=("categories",),
        output_shape=_logits_of_categories,
        output_bias=_log_frequencies,
        distribution=lambda data: distributions.Categories,
    ),
}
Likelihood = Literal[tuple(LIKELIHOODS)]  # type: ignore[valid-type]

_NAMED = 5  # most constant features that an error lists


def check_data(likelihood: str, data: DataSummary, *, fixed: bool = False) -> None:
    """Raise SettingError unless the likelihood is defined on the values of the data.

    Args:
      data: for sequences, the summary of one frame.
      fixed: whether the model has no other likelihood.

    Raises:
      SettingError: the values are of another kind; the data are whole sequences; or the likelihood
        is a density and an element is constant over the training examples, so that its density
        grows without bound.
    """
    if data.is_sequence:
        raise SettingError(
            f"data.name {data.name} has sequences, but this model expects single examples: use an "
            "experiment for sequences, or data without lengths",
            "data.name",
        )
    kind = LIKELIHOODS[likelihood]
    if data.support not in kind.support:
        how = "" if data.levels is None else f"with binarization {data.binarization} "
        raise SettingError(
            f"the {likelihood} likelihood expects {' or '.join(kind.support)} values; {data.name} "
            f"{how}has {data.support} values: use {' or '.join(_ways_out(data, fixed))}",
            "model.likelihood",
            "data.binarization",
        )
    if kind.is_density:
        _refuse_constant_features(likelihood, data)


def _ways_out(data: DataSummary, fixed: bool) -> list[str]:
    """The settings with which these data can be modelled, in words."""
    fitting = [name for name, kind in LIKELIHOODS.items() if data.support in kind.support]
    ways = [f"model.likelihood {name}" for name in fitting]
    if fixed:
        ways = [f"an experiment that has {way}" for way in ways]
    as_they_are = data.levels is None or data.support == "binary"
    return ways if as_they_are else ["data.binarization dynamic", *ways]


def _refuse_constant_features(likelihood: str, data: DataSummary) -> None:
    # A spread of a few float32 steps is rounding error: the feature is constant.
    resolution = 8 * np.finfo(np.float32).eps * np.abs(data.mean)
    constant = np.argwhere((data.std <= resolution) | (data.std == 0))
    if len(constant) == 0:
        return
    named = [f"[{', '.join(map(str, at))}] = {data.mean[tuple(at)]:.6g}" for at in constant]
    listed = ", ".join(named[:_NAMED]) + (", ..." if len(named) > _NAMED else "")
    raise SettingError(
        f"{len(constant)} of {data.mean.size} features of {data.name} are constant over the "
        f"training examples, in float32: {listed}; with model.likelihood {likelihood} their "
        "density grows without bound: remove them, subtract their mean if they do vary, or add "
        "noise of the size of their measurement error",
        "model.likelihood",
    )
