"""Loading the data set of a configuration."""

from vaejax import data
from vaejax.data import Dataset
from vaejax.errors import SettingError
from vaejax.experiment.configuration import Config
from vaejax.experiment.likelihoods import LIKELIHOODS


def load_data(config: Config) -> Dataset:
    """Load the data set with the settings of a configuration. If it gives no binarization,
    intensities are binarized only for a likelihood of binary values.

    Raises:
      UserError: as `data.load`; a SettingError has the section `data`.
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
