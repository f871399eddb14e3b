"""A deep Kalman filter of images of a pendulum under torques (Krishnan et al. 2015): filtering,
forecasts, and what would have been seen under other actions.

A sequence has 40 binary images of 16 x 16 pixels; the torque u_t acts in p(z_t | z_{t-1}, u_t).
Nothing is downloaded: the images are simulated.

Command:  vaejax run dkf_pendulum
          vaejax forecast RUN; vaejax sample RUN --forecast 20 --actions other.npy
Expected: 90 % intervals of forecasts hold for 85 to 95 % of the sequences over the first 20 frames
Measured: see dkf_pendulum.json. 3 seeds, 100 test sequences, 20 frames ahead: 93.5 +- 0.6 % (how
many pixels are 1), 87.2 +- 2.5 % and 86.5 +- 2.4 % (their centre, across and down; one seed has
84.3 and 83.7 %). -log p(x) <= 3.389 +- 0.012 (seeds) +- 0.066 (data) nats/frame (IWAE-100)
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
    data=Data("pendulum"),
    model=DeepStateSpace(
        latent_dim=6,
        transition="mlp",
        transition_hidden=64,
        emission_hidden=(128, 128),
        sees="both",
        recurrent_hidden=64,
    ),
    train=Train(epochs=200, batch_size=25, learning_rate=2e-3),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(warmup_steps=1000, warmup_start=0.1),
    gradient=GradientRules(),
)


def build(config, data):
    return sequence_experiment(config, data)
