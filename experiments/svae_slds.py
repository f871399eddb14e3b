"""A structured VAE of a linear system that switches between three regimes: structured mean field
between the regimes and the states.

Command:  vaejax run svae_slds
Expected: nothing yet; a step takes seconds on two cores: mean field sweeps to its fixed point
Measured: see svae_slds.json. Not to the end
"""

from vaejax.evaluation import Evaluate
from vaejax.experiment import Data, GradientRules, SequenceBound
from vaejax.experiment.structured_sequences import (
    DynamicsLearning,
    StructuredSequenceConfig,
    StructuredStateSpace,
    structured_sequence_experiment,
)
from vaejax.training import Train

config = StructuredSequenceConfig(
    data=Data("switching"),
    model=StructuredStateSpace(
        latent_dim=2,
        prior="switching",
        num_states=3,
        emission_hidden=(),
        recognition_hidden=(),
        likelihood="gaussian",
        constant_scale=True,
    ),
    train=Train(epochs=60, batch_size=20, learning_rate=5e-3),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(),
    gradient=GradientRules(),
    learning=DynamicsLearning(),
)


def build(config, data):
    return structured_sequence_experiment(config, data)
