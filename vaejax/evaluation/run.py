"""A trained model, with all that is needed to use and to measure it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import Dataset, DataSummary
from vaejax.errors import SettingError, UserError
from vaejax.evaluation.kind import Kind, kind_of
from vaejax.run_directory import RunDirectory
from vaejax.types import (
    Distribution,
    Example,
    GenerativeModel,
    Given,
    InferenceNetwork,
    Joint,
    Key,
    Observation,
    Params,
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

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data that it was trained on. The model can be used without them."""
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

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json holds."""
        return self.directory.read_json("evaluation.json")

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


def stream(seed: int, purpose: int) -> Key:
    """The key of one purpose of one seed."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), purpose)
