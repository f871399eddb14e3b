"""The ways in which a trained model generates x, and the p(x) of each way, if it has one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax.evaluation.chain import chain_samples
from vaejax.evaluation.evaluate import measure_code
from vaejax.evaluation.ex_post import Kind as CodeKind
from vaejax.evaluation.ex_post import ex_post_model, fit_code_density
from vaejax.evaluation.run import Run
from vaejax.evaluation.samples import model_samples
from vaejax.sharding import map_examples
from vaejax.types import Example, GenerativeModel, Key, Params, bind, rows_of

Draw = Callable[[Key, int], tuple[np.ndarray | None, np.ndarray]]
EX_POST: tuple[CodeKind, ...] = ("gaussian", "mixture", "flow")
_CODES = 20_000  # most training codes to which a density is fitted
_HELD_OUT = 2_000
_BLOCK = 500


class Generator(NamedTuple):
    """One way to draw x.

    Attributes:
      how: how x is drawn, in words.
      draw: (key, count) -> (E[x | z] of each draw or None, x).
      density: the model with a log p(x) from which these x are drawn; None if there is none.
      theta: the parameters of `density`.
      reason: why there is no `density`.
    """

    name: str
    how: str
    draw: Draw
    density: GenerativeModel | None = None
    theta: Any = None
    reason: str = ""


def encode(key: Key, run: Run, examples: Example) -> dict[str, np.ndarray]:
    """Encode each x with a model that has a z: `code`, the mean of q(z | x) (for a flow, of 100
    draws); `reconstruction`, log p(x | z = code), in nats; and `squared_error`, ||x - E[x | z =
    code]||^2, if p(x | z) knows its mean."""

    def one(shared, index, example):
        key, params = shared
        joint, q, x = bind(run.generative, run.inference, params, example)
        return measure_code(jax.random.fold_in(key, index), joint, q, x)

    return map_examples(one, (key, run.params), examples, _BLOCK)


def generators_of(
    key: Key, run: Run, *, kinds: tuple[CodeKind, ...], chain_steps: int
) -> list[Generator]:
    """Every way in which a model generates x, in the order in which they are shown.

    An autoencoder's decoder also gets z ~ N(0, I), which its codes need not follow. Every decoder
    also gets densities fitted to its training codes (`kinds`). They give an autoencoder a p(x, z);
    for a model that has one already, they are the control.
    """
    kind = run.kind
    theta = run.params.generative
    if kind == "no latent variable":
        how = "x_i ~ p(x_i | x_<i), one after another"
        return [_of_model("in order", how, run.generative, theta)]
    found = []
    if kind == "latent variable":
        found.append(_of_model("prior", "z ~ p(z), x ~ p(x | z)", run.generative, theta))
    if run.corrupt is not None:
        found.append(_chain(run, chain_steps))
    if kind == "point mass":
        found.append(
            Generator(
                "N(0, I)",
                "z ~ N(0, I), which the codes need not follow; x ~ p(x | z)",
                _from(run.generative, theta),
                reason="no p(z): the codes need not be N(0, I)",
            )
        )
    return found + _ex_post(key, run, kinds)


def _from(generative: GenerativeModel, theta: Any) -> Draw:
    return lambda key, count: model_samples(key, generative, Params(theta, ()), count)[1:]


def _of_model(name: str, how: str, generative: GenerativeModel, theta: Any) -> Generator:
    return Generator(name, how, _from(generative, theta), generative, theta)


def _chain(run: Run, steps: int) -> Generator:
    return Generator(
        "chain",
        f"from training examples, {steps} times: corrupt, encode, x ~ p(x | z)",
        lambda key, count: chain_samples(key, run, count, num_steps=steps),
        reason="the distribution to which the chain converges has no formula",
    )


def _drawn_codes(key: Key, run: Run, examples: Example) -> np.ndarray:
    """One draw z ~ q(z | x) for each x; for an autoencoder, its code."""

    def one(shared, index, example):
        key, params = shared
        _, q, _ = bind(run.generative, run.inference, params, example)
        return q.sample(seed=jax.random.fold_in(key, index))

    return map_examples(one, (key, run.params), examples, _BLOCK)


def _ex_post(key: Key, run: Run, kinds: tuple[CodeKind, ...]) -> list[Generator]:
    """Generators with the decoder and a p(z) fitted to draws z_n ~ q(z | x_n), one for each
    training example.

    As in Dai and Wipf (2019), z_n is a draw of q and not its mean: the means of q are less spread
    than q(z) = mean_n q(z | x_n). The mean of the ELBO over examples is

      mean_n (E_q[log p(x_n | z)] - KL(q(z | x_n) || q(z))) - KL(q(z) || p(z))

    (Hoffman and Johnson 2016), and maximum likelihood on draws of q(z) minimizes the last term.
    """
    if not kinds:
        return []
    # Without a validation split, training examples are held out; the encoder has seen them.
    present, held_out = len(run.dataset.train), len(run.dataset.validation)
    cut = min(_CODES, present if held_out else present * 5 // 6)
    examples = run.examples("train", cut + _HELD_OUT)
    held = run.examples("validation") if held_out else rows_of(examples, slice(cut, None))
    chosen_on = "validation" if held_out else "other training"
    train_key, held_key, key = jax.random.split(key, 3)
    train = _drawn_codes(train_key, run, rows_of(examples, slice(cut)))
    validation = _drawn_codes(held_key, run, held)
    source = "" if run.kind == "point mass" else ", drawn from q(z | x)"
    found = []
    for index, kind in enumerate(kinds):
        density = fit_code_density(jax.random.fold_in(key, index), kind, train, validation)
        generative = ex_post_model(run.generative, density.density)
        theta = run.params.generative, density.parameters
        chosen = (
            "" if kind == "gaussian" else f" (components or epochs chosen on {chosen_on} codes)"
        )
        how = f"z ~ {kind} fitted to {len(train):,} training codes{source}{chosen}, x ~ p(x | z)"
        found.append(_of_model(f"ex-post {kind}", how, generative, theta))
    return found
