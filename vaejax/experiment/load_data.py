"""The data of a configuration."""

from vaejax import data
from vaejax.data import Dataset
from vaejax.errors import SettingError
from vaejax.experiment.configuration import Config
from vaejax.experiment.likelihoods import LIKELIHOODS


def load_data(config: Config) -> Dataset:
    """`data.load` as the configuration says. Where it gives no binarization, intensities stay as
    they are for a likelihood of other than binary values.

    Raises:
      UserError: what `data.load` raises; a SettingError has the section `data`.
    """
    likelihood = LIKELIHOODS[getattr(config.model, "likelihood", "bernoulli")]
    try:
        return data.load(
            config.data.name,
            binarization=config.data.binarization,
            validation=config.data.validation,
            binarize="binary" in likelihood.support,
            missing=config.data.missing,
            standardize=config.data.standardize,
        )
    except SettingError as error:
        raise error.within("data") from None
