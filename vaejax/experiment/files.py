"""Experiment files. Each is Python with a docstring (title, command, expected and measured result),
and either `config` and `build(config, data) -> Experiment`, or a `comparison` of experiments."""

import dataclasses
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vaejax.data import Dataset, DataSummary
from vaejax.errors import UserError
from vaejax.evaluation import Compare
from vaejax.experiment.configuration import Config
from vaejax.experiment.modules import importable, modules_beside
from vaejax.run_directory import difference
from vaejax.training import Train, Trainer, denoising_terms
from vaejax.training.update import Update, gradient_update
from vaejax.types import GenerativeModel, InferenceNetwork


class Experiment(NamedTuple):
    """The result of `build` in an experiment file: p(x, z), q(z | x) and the objective.

    Attributes:
      inference: `inference.no_latent()` for a model without a latent variable.
      objective: (key, q, joint, x, step) -> Terms.
      corrupt: (key, x) -> x. In training q sees corrupt(x), and p(x | z) models the clean x. With
        Gaussian noise it regularizes amortized inference (Shu et al. 2018); with the objective of
        an autoencoder it makes a denoising autoencoder.
      walkback: the largest number of rounds of the model's own chain between x and what q sees
        (`objectives.walkback`).
      terms_of: the function that training maximizes, if it is not the objective at q(z | x); for
        example that of `training.semi_amortized_terms`.
      optimizer: an optax optimizer of `Params`; by default Adam with the settings' values.
      make_update: (loss, optimizer) -> `training.Update`.
    """

    generative: GenerativeModel
    inference: InferenceNetwork
    objective: Callable
    corrupt: Callable | None = None
    walkback: int = 0
    terms_of: Callable | None = None
    optimizer: Any = None
    make_update: Callable[..., Update] = gradient_update

    def trainer(self, dataset: Dataset, settings: Train) -> Trainer:
        """The trainer of this experiment on a data set.

        Raises:
          UserError: there are both `corrupt` and `terms_of`, which would leave one of them out.
        """
        terms_of = self.terms_of
        if self.corrupt is not None and terms_of is not None:
            raise UserError(
                "an experiment trains with noise on what the encoder sees (`corrupt`) or with "
                "terms of its own (`terms_of`, such as refined q), not both: give one of them"
            )
        if self.corrupt is not None:
            terms_of = denoising_terms(*self[:3], self.corrupt, most_walkback=self.walkback)
        return Trainer(
            *self[:3],
            dataset,
            settings,
            terms_of=terms_of,
            optimizer=self.optimizer,
            make_update=self.make_update,
        )


class Member(NamedTuple):
    """One model of a comparison: its label, its experiment, and its command-line arguments."""

    label: str
    experiment: str
    arguments: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """The content of a file that compares experiments; it has no `config` and no `build`."""

    members: tuple[Member, ...]
    settings: Compare = Compare()
    tuning: str = ""  # how the settings of each model were chosen, in words


class ExperimentFile(NamedTuple):
    """A loaded experiment file.

    Attributes:
      config: the file's own settings, which are the defaults of the command line.
      modules: the modules that it imports from `folder`, by their names.
    """

    name: str
    path: Path
    module: types.ModuleType
    config: Config
    folder: Path
    modules: dict[str, Path]

    def copied_as(self) -> dict[str, Path]:
        """The modules by their paths relative to `folder`, as they are copied into a run."""
        return {str(path.relative_to(self.folder)): path for path in self.modules.values()}

    @property
    def comparison(self) -> Comparison | None:
        """The comparison, if the file compares experiments; else None."""
        return getattr(self.module, "comparison", None)

    def build(self, config: Config, data: Dataset | DataSummary) -> Experiment:
        """Call the file's `build` with a configuration and the summary of the data.

        Raises:
          UserError: `build` reads a field that the summary does not have, or it changes the
            configuration, which then would differ from the recorded one.
        """
        summary = data.summary if isinstance(data, Dataset) else data
        given = dataclasses.asdict(config)
        try:
            with importable(self.folder, self.modules):
                experiment = self.module.build(config, summary)
        except AttributeError as error:
            if error.obj is not summary:
                raise
            raise UserError(
                f"{self.path}: build(config, data) gets a DataSummary, which has no {error.name}: "
                "use shape, mean, std, levels, support, num_train or another of its fields"
            ) from error
        changed = difference(given, dataclasses.asdict(config), "before", "after")
        if changed:
            raise UserError(
                f"{self.path}: build(config, data) changed its config ({changed}), which is "
                "recorded as it was before: set the value where `config` is made, or change a copy"
            )
        return experiment


def load(path: Path, name: str | None = None, folder: Path | None = None) -> ExperimentFile:
    """Import an experiment file. Modules that it imports are looked up in `folder`, by default its
    own folder.

    Raises:
      UserError: the file cannot be imported, or is not an experiment.
    """
    name, folder = name or path.stem, folder or path.parent
    spec = importlib.util.spec_from_file_location(f"vaejax_experiment_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        modules = modules_beside(path, folder)
        with importable(folder, modules):
            spec.loader.exec_module(module)
    except UserError as error:  # a setting in the file is a field, not an option
        raise UserError(f"{path}: {error}") from None
    except Exception as error:
        raise UserError(
            f"cannot import the experiment {path}: {type(error).__name__}: {error}"
        ) from error
    for attribute in ("config", "build"):
        if not hasattr(module, attribute) and not hasattr(module, "comparison"):
            raise UserError(
                f"{path} is not an experiment: expected `config` and `build(config, data)`; it has "
                f"no `{attribute}`: add it"
            )
    config = getattr(module, "config", Config())
    return ExperimentFile(name, path, module, config, folder, modules)
