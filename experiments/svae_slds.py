"""A structured VAE of a linear system that switches between three regimes: structured mean field
between the regimes and the states.

Command:  vaejax run svae_slds
Expected: -log p(x) within 0.2 nats/frame of the true parameters' 4.139 (particle filters)
Measured: see svae_slds.json. -ELBO 5.494 +- 0.035 (data), IWAE-100 5.225 +- 0.030 nats/frame, one
seed; k-hat is above 0.7 for all sequences: not reached, 500 steps do not find the regimes. The true
parameters: 4.139 +- 0.022 (100 test sequences, filters of 1,000 particles)
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
    train=Train(epochs=40, batch_size=20, learning_rate=2e-2),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(),
    gradient=GradientRules(),
    learning=DynamicsLearning(),
)


def build(config, data):
    return structured_sequence_experiment(config, data)
