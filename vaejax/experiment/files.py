"""An experiment file: Python with a docstring (what, command, expected, measured), a `config` and
`build(config, data) -> Experiment`; or with a `comparison` of other experiments."""

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
    """What an experiment file builds: p(x, z), q(z | x), and what is maximized.

    Attributes:
      inference: `inference.no_latent()` for a model without a latent variable.
      objective: (key, q, joint, x, step) -> Terms.
      corrupt: (key, x) -> x, what q alone sees, in training alone: q(z | corrupt(x)) against the
        clean x. With Gaussian noise it regularizes amortized inference (Shu et al. 2018); with the
        objective of an autoencoder it makes a denoising one.
      walkback: the most further rounds of the model's own chain that lead from x to what q sees
        (`objectives.walkback`).
      terms_of: what training maximizes where it is not the objective at q(z | x):
        `training.semi_amortized_terms`.
      optimizer: an optax optimizer of `Params`; that of the settings unless given.
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
        terms_of = self.terms_of
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
    """One model of a comparison: what it is called there, its experiment file, its arguments."""

    label: str
    experiment: str
    arguments: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """What a file that compares experiments has in place of `config` and `build`."""

    members: tuple[Member, ...]
    settings: Compare = Compare()
    tuning: str = ""  # what was chosen for each, and on what


class ExperimentFile(NamedTuple):
    """A loaded experiment file.

    Attributes:
      config: what it starts from.
      modules: those that it imports from `folder`, by their names.
    """

    name: str
    path: Path
    module: types.ModuleType
    config: Config
    folder: Path
    modules: dict[str, Path]

    def copied_as(self) -> dict[str, Path]:
        """The modules by their paths below `folder`, as a run keeps them."""
        return {str(path.relative_to(self.folder)): path for path in self.modules.values()}

    @property
    def comparison(self) -> Comparison | None:
        """Of a file that compares others."""
        return getattr(self.module, "comparison", None)

    def build(self, config: Config, data: Dataset | DataSummary) -> Experiment:
        """What the file builds from a configuration and the summary of the data.

        Raises:
          UserError: the file asks the summary for what it does not have, or changes the
            configuration, which would not be the one that is recorded.
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
                "use its shape, mean, std, levels, support, num_train or another of its fields"
            ) from error
        changed = difference(given, dataclasses.asdict(config), "given", "after it")
        if changed:
            raise UserError(
                f"{self.path}: build(config, data) changed its config ({changed}): it is recorded "
                "as it is given; set it where `config` is made, or change a copy"
            )
        return experiment


def load(path: Path, name: str | None = None, folder: Path | None = None) -> ExperimentFile:
    """Import an experiment file; what it imports from beside it is in `folder`, by default its
    own."""
    name, folder = name or path.stem, folder or path.parent
    spec = importlib.util.spec_from_file_location(f"vaejax_experiment_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        modules = modules_beside(path, folder)
        with importable(folder, modules):
            spec.loader.exec_module(module)
    except UserError as error:  # a setting that the file itself gives is a field, no option
        raise UserError(f"{path}: {error}") from None
    except Exception as error:
        raise UserError(
            f"cannot import the experiment {path}: {type(error).__name__}: {error}"
        ) from error
    for attribute in ("config", "build"):
        if not hasattr(module, attribute) and not hasattr(module, "comparison"):
            raise UserError(
                f"{path} is no experiment: expected `config` and `build(config, data)`, "
                f"found no `{attribute}`"
            )
    config = getattr(module, "config", Config())
    return ExperimentFile(name, path, module, config, folder, modules)
