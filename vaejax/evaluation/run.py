"""A trained model, with all that is needed to use and to measure it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vaejax.data import Dataset, DataSummary
from vaejax.distributions import check_support, is_real, structure_of
from vaejax.errors import SettingError, UserError
from vaejax.evaluation.codes import Codes, encoder
from vaejax.evaluation.kind import Kind, by_shapes, kind_of
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
    """A finished run: its model with the parameters best by validation, or else the last.

    Attributes:
      config: the configuration of its experiment.
      params: theta and phi; `step` and `chosen` say which they are.
      directory: its folder.
      data: what the model needs of its data.
      build: makes the experiment anew, in the precision in force.
      on_training_data: whether `dataset` is that of its training, or one to measure on.
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
        """The data that it was trained or is measured on. The model can be used without them."""
        return self.load_dataset()

    @functools.cached_property
    def _params(self) -> tuple[Params, int, str]:
        return self.load_params()

    @property
    def params(self) -> Params:
        return self._params[0]

    @property
    def step(self) -> int:
        return self._params[1]

    @property
    def chosen(self) -> str:
        """`best by validation` or `last`."""
        return self._params[2]

    def joint(self, given: Given = ()) -> Joint:
        """p(x, z | given)."""
        return self.generative.joint(self.params.generative, given)

    def posterior(self, x: Observation, given: Given = ()) -> Distribution:
        """q(z | x, given).

        Raises:
          ValueError: x is of another shape than the data's; a sequence, than what it is given.
        """
        joint = self.joint(given)
        shape = self.data.shape
        if self.data.is_sequence:
            shape = (*given.exists.shape, *shape[1:])  # type: ignore[union-attr]
        if jnp.shape(x) != shape:
            raise ValueError(f"posterior: expected x of shape {shape}; got {jnp.shape(x)}")
        return self.inference.posterior(self.params.inference, x, joint, given)

    def encode(self, xs: Observation, *, given: Given | None = None) -> Codes:
        """The mean and the standard deviation of q(z | x) for each x, in numpy, with the structure
        of z. Those of a point mass are its point and 0. A q that knows them by no formula gives
        those of 100 draws, which are the same in every call.

        Args:
          xs: along the first axis; values as the model has them, such as `run.examples` gives.
          given: what each is conditioned on, along the first axis. Of sequences, by default, all
            frames exist; of those with actions there is no default.

        Raises:
          ValueError: xs of another shape than the data's or outside the support of p(x | z); no
            example; a model without a latent variable.
        """
        if self.kind == "no latent variable":
            raise ValueError("encode: the model has no latent variable, so x has no code")
        examples = self._examples("encode", xs, given)
        return self._encoder(self.stream(ENCODE), self.params, examples)

    @functools.cached_property
    def _encoder(self) -> Callable[[Key, Params, Example], Codes]:
        return encoder(self.generative, self.inference)

    def sample(self, key: Key, n: int, *, given: Given | None = None) -> Samples:
        """n draws z ~ p(z), x ~ p(x | z), with E[x | z]. Those of `vaejax sample --seed s` are of
        the key `run.stream(vaejax.evaluation.streams.SAMPLE, s)`.

        Args:
          given: as in `encode`; of sequences, by default, all frames exist.

        Raises:
          ValueError: n below 1; an autoencoder, which has no p(z).
        """
        if n < 1:
            raise ValueError(f"sample: n must be at least 1; got {n}")
        if self.kind == "point mass":
            raise ValueError(
                "sample: an autoencoder has no p(z) to draw z from; of a denoising one, "
                "evaluation.chain_samples draws"
            )
        time = self.data.shape[0] if self.data.is_sequence else 0
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
        """log p(x) for each x, in nats: what `vaejax.log_marginal_likelihood` gives with this run's
        p(x, z) and q(z | x). Examples in a row that are given the same are measured together.

        Args:
          xs, given: as in `encode`.
          estimator, batch_size: as in `vaejax.log_marginal_likelihood`.

        Raises:
          ValueError: as `encode` and `vaejax.log_marginal_likelihood`.
          TypeError: q is a point mass, which has no density.
        """
        examples = self._examples("log_likelihood", xs, given)
        parts = []
        for rows in rows_alike(examples.given, num_rows(examples)):
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
        return together(parts)

    def _q(self, phi: Any, joint: Joint, given: Given, x: Observation) -> Distribution:
        return self.inference.posterior(phi, x, joint, given)

    def _examples(self, function: str, xs: Observation, given: Given | None) -> Example:
        """xs with what each is given, as the model takes them; raises ValueError as `encode`."""
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
        given = self._given(function, len(x), shape[0] if shape else 0, given)
        if isinstance(given, Conditions):  # what is beyond a length is not looked at
            exists = np.asarray(given.exists)
            x = np.where(exists.reshape(*exists.shape, *(1,) * (x.ndim - 2)), x, x.dtype.type(0))
        dtype: Any = np.asarray(self.data.example().x).dtype
        condition = rows_of(given, 0)
        if isinstance(condition, Conditions):  # as long as any of them
            condition = condition._replace(exists=jnp.ones(shape[0], bool))
        first = Example(np.zeros(shape, dtype), condition)
        joint, q, _ = bind(self.generative, self.inference, self.params, first)
        check_support(function, joint, structure_of(q), x)
        return Example(x.astype(dtype), given)

    def _given(self, function: str, n: int, time: int, given: Given | None) -> Given:
        """What n examples are conditioned on, `given` or the default; raises ValueError as
        `encode`."""
        if self.data.sequence is None:
            return () if given is None else given
        size = self.data.sequence.num_actions
        if given is None:
            if size:
                raise ValueError(
                    f"{function}: the model has actions: give given=vaejax.Conditions(exists "
                    f"(n, time), actions (n, time, {size}))"
                )
            exists: Any = np.ones((n, time), bool)
            return Conditions(exists)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(given)]
        wanted = [(n, time), *([(n, time, size)] if size else [])]
        if not isinstance(given, Conditions) or shapes != wanted:
            raise ValueError(
                f"{function}: expected given=vaejax.Conditions with arrays of shapes "
                f"{', '.join(map(str, wanted))}; got {type(given).__name__} with "
                f"{', '.join(map(str, shapes)) or 'none'}"
            )
        return given

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json holds."""
        return self.directory.read_json("evaluation.json")

    @functools.cached_property
    def per_example(self) -> dict[str, np.ndarray]:
        """The numbers that the evaluation has of each example, (n,) each, by name:
        `pandas.DataFrame(run.per_example)` is their table."""
        arrays = self.directory.read_arrays("evaluation.npz")
        n = self.evaluation["summary"]["n"]
        return {name: values for name, values in arrays.items() if values.shape == (n,)}

    @functools.cached_property
    def metrics(self) -> dict[str, np.ndarray]:
        """The training log, a column a number, NaN where a line has none:
        `pandas.DataFrame(run.metrics)` is its table."""
        lines = [numbers_of(line) for line in self.directory.metrics()]
        names = dict.fromkeys(name for line in lines for name in line)
        return {name: np.array([line.get(name, np.nan) for line in lines]) for name in names}

    def examples(self, split: str, count: int | None = None) -> Example:
        """The first examples of a split, as every evaluation sees them."""
        examples = self.dataset.examples(split, count)  # type: ignore[arg-type]
        return jax.tree.map(np.asarray, examples)

    @functools.cached_property
    def kind(self) -> Kind:
        """What it has: a latent variable, a point mass for q, or no latent variable."""
        return kind_of(self.generative, self.inference, self.params, self.data.example())

    def in_float64(self) -> "Run":
        """The same run with double precision throughout, from here on in this process."""
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
        """The key of one purpose of the run's seed, or of another."""
        return stream(self.seed if seed is None else seed, purpose)


