"""The ways in which a trained model gives new x, and what p(x) each of them is, if any."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax.evaluation.chain import chain_samples
from vaejax.evaluation.evaluate import measure_code
from vaejax.evaluation.ex_post import Kind as CodeKind
from vaejax.evaluation.ex_post import ex_post_model, fit_code_density
from vaejax.evaluation.kind import Kind, kind_of
from vaejax.evaluation.pictures import prior_samples
from vaejax.sharding import map_examples
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Key, Params, bind, rows_of

Draw = Callable[[Key, int], tuple[np.ndarray | None, np.ndarray]]
EX_POST: tuple[CodeKind, ...] = ("gaussian", "mixture", "flow")
_CODES = 20_000  # training codes that a density is fitted to, at most
_HELD_OUT = 2_000
_BLOCK = 500


class Model(NamedTuple):
    """A trained model, with the observations that it is measured on."""

    generative: GenerativeModel
    inference: InferenceNetwork
    corrupt: Callable | None
    params: Params
    train: Example
    validation: Example
    test: Example

    @property
    def kind(self) -> Kind:
        return kind_of(self.generative, self.inference, self.params, rows_of(self.test, 0))


class Generator(NamedTuple):
    """One way to draw x.

    Attributes:
      how: in the words of the field.
      draw: (key, count) -> (E[x | z] of each draw or None, x).
      density: what has a log p(x) that these x are drawn from; None where nothing has.
      theta: its parameters.
      reason: why there is none.
    """

    name: str
    how: str
    draw: Draw
    density: GenerativeModel | None = None
    theta: Any = None
    reason: str = ""


def encode(key: Key, model: Model, examples: Example) -> dict[str, np.ndarray]:
    """`code`, the mean of q(z | x), of each x (of a flow that of a hundred draws);
    `reconstruction`, log p(x | z = code), in nats; `squared_error`, ||x - E[x | z = code]||^2,
    where p(x | z) knows its mean. Of a model with a z."""

    def one(params, index, example):
        joint, q, x = bind(model.generative, model.inference, params, example)
        return measure_code(jax.random.fold_in(key, index), joint, q, x)

    return map_examples(one, model.params, examples, _BLOCK)


def generators_of(
    key: Key, model: Model, *, kinds: tuple[CodeKind, ...], chain_steps: int
) -> list[Generator]:
    """Every way of a model, in the order in which they are shown.

    An autoencoder's decoder is also shown fed with N(0, I), which its codes need not follow, and
    as p(x, z) with a density fitted to its training codes afterwards (`kinds`).
    """
    kind = model.kind
    if kind == "no latent variable":
        return [_autoregressive(model)]
    found = []
    if kind == "latent variable":
        found.append(
            Generator(
                "prior",
                "z ~ p(z), x ~ p(x | z)",
                _from(model.generative, model.params.generative),
                model.generative,
                model.params.generative,
            )
        )
    if model.corrupt is not None:
        found.append(_chain(model, chain_steps))
    if kind == "point mass":
        found.append(
            Generator(
                "N(0, I)",
                "z ~ N(0, I), x ~ p(x | z): a p(z) that its codes need not follow",
                _from(model.generative, model.params.generative),
                reason="no p(z): the codes need not be N(0, I)",
            )
        )
        found += _ex_post(key, model, kinds)
    return found


def _from(generative: GenerativeModel, theta: Any) -> Draw:
    return lambda key, count: prior_samples(key, generative, Params(theta, ()), count)


def _autoregressive(model: Model) -> Generator:
    how = "x_i ~ p(x_i | x_<i), one after another"
    theta = model.params.generative
    return Generator("in order", how, _from(model.generative, theta), model.generative, theta)


def _chain(model: Model, steps: int) -> Generator:
    assert model.corrupt is not None
    generative, inference, corrupt, params = model[:4]

    def draw(key, count):
        return chain_samples(
            key, generative, inference, corrupt, params, model.train.x, count, num_steps=steps
        )

    return Generator(
        "chain",
        f"from training images, {steps} times: corrupt, encode, x ~ p(x | z)",
        draw,
        reason="where the chain settles is a distribution without a formula",
    )


def _ex_post(key: Key, model: Model, kinds: tuple[CodeKind, ...]) -> list[Generator]:
    if not kinds:
        return []
    # Without a validation split training images are held out, which the encoder has seen.
    present, held_out = len(model.train.x), len(model.validation.x)
    cut = min(_CODES, present if held_out else present * 5 // 6)
    held = model.validation if held_out else rows_of(model.train, slice(cut, cut + _HELD_OUT))
    chosen_on = "validation" if held_out else "other training"
    train_key, held_key, key = jax.random.split(key, 3)
    train = encode(train_key, model, rows_of(model.train, slice(cut)))["code"]
    validation = encode(held_key, model, held)["code"]
    found = []
    for index, kind in enumerate(kinds):
        density = fit_code_density(jax.random.fold_in(key, index), kind, train, validation)
        generative = ex_post_model(model.generative, density.density)
        theta = model.params.generative, density.parameters
        found.append(
            Generator(
                f"ex-post {kind}",
                f"z ~ {kind} fitted to {len(train):,} training codes"
                + ("" if kind == "gaussian" else f", its size or epochs by {chosen_on} codes")
                + ", x ~ p(x | z)",
                _from(generative, theta),
                generative,
                theta,
            )
        )
    return found
