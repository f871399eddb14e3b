"""A structured VAE of a synthetic linear dynamical system: p(z) is a linear system, and the
emission and the recognition network are linear. So q(z | x) can be p(z | x), and the bound
log p(x).

Command:  vaejax run svae_lds
Expected: the bound within 0.001 of log p(x), relative; log p(x) within 1 % of the true parameters'
Measured: see svae_lds.json. Exact 4.322, -ELBO 4.322 nats/frame (149.901 and 149.919 +- 0.001 nats
a sequence), +- 0.019 over data, one seed; the true parameters have 4.321. Against the best q that
is factorized over all states, this q is worth 8.82 +- 0.86 (data) nats a sequence (8 of them)
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
    data=Data("lds"),
    model=StructuredStateSpace(
        latent_dim=2,
        emission_hidden=(),
        recognition_hidden=(),
        likelihood="gaussian",
        constant_scale=True,
    ),
    train=Train(epochs=150, batch_size=20, learning_rate=5e-3),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(),
    gradient=GradientRules(),
    learning=DynamicsLearning(),
)


def build(config, data):
    return structured_sequence_experiment(config, data)