def together(parts: list[Estimates]) -> Estimates:
    """Estimates of one model, end to end."""
    whole = jax.tree.map(
        lambda *leaves: np.concatenate(leaves),
        *[part._replace(method=(), discrete=()) for part in parts],  # type: ignore[arg-type]
    )
    return whole._replace(method=parts[0].method, discrete=parts[0].discrete)


def rows_alike(given: Given, n: int) -> list[np.ndarray]:
    """Of n examples, those in a row that are given the same, together."""
    leaves = [np.asarray(leaf).reshape(n, -1) for leaf in jax.tree.leaves(given)]
    other = np.zeros(n - 1, bool)
    for leaf in leaves:
        other |= (leaf[1:] != leaf[:-1]).any(axis=1)
    return np.split(np.arange(n), np.flatnonzero(other) + 1)


def check_examples(dataset: Dataset, split: str, count: int | None, section: str = "") -> None:
    """Whether a split has so many examples; all, where no count is given.

    Args:
      section: of the configuration, that has the setting `examples`.

    Raises:
      UserError: the split is empty, or has fewer.
    """
    present = len(getattr(dataset, split))
    if present == 0:
        raise UserError(f"the {split} split is empty: choose another one")
    if count is not None and count > present:
        raise SettingError(
            f"examples {count} is more than the {present} of the {split} split: ask for no more",
            "examples",
            section=section,
        )


def has_real_latent(run: Run) -> bool:
    """Whether z is of real numbers alone, which gradients can move."""

    def look(theta, given):
        return is_real(run.generative.joint(theta, given).prior)

    return by_shapes(look, run.params.generative, run.data.example().given)


def stream(seed: int, purpose: int) -> Key:
    """The key of one purpose of one seed."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), purpose)
