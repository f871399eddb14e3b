"""A trained model with its data, settings and folder."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vaejax.data import Dataset, DataSummary
from vaejax.distributions import Markov, check_support, is_real, state_space_of, structure_of
from vaejax.errors import SettingError, UserError
from vaejax.evaluation.codes import Codes, encoder
from vaejax.evaluation.kind import Kind, by_shapes, kind_of
from vaejax.evaluation.own_examples import prepared
from vaejax.evaluation.samples import Samples, model_samples
from vaejax.evaluation.streams import ENCODE
from vaejax.marginal_likelihood import Estimates, log_marginal_likelihood
from vaejax.marginal_likelihood.log_marginal_likelihood import Estimator
from vaejax.run_directory import RunDirectory
from vaejax.tracking import numbers_of
from vaejax.types import (
    Conditions,
    Distribution,
    Example,
    GenerativeModel,
    Given,
    InferenceNetwork,
    Joint,
    Key,
    Observation,
    Params,
    bind,
    num_rows,
    rows_of,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its model with the parameters that are best by validation, else the last.

    Attributes:
      name: the name of its experiment.
      directory: its folder.
      config: the configuration that was run.
      seed: the seed of its training.
      data: the summary of its data.
      generative, inference: the model p(x, z) and the inference network q(z | x).
      corrupt: for a denoising model (key, x) -> x; else None.
      load_dataset, load_params: read the data, the parameters.
      build: makes the experiment again, in the current precision.
      on_training_data: whether `dataset` is the data of its training, or other data to measure
        on.
    """

    name: str
    directory: RunDirectory
    config: Any
    seed: int
    data: DataSummary
    generative: GenerativeModel
    inference: InferenceNetwork
    corrupt: Callable | None
    load_dataset: Callable[[], Dataset]
    build: Callable[[], Any]
    load_params: Callable[[], tuple[Params, int, str]]
    on_training_data: bool = True

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data on which the run was trained or is measured; read at the first use."""
        return self.load_dataset()

    @functools.cached_property
    def _params(self) -> tuple[Params, int, str]:
        return self.load_params()

    @property
    def params(self) -> Params:
        """The parameters theta of p(x, z) and phi of q(z | x)."""
        return self._params[0]

    @property
    def step(self) -> int:
        """The training step of the parameters."""
        return self._params[1]

    @property
    def chosen(self) -> str:
        """Which parameters these are: `best by validation` or `last`."""
        return self._params[2]

    def joint(self, given: Given = ()) -> Joint:
        """p(x, z | given), for one example."""
        return self.generative.joint(self.params.generative, given)

    def posterior(self, x: Observation, given: Given = ()) -> Distribution:
        """q(z | x, given), for one example.

        Raises:
          ValueError: the shape of x does not fit the data or, for a sequence, `given`.
        """
        joint = self.joint(given)
        shape = self.data.shape
        if self.data.is_sequence:
            shape = (*given.exists.shape, *shape[1:])  # type: ignore[union-attr]
        if jnp.shape(x) != shape:
            raise ValueError(
                f"posterior: expected one x of shape {shape}; got shape {jnp.shape(x)}"
            )
        return self.inference.posterior(self.params.inference, x, joint, given)

    def encode(self, xs: Observation, *, given: Given | None = None) -> Codes:
        """The mean and the standard deviation of q(z | x) for each x, as numpy arrays in the
        structure of z, examples along the first axis.

        For a point mass they are its point and 0. If q has no closed form for them, they are
        estimated from 100 draws, which are the same in every call.

        Args:
          xs: examples along the first axis, with values as in `run.examples`. Where these are
            intensities, whole numbers are divided by `run.data.levels`, as in `vaejax encode`.
          given: the conditions of each example, along the first axis. By default all frames of
            sequences exist; sequences with actions need it.

        Raises:
          ValueError: xs do not have the shape of the data or lie outside the support of p(x | z);
            there are no examples; the model has no latent variable.
        """
        if self.kind == "no latent variable":
            raise ValueError("encode: the model has no latent variable, so there is no q(z | x)")
        examples = self._examples("encode", xs, given)
        return self._encoder(self.stream(ENCODE), self.params, examples)

    @functools.cached_property
    def _encoder(self) -> Callable[[Key, Params, Example], Codes]:
        return encoder(self.generative, self.inference)

    def sample(self, key: Key, n: int, *, given: Given | None = None) -> Samples:
        """Draw z ~ p(z) and x ~ p(x | z), n times; also gives E[x | z]. The key of `vaejax sample
        --seed s` is `run.stream(vaejax.evaluation.streams.SAMPLE, s)`.

        Args:
          given: as in `encode`, of any number of frames.

        Raises:
          ValueError: n is below 1; or the model is an autoencoder, which has no p(z).
        """
        if n < 1:
            raise ValueError(f"sample: n must be at least 1; got {n}")
        if self.kind == "point mass":
            raise ValueError(
                "sample: an autoencoder has no p(z) to draw z from; for a denoising autoencoder "
                "use evaluation.chain_samples"
            )
        time = self.data.shape[0] if given is None and self.data.is_sequence else None
        given = self._given("sample", n, time, given)
        return model_samples(key, self.generative, self.params, n, given)

    def log_likelihood(
        self,
        key: Key,
        xs: Observation,
        *,
        given: Given | None = None,
        estimator: Estimator | Literal["auto"] = "auto",
        batch_size: int | None = None,
    ) -> Estimates:
        """log p(x) for each x, in nats, by `vaejax.log_marginal_likelihood` with this run's p(x, z)
        and q(z | x). Consecutive examples with equal conditions are measured together.

        Args:
          xs, given: as in `encode`.
          estimator, batch_size: as in `vaejax.log_marginal_likelihood`.

        Raises:
          ValueError: as `encode` and `vaejax.log_marginal_likelihood`.
          TypeError: q is a point mass, which has no density.
        """
        examples = self._examples("log_likelihood", xs, given)
        parts = []
        for rows in rows_with_equal_conditions(examples.given, num_rows(examples)):
            conditions = rows_of(examples.given, int(rows[0]))
            joint = self.joint(conditions)
            q = Partial(self._q, self.params.inference, joint, conditions)
            part = log_marginal_likelihood(
                key,
                joint,
                rows_of(examples.x, rows),
                posterior=None if self.kind == "no latent variable" else q,
                estimator=estimator,
                batch_size=batch_size,
                first_index=int(rows[0]),
            )
            parts.append(part)
        return join(parts)

    def _q(self, phi: Any, joint: Joint, given: Given, x: Observation) -> Distribution:
        return self.inference.posterior(phi, x, joint, given)

    def _examples(self, function: str, xs: Observation, given: Given | None) -> Example:
        """xs and their conditions as examples for the model; raises ValueError as `encode`."""
        if isinstance(xs, dict):
            rest = f", and the rest as {self._conditions()}" if self.data.is_sequence else ""
            raise ValueError(
                f"{function}: expected an array of x; got a dict of {', '.join(map(str, xs))}: "
                f"give the array of x alone{rest}"
            )
        x, shape = np.asarray(xs), self.data.shape
        if self.data.is_sequence and x.ndim > 1:
            shape = (x.shape[1], *shape[1:])
        if x.dtype.kind not in "biuf" or x.shape[1:] != shape or len(x) == 0:
            time = ("time", *shape[1:]) if self.data.is_sequence else shape
            wanted = ", ".join(map(str, time))
            raise ValueError(
                f"{function}: expected numbers of shape (n, {wanted}), n at least 1; got "
                f"{x.dtype} of shape {x.shape}"
            )
        if x.dtype.kind in "iu" and self.data.binarization == "none" and not self.data.is_sequence:
            try:
                x = prepared(x, self.data)[0].x
            except UserError as error:
                raise UserError(f"{function}: {error}") from None
        given = self._given(function, len(x), shape[0] if shape else 0, given)
        if isinstance(given, Conditions):  # values beyond a length are ignored
            exists = np.asarray(given.exists)
            x = np.where(exists.reshape(*exists.shape, *(1,) * (x.ndim - 2)), x, x.dtype.type(0))
        dtype: Any = np.asarray(self.data.example().x).dtype
        condition = rows_of(given, 0)
        if isinstance(condition, Conditions):  # one of full length
            condition = condition._replace(exists=jnp.ones(shape[0], bool))
        first = Example(np.zeros(shape, dtype), condition)
        joint, q, _ = bind(self.generative, self.inference, self.params, first)
        check_support(function, joint, structure_of(q), x)
        return Example(x.astype(dtype), given)

    def _given(self, function: str, n: int, time: int | None, given: Given | None) -> Given:
        """The conditions of n examples, `given` or the default, of `time` frames, or of any number
        where that is None; raises ValueError as `encode`."""
        if self.data.sequence is None:
            return () if given is None else given
        size = self.data.sequence.num_actions
        if given is None:
            if size:
                raise ValueError(f"{function}: the model needs actions: give {self._conditions()}")
            assert time is not None
            exists: Any = np.ones((n, time), bool)
            return Conditions(exists)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(given)]
        room: Any = time
        if room is None:
            room = shapes[0][1] if shapes and len(shapes[0]) == 2 else "time"
        wanted = [(n, room), *([(n, room, size)] if size else [])]
        if not isinstance(given, Conditions) or shapes != wanted:
            raise ValueError(
                f"{function}: expected given=vaejax.Conditions with arrays of shapes "
                f"{', '.join(map(str, wanted))}; got {type(given).__name__} with "
                f"{', '.join(map(str, shapes)) or 'none'}"
            )
        rows = np.asarray(given.exists, int)
        wrong = np.flatnonzero(~rows.any(axis=1) | (np.diff(rows, axis=1) > 0).any(axis=1))
        if len(wrong):
            raise ValueError(
                f"{function}: the frames that exist must be the first ones, one at least; sequence "
                f"{wrong[0]} has others: a frame that was not seen exists, and is missing (NaN)"
            )
        return given

    def _conditions(self) -> str:
        """How to give the conditions of n sequences, in words."""
        assert self.data.sequence is not None
        size = self.data.sequence.num_actions
        arrays = "(exists)"
        if size:
            arrays = f"(exists, actions) with shapes (n, time) and (n, time, {size})"
        return (
            f"given=vaejax.Conditions{arrays}; exists is True up to each length: np.arange(time) < "
            "length[:, None]"
        )

    @property
    def evaluation(self) -> dict[str, Any]:
        """The content of evaluation.json."""
        return self.directory.read_json("evaluation.json")

    @functools.cached_property
    def per_example(self) -> dict[str, np.ndarray]:
        """The numbers of each example in the evaluation, (n,) arrays by name; as a table:
        `pandas.DataFrame(run.per_example)`."""
        arrays = self.directory.read_arrays("evaluation.npz")
        n = self.evaluation["summary"]["n"]
        return {name: values for name, values in arrays.items() if values.shape == (n,)}

    @functools.cached_property
    def metrics(self) -> dict[str, np.ndarray]:
        """The training log: an array for each number, NaN where a line does not have it; as a
        table:
        `pandas.DataFrame(run.metrics)`."""
        lines = [numbers_of(line) for line in self.directory.metrics()]
        names = dict.fromkeys(name for line in lines for name in line)
        return {name: np.array([line.get(name, np.nan) for line in lines]) for name in names}

    def examples(self, split: str, count: int | None = None) -> Example:
        """The first `count` examples of a split, by default all, as in every evaluation."""
        examples = self.dataset.examples(split, count)  # type: ignore[arg-type]
        return jax.tree.map(np.asarray, examples)

    @functools.cached_property
    def kind(self) -> Kind:
        """The kind of the model: `latent variable`, `point mass` or `no latent variable`."""
        return kind_of(self.generative, self.inference, self.params, self.data.example())

    def in_float64(self) -> "Run":
        """The same run in double precision, which is switched on for the whole process."""
        jax.config.update("jax_enable_x64", True)
        experiment = self.build()
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self.params)
        chosen = params, self.step, self.chosen
        return dataclasses.replace(
            self,
            generative=experiment.generative,
            inference=experiment.inference,
            load_params=lambda: chosen,
        )

    def stream(self, purpose: int, seed: int | None = None) -> Key:
        """The random key for one purpose, from the run's seed or another."""
        return stream(self.seed if seed is None else seed, purpose)


