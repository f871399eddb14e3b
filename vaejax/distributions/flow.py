"""Normalizing flows: an invertible function of Gaussian noise, and its layers."""

from collections.abc import Callable, Sequence
from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Conditioner = Callable[[Array], Array]

# The spline bends on [-_RANGE, _RANGE] and is linear outside of it; noise seldom is outside.
_RANGE = 4.0


def _shift_and_log_scale(parameters: Float[Array, "d 2"]) -> tuple[Array, Array]:
    """The log scale in (-2, 2): one layer then neither overflows nor collapses."""
    return parameters[..., 0], 2.0 * jnp.tanh(0.5 * parameters[..., 1])


def _split_coupling(conditioner, bijector, size: int, swap: bool) -> distrax.Bijector:
    return distrax.SplitCoupling(size // 2, 1, conditioner, bijector, swap=swap)


def affine_coupling_layer(conditioner: Conditioner, size: int, swap: bool) -> distrax.Bijector:
    """A layer of a flow that shifts and scales one half by the other: y1 = x1, y2 = shift(x1) +
    exp(log_scale(x1)) x2 (Real NVP, Dinh et al. 2017).

    x1 is the first `size // 2` elements, or with `swap` the others.

    Args:
      conditioner: x1 -> parameters of shape (elements of x2, 2); at zero the layer is the identity.
      size: elements of x.
    """

    def affine(parameters):
        shift, log_scale = _shift_and_log_scale(parameters)
        return distrax.ScalarAffine(shift, log_scale=log_scale)

    return _split_coupling(conditioner, affine, size, swap)


def spline_coupling_layer(conditioner: Conditioner, size: int, swap: bool) -> distrax.Bijector:
    """A layer of a flow that takes one half through splines chosen by the other: y1 = x1, y2 =
    s(x2), s elementwise a monotone rational-quadratic spline (Durkan et al. 2019), linear outside
    [-4, 4].

    x1 is the first `size // 2` elements, or with `swap` the others.

    Args:
      conditioner: x1 -> parameters of shape (elements of x2, 3 bins + 1); at zero the layer is the
        identity.
      size: elements of x.
    """

    def spline(parameters):
        return distrax.RationalQuadraticSpline(parameters, -_RANGE, _RANGE)

    return _split_coupling(conditioner, spline, size, swap)


class InverseAutoregressiveLayer(distrax.Bijector):
    """A layer of a flow that shifts and scales each element by those before it: y_i = shift_i(x_<i)
    + exp(log_scale_i(x_<i)) x_i (IAF, Kingma et al. 2016).

    Forward is one pass. The inverse repeats x <- (y - shift(x)) exp(-log_scale(x)) d times, and is
    exact: pass k makes the k-th x right.

    Args:
      conditioner: x -> parameters of shape (d, 2), row i a function of the x before x_i in some
        order; at zero the layer is the identity.
    """

    def __init__(self, conditioner: Conditioner):
        super().__init__(event_ndims_in=1)
        self.conditioner = conditioner

    def forward_and_log_det(self, x):
        shift, log_scale = _shift_and_log_scale(self.conditioner(x))
        return shift + jnp.exp(log_scale) * x, jnp.sum(log_scale)

    def inverse_and_log_det(self, y):
        def one_pass(_, x):
            shift, log_scale = _shift_and_log_scale(self.conditioner(x))
            return (y - shift) * jnp.exp(-log_scale)

        x = jax.lax.fori_loop(0, y.size, one_pass, jnp.zeros_like(y))
        _, log_scale = _shift_and_log_scale(self.conditioner(x))
        return x, -jnp.sum(log_scale)


def _affine(parameters: tuple[Array, Array]) -> distrax.Bijector:
    shift, log_scale = parameters
    return distrax.Block(distrax.ScalarAffine(shift, log_scale=log_scale), 1)


class Flow(distrax.Distribution):
    """A normalizing flow: z = mean + exp(log_scale) f(e), e ~ N(0, I), f a composition of
    invertible layers (Rezende & Mohamed 2015).

    log q(z) = log N(e; 0, I) - log |det df/de| - sum log_scale, in nats. The event is the whole
    array. Drawing a sample with its log density goes forward alone; the log density of any other z
    inverts f. As a pytree its leaves are lambda whole.

    Args:
      mean, log_scale: of z's shape.
      layers: `layers[i]` makes the i-th layer, a bijector of a flat vector, from `parameters[i]`;
        the first is applied first.
      parameters: of each layer.

    Raises:
      ValueError: mean and log_scale have different shapes.
    """

    def __init__(
        self,
        mean: Float[Array, "..."],
        log_scale: Float[Array, "..."],
        layers: Sequence[Callable[[Any], distrax.Bijector]],
        parameters: Sequence[Any],
    ):
        mean, log_scale = jnp.asarray(mean), jnp.asarray(log_scale)
        if mean.shape != log_scale.shape:
            raise ValueError(f"mean {mean.shape} and log_scale {log_scale.shape} must agree")
        self.loc = mean
        self.log_scale = log_scale
        self.parameters = tuple(parameters)
        self._makers = tuple(layers)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.loc.shape

    def of_gaussian(self, mean: Float[Array, " d"], log_scale: Float[Array, " d"]) -> "Flow":
        """The same, of a draw from N(mean, exp(log_scale)^2) in place of e."""
        first = (jnp.asarray(mean), jnp.asarray(log_scale))
        return Flow(self.loc, self.log_scale, (_affine, *self._makers), (first, *self.parameters))

    @property
    def _layers(self) -> list[distrax.Bijector]:
        return [make(phi) for make, phi in zip(self._makers, self.parameters, strict=True)]

    def _forward_and_log_det(self, noise: Float[Array, " d"]) -> tuple[Array, Float[Array, ""]]:
        total = jnp.sum(self.log_scale)
        for layer in self._layers:
            noise, log_det = layer.forward_and_log_det(noise)
            total += log_det
        return self.loc + jnp.exp(self.log_scale) * noise.reshape(self.loc.shape), total

    def _inverse_and_log_det(self, z: Float[Array, "..."]) -> tuple[Array, Float[Array, ""]]:
        total = -jnp.sum(self.log_scale)
        noise = ((z - self.loc) * jnp.exp(-self.log_scale)).reshape(-1)
        for layer in reversed(self._layers):
            noise, log_det = layer.inverse_and_log_det(noise)
            total += log_det
        return noise, total

    def _sample_n(self, key, n):
        return self._sample_n_and_log_prob(key, n)[0]

    def _sample_n_and_log_prob(self, key, n):
        noise = jax.random.normal(key, (n, self.loc.size), self.loc.dtype)
        z, log_det = jax.vmap(self._forward_and_log_det)(noise)
        return z, jnp.sum(jax.scipy.stats.norm.logpdf(noise), axis=-1) - log_det

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """log q(value), in nats, by the inverse of f."""
        leading = value.shape[: value.ndim - self.loc.ndim]
        values = value.reshape(-1, *self.loc.shape)
        noise, log_det = jax.vmap(self._inverse_and_log_det)(values)
        log_q = jnp.sum(jax.scipy.stats.norm.logpdf(noise), axis=-1) + log_det
        return log_q.reshape(leading)
