"""A density fitted to the codes of a trained model, in the place of p(z) (Ghosh et al. 2020,
section 4): with the decoder's p(x | z) it makes an autoencoder an explicit p(x, z)."""

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
from vaejax.types import Distribution, GenerativeModel, Key, Parameters

Kind = Literal["gaussian", "mixture", "flow"]

COMPONENTS = (1, 2, 5, 10, 20, 50)
NARROWEST = 1e-4  # of the widest dimension's standard deviation: the least unit of a dimension
FLOOR = 1e-6  # added to the variances of standardized codes (scikit-learn's reg_covar)
TOLERANCE = 1e-2  # nats a code: where EM gains less in a step, it ends
_LAYERS, _HIDDEN = 8, (64, 64)
_LEARNING_RATE, _BATCH, _MAX_EPOCHS, _PATIENCE = 1e-3, 200, 500, 20


class CodeDensity(NamedTuple):
    """p(z) = density(parameters); the parameters are arrays, which cross a jit boundary."""

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
    """p(z) of maximum likelihood on the training codes, as a distribution over z in the codes' own
    units, with `sample`, `log_prob` and its gradient.

    gaussian: one Gaussian with full covariance; the validation codes are not used.
    mixture: full covariances, by EM (scikit-learn), 1, 2, 5, 10, 20 or 50 components, whichever
      gives the validation codes the highest mean log density.
    flow: affine coupling layers (Dinh et al. 2017), by Adam, with the parameters of the epoch that
      gives the validation codes the highest mean log density; at the end of 500 epochs, or where
      20 bring no better one.

    Each dimension is standardized first and the density put back into the codes' units. One that
    does not vary, or hardly, is given 1e-4 of the widest one's standard deviation as its unit, and
    Gaussians 1e-6 more variance in those units: a density then exists and is narrow there.

    Raises:
      ValueError: another kind; codes that are not finite, or are all the same; fewer than two of
        them, or none for validation where they are used; shapes that disagree.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"fit_code_density: kind is one of {get_args(Kind)}; got {kind!r}")
    codes, held_out, shape = _checked(kind, train_codes, validation_codes)
    shift, unit = codes.mean(axis=0), codes.std(axis=0)
    if not unit.max() > 0:
        raise ValueError(
            f"fit_code_density: all {len(codes)} training codes are the same: the encoder ignores "
            "x, and there is no density to fit"
        )
    unit = np.maximum(unit, NARROWEST * unit.max())
    codes, held_out = (codes - shift) / unit, (held_out - shift) / unit
    if kind == "flow":
        return _flow(key, codes, held_out, shift, unit, shape)
    if kind == "gaussian":
        weights, means, covariances = (
            np.ones(1),
            codes.mean(axis=0)[None],
            np.cov(codes.T, bias=True),
        )
        covariances = covariances.reshape(1, *2 * unit.shape) + FLOOR * np.eye(len(unit))
    else:
        best = _best_mixture(key, codes, held_out)
        weights, means, covariances = best.weights_, best.means_, best.covariances_
    factors = unit[:, None] * np.linalg.cholesky(covariances)
    means = (shift + unit * means).reshape(-1, *shape)
    components = tuple(map(_single, (np.log(weights), means, factors)))
    return CodeDensity(lambda v: FullGaussianMixture(*v), components)


def ex_post_model(
    generative: GenerativeModel, density: Callable[[Parameters], Distribution]
) -> GenerativeModel:
    """The same p(x | z), with the fitted p(z): its parameters are (theta, those of p(z)). They are
    not trained, so `init` is that of theta alone."""

    def joint(parameters, given=()):
        theta, fitted = parameters
        return generative.joint(theta, given)._replace(prior=density(fitted))

    return GenerativeModel(generative.init, joint)


def _checked(kind, train_codes, validation_codes):
    """Both arrays flat, in float64, and the shape of one code."""
    codes, held_out = (np.asarray(c, np.float64) for c in (train_codes, validation_codes))
    needed = 0 if kind == "gaussian" else 1
    if len(codes) < 2 or len(held_out) < needed:
        raise ValueError(
            f"fit_code_density: expected 2 training codes and {needed} for validation at least; "
            f"got {len(codes)} and {len(held_out)}"
        )
    if len(held_out) and codes.shape[1:] != held_out.shape[1:]:
        raise ValueError(
            f"fit_code_density: training codes have shape {codes.shape[1:]}, validation codes "
            f"{held_out.shape[1:]}: they must agree"
        )
    for name, values in (("training", codes), ("validation", held_out)):
        broken = len(values) - int(np.isfinite(values.reshape(len(values), -1)).all(axis=1).sum())
        if broken:
            raise ValueError(
                f"fit_code_density: {broken} of the {len(values)} {name} codes are not finite: "
                "look at those examples, or at the training of the encoder"
            )
    return codes.reshape(len(codes), -1), held_out.reshape(len(held_out), -1), codes.shape[1:]


def _single(values: np.ndarray):
    return jnp.asarray(values, jnp.result_type(float))


def _best_mixture(key: Key, codes: np.ndarray, held_out: np.ndarray) -> Any:
    """scikit-learn's mixture of Gaussians with the highest score on held-out codes."""
    from sklearn import mixture  # when it is needed: it takes a third of a second

    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    # A component of fewer codes than dimensions is one of the floor's making.
    most = max(1, len(codes) // (codes.shape[1] + 1))
    settings = {"reg_covar": FLOOR, "tol": TOLERANCE, "max_iter": 200, "random_state": seed}
    # Its products are small: on a busy machine more threads only wait for each other.
    with threadpool_limits(1):
        fits = [mixture.GaussianMixture(k, **settings).fit(codes) for k in COMPONENTS if k <= most]
        return max(fits, key=lambda fit: fit.score(held_out))


def _flow(key: Key, codes, held_out, shift, unit, shape) -> CodeDensity:
    family = inference.affine_coupling(codes.shape[1], num_layers=_LAYERS, hidden=_HIDDEN)
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
