"""A density fitted to the codes of a trained model and used as p(z) (Ghosh et al. 2020, section 4).
With it and the decoder's p(x | z), an autoencoder has a p(x, z)."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from vaejax import inference
from vaejax.distributions import FullGaussianMixture
from vaejax.types import Distribution, GenerativeModel, Key, Parameters, VariationalFamily

Kind = Literal["gaussian", "mixture", "flow"]

COMPONENTS = (1, 2, 5, 10, 20, 50)
NARROWEST = 1e-4  # least unit of a dimension, as a share of the largest standard deviation
FLOOR = 1e-6  # added to the variances of standardized codes (scikit-learn's reg_covar)
TOLERANCE = 1e-2  # nats per code: EM stops when a step gains less
_LAYERS, _HIDDEN = 8, (64, 64)
_LEARNING_RATE, _BATCH, _MAX_EPOCHS, _PATIENCE = 1e-3, 200, 500, 20


class CodeDensity(NamedTuple):
    """p(z) = density(parameters); the parameters are arrays, so they can be arguments of `jit`."""

    density: Callable[[Parameters], Distribution]
    parameters: Parameters

    @property
    def distribution(self) -> Distribution:
        """p(z)."""
        return self.density(self.parameters)


def fit_code_density(
    key: Key,
    kind: Kind,
    train_codes: Float[np.ndarray, "n ..."],
    validation_codes: Float[np.ndarray, "m ..."],
) -> CodeDensity:
    """Fit p(z) by maximum likelihood to the training codes; it is a distribution over z in the
    units of the codes.

    gaussian: one Gaussian with full covariance; the validation codes are not used.
    mixture: Gaussians with full covariances, fitted by EM (scikit-learn). Of 1, 2, 5, 10, 20 and 50
      components the number with the highest mean log density of the validation codes is used.
    flow: affine coupling layers (Dinh et al. 2017), fitted by Adam. The parameters are those of the
      epoch with the highest mean log density of the validation codes; the fit ends after 500
      epochs, or after 20 epochs without improvement.

    Dimensions are standardized for the fit. So that a density exists for a dimension that hardly
    varies, its unit is at least 1e-4 of the largest standard deviation, and Gaussians get 1e-6 more
    variance in these units.

    Raises:
      ValueError: an unknown kind; codes that are not finite or all equal; fewer than two training
        codes; no validation codes where they are used; shapes that differ.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"fit_code_density: expected a kind of {get_args(Kind)}; got {kind!r}")
    codes, held_out, shape = _checked(kind, train_codes, validation_codes)
    shift, unit = codes.mean(axis=0), codes.std(axis=0)
    if not unit.max() > 0:
        raise ValueError(
            f"fit_code_density: expected codes that vary; all {len(codes)} training codes are the "
            "same: the encoder ignores x"
        )
    unit = np.maximum(unit, NARROWEST * unit.max())
    codes, held_out = (codes - shift) / unit, (held_out - shift) / unit
    if kind == "flow":
        return _flow(key, codes, held_out, shift, unit, shape)
    best = _mixture(key, codes, held_out, (1,) if kind == "gaussian" else COMPONENTS)
    factors = unit[:, None] * np.linalg.cholesky(best.covariances_)
    means = (shift + unit * best.means_).reshape(-1, *shape)
    components = tuple(map(_single, (np.log(best.weights_), means, factors)))
    return CodeDensity(_mixture_of, components)


def _mixture_of(components: Parameters) -> FullGaussianMixture:
    return FullGaussianMixture(*components)


@functools.lru_cache(maxsize=16)
def ex_post_model(
    generative: GenerativeModel, density: Callable[[Parameters], Distribution]
) -> GenerativeModel:
    """The model with the same p(x | z) and the fitted p(z). Its parameters are (theta, parameters
    of p(z)); `init` gives theta only, since p(z) is not trained. The same functions give the same
    model, so that what is compiled for it serves other parameters."""

    def joint(parameters, given=()):
        theta, fitted = parameters
        return generative.joint(theta, given)._replace(prior=density(fitted))

    return GenerativeModel(generative.init, joint)


