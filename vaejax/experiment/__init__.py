"""Configurations, the models that they describe, experiment files, and loading of runs."""

from vaejax.experiment.configuration import (
    MLP,
    Bound,
    Config,
    Corruption,
    Data,
    EncoderFirst,
    MaskedMLP,
    Regularization,
    decoder_weights,
    load_data,
)
from vaejax.experiment.files import (
    Comparison,
    Experiment,
    ExperimentFile,
    Member,
    load,
)
from vaejax.experiment.identity import from_json, identity, to_json
from vaejax.experiment.likelihoods import LIKELIHOODS, LikelihoodKind
from vaejax.experiment.presets import (
    encoder_noise,
    masked_density,
    masked_pair,
    mlp_pair,
)
from vaejax.experiment.sequences import (
    DeepStateSpace,
    GradientRules,
    SequenceBound,
    SequenceConfig,
    sequence_experiment,
    sequence_pair,
)
from vaejax.experiment_folders import find, folders

__all__ = [
    "LIKELIHOODS",
    "MLP",
    "Bound",
    "Comparison",
    "Config",
    "Corruption",
    "Data",
    "DeepStateSpace",
    "EncoderFirst",
    "Experiment",
    "ExperimentFile",
    "GradientRules",
    "LikelihoodKind",
    "MaskedMLP",
    "Member",
    "Regularization",
    "SequenceBound",
    "SequenceConfig",
    "decoder_weights",
    "encoder_noise",
    "find",
    "folders",
    "from_json",
    "identity",
    "load",
    "load_data",
    "masked_density",
    "masked_pair",
    "mlp_pair",
    "sequence_experiment",
    "sequence_pair",
    "to_json",
]