def join(parts: list[Estimates]) -> Estimates:
    """Join estimates of one model."""
    whole = jax.tree.map(
        lambda *leaves: np.concatenate(leaves),
        *[part._replace(method=(), discrete=()) for part in parts],  # type: ignore[arg-type]
    )
    return whole._replace(method=parts[0].method, discrete=parts[0].discrete)


def rows_with_equal_conditions(given: Given, n: int) -> list[np.ndarray]:
    """The indices of n examples, grouped so that consecutive examples with equal conditions are
    together."""
    leaves = [np.asarray(leaf).reshape(n, -1) for leaf in jax.tree.leaves(given)]
    other = np.zeros(n - 1, bool)
    for leaf in leaves:
        other |= (leaf[1:] != leaf[:-1]).any(axis=1)
    return np.split(np.arange(n), np.flatnonzero(other) + 1)


def check_examples(dataset: Dataset, split: str, count: int | None, section: str = "") -> None:
    """Raise UserError unless a split has at least `count` examples, and at least one.

    Args:
      section: the part of the configuration with the setting `examples`.

    Raises:
      UserError: the split is empty, or has fewer examples.
    """
    present = len(getattr(dataset, split))
    if present == 0:
        raise UserError(f"the {split} split is empty: choose another split")
    if count is not None and count > present:
        raise SettingError(
            f"examples must be at most {present}, the size of the {split} split; got {count}",
            "examples",
            section=section,
        )


def _holds(run: Run, of: Callable[[Joint, Distribution], bool]) -> bool:
    """of(p(x, z), q(z | x)) of one example, by the shapes alone."""

    def look(params, example):
        joint, q, _ = bind(run.generative, run.inference, params, example)
        return of(joint, q)

    return by_shapes(look, run.params, run.data.example())


def has_real_latent(run: Run) -> bool:
    """Whether z has only real numbers, which gradients can move."""
    return _holds(run, lambda joint, q: is_real(joint.prior))


def is_state_space(run: Run) -> bool:
    """Whether p(x, z) is a state-space model, for which there is a particle filter."""
    return _holds(run, lambda joint, q: state_space_of(joint) is not None)


def moves_in_steps(run: Run) -> bool:
    """Whether q(z | x) is a Markov chain, whose steps can move particles."""
    return _holds(run, lambda joint, q: isinstance(q, Markov))


def stream(seed: int, purpose: int) -> Key:
    """The random key for one purpose, from a seed."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), purpose)
