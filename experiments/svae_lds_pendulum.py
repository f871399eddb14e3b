"""A structured VAE of images of a pendulum under torques: a linear dynamical system inside, to
compare with the deep Kalman filter of dkf_pendulum on the same data.

Command:  vaejax run svae_lds_pendulum
Expected: a linear system is no pendulum: worse than dkf_pendulum
Measured: see svae_lds_pendulum.json. -log p(x) <= 6.07 +- 0.20 (data) nats/frame (IWAE-100, whose
error is unreliable for 198 of 200 sequences), 40 of the 200 epochs, one seed; equal steps not yet
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
    data=Data("pendulum"),
    model=StructuredStateSpace(
        latent_dim=6, emission_hidden=(128, 128), recognition_hidden=(128, 64)
    ),
    train=Train(epochs=200, batch_size=25, learning_rate=2e-3),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(warmup_steps=1000, warmup_start=0.1),
    gradient=GradientRules(),
    learning=DynamicsLearning(),
)


def build(config, data):
    return structured_sequence_experiment(config, data)