def _checked(kind, train_codes, validation_codes):
    """(training codes, validation codes, shape of one code); codes as float64 matrices."""
    codes, held_out = (np.asarray(c, np.float64) for c in (train_codes, validation_codes))
    needed = 0 if kind == "gaussian" else 1
    if len(codes) < 2 or len(held_out) < needed:
        raise ValueError(
            f"fit_code_density: expected at least 2 training codes and {needed} validation codes; "
            f"got {len(codes)} and {len(held_out)}"
        )
    if len(held_out) and codes.shape[1:] != held_out.shape[1:]:
        raise ValueError(
            f"fit_code_density: training codes have shape {codes.shape[1:]}, validation codes "
            f"{held_out.shape[1:]}: give both the same shape"
        )
    for name, values in (("training", codes), ("validation", held_out)):
        broken = len(values) - int(np.isfinite(values.reshape(len(values), -1)).all(axis=1).sum())
        if broken:
            raise ValueError(
                f"fit_code_density: expected finite codes; {broken} of the {len(values)} {name} "
                "codes are not: check those examples, or the training of the encoder"
            )
    return codes.reshape(len(codes), -1), held_out.reshape(len(held_out), -1), codes.shape[1:]


def _single(values: np.ndarray):
    return jnp.asarray(values, jnp.result_type(float))


def _mixture(key: Key, codes: np.ndarray, held_out: np.ndarray, counts: tuple[int, ...]) -> Any:
    """The scikit-learn mixture of so many Gaussians; of several, the one with the highest score on
    held-out codes."""
    from sklearn import mixture  # imported late: it takes a third of a second

    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    # A component with fewer codes than dimensions has a covariance that only the floor determines.
    most = max(1, len(codes) // (codes.shape[1] + 1))
    settings = {"reg_covar": FLOOR, "tol": TOLERANCE, "max_iter": 200, "random_state": seed}
    # The matrices are small: on a busy machine, more threads only wait for each other.
    with threadpool_limits(1):
        fits = [mixture.GaussianMixture(k, **settings).fit(codes) for k in counts if k <= most]
        return fits[0] if len(fits) == 1 else max(fits, key=lambda fit: fit.score(held_out))


@functools.cache
def _flows(dimensions: int) -> VariationalFamily:
    return inference.affine_coupling(dimensions, num_layers=_LAYERS, hidden=_HIDDEN)


def _flow(key: Key, codes, held_out, shift, unit, shape) -> CodeDensity:
    family = _flows(codes.shape[1])
    optimizer = optax.adam(_LEARNING_RATE)
    codes, held_out = _single(codes), _single(held_out)
    size = min(_BATCH, len(codes))

    def loss(v, batch):
        return -jnp.mean(family.distribution(v).log_prob(batch))

    @jax.jit
    def epoch(v, state, key, codes, held_out):
        order = jax.random.permutation(key, len(codes))[: len(codes) // size * size]

        def step(carry, indices):
            v, state = carry
            updates, state = optimizer.update(jax.grad(loss)(v, codes[indices]), state)
            return (optax.apply_updates(v, updates), state), None

        (v, state), _ = jax.lax.scan(step, (v, state), order.reshape(-1, size))
        return v, state, loss(v, held_out)

    init_key, order_key = jax.random.split(key)
    v: dict = family.init(init_key)
    best, state = v, optimizer.init(v)
    lowest, lowest_at = float(jax.jit(loss)(v, held_out)), 0
    for index in range(1, _MAX_EPOCHS + 1):
        v, state, value = epoch(v, state, jax.random.fold_in(order_key, index), codes, held_out)
        if float(value) < lowest:
            best, lowest, lowest_at = v, float(value), index
        if index - lowest_at >= _PATIENCE or not np.isfinite(float(value)):
            break
    # z = shift + unit (mean + exp(log_scale) f(e)): log unit is the Jacobian of the standardizing.
    shift, unit = _single(shift), _single(unit)
    placed = best | {
        "mean": (shift + unit * best["mean"]).reshape(shape),
        "log_scale": (jnp.log(unit) + best["log_scale"]).reshape(shape),
    }
    return CodeDensity(family.distribution, placed)
