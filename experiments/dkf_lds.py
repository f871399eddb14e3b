"""A linear state-space model of a synthetic linear dynamical system: nothing to download, and
log p(x) is exact, by the Kalman filter.

z_t has 2 dimensions; it rotates and decays. x_t has 5; it is a noisy linear map of z_t. Sequences
have 20 to 50 frames. The model has the same form as the data. The inference network is recurrent
and reads backwards in time (DKS).

Command:  vaejax run dkf_lds
Expected: -log p(x), exact, within 0.05 nats/frame of the true parameters' 4.321, and the bound
within 0.1 of it; in about a minute on two cores
Measured: see dkf_lds.json. Exact 4.359, -ELBO 4.423, IWAE-100 4.370 nats/frame (errors 0.019 over
data, 0.001 Monte Carlo), one seed; 47 s with compilation
"""

from vaejax.evaluation import Evaluate
from vaejax.experiment import (
    Data,
    DeepStateSpace,
    GradientRules,
    SequenceBound,
    SequenceConfig,
    sequence_experiment,
)
from vaejax.training import Train

config = SequenceConfig(
    data=Data("lds"),
    model=DeepStateSpace(
        latent_dim=2,
        transition="linear",
        emission_hidden=(),
        likelihood="gaussian",
        constant_scale=True,
        recurrent_hidden=32,
    ),
    train=Train(epochs=150, batch_size=20, learning_rate=5e-3),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(),
    gradient=GradientRules(),
)


def build(config, data):
    return sequence_experiment(config, data)
