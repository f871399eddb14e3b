"""`digits_vae` with other encoders: how each changes the gaps.

The decoder is that of digits_vae. The options are a richer family of q, all of whose parameters the
encoder predicts (for a flow, its weights); a larger or smaller encoder; and noise on the encoder's
input, which regularizes it (Shu et al. 2018). Published results (Cremer et al. 2018): a flow in q
lowers the approximation gap, and a larger encoder lowers the amortization gap; a decoder that is
trained with a poor q adapts to it.

Command:  python experiments/benchmarks/encoders.py
          (one: vaejax run digits_encoders --family full, then
           vaejax gaps RUN --families full --num-temperatures 50)
Expected: a richer q lowers the approximation gap, a larger encoder the amortization
gap (to two layers of 100; no further at 400)
Measured: see digits_encoders.json. 3 seeds, 100 test images, diagonal q: approximation gap 0.176 +-
0.001, amortization gap 0.157 +- 0.006 nats; full covariance 0.101 +- 0.006, 0.228 +- 0.009; an
inverse autoregressive flow 0.070 +- 0.003, 0.175 +- 0.015; a hidden layer of 10: 0.133 +- 0.011,
0.283 +- 0.004. -log p(x) is 22.95 to 23.01 for every family
"""

import dataclasses
from typing import Literal

from vaejax import experiment
from vaejax.experiment import Data, Experiment, encoder_noise, mlp_pair
from vaejax.inference import FAMILIES
from vaejax.objectives import elbo
from vaejax.training import Train


@dataclasses.dataclass(frozen=True)
class Config(experiment.Config):
    family: Literal[tuple(FAMILIES)] = "diagonal"
    """Family of the encoder's q."""
    encoder_hidden: tuple[int, ...] = (100, 100)
    """Widths of the encoder's hidden layers; model.hidden are the decoder's."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on what the encoder sees in training."""


config = Config(
    data=Data("digits"),
    model=experiment.MLP(latent_dim=8, hidden=(100, 100)),
    train=Train(epochs=300),
)


def build(config, data):
    family = FAMILIES[config.family]
    model, q = mlp_pair(config.model, data, family, encoder_hidden=config.encoder_hidden)

    def objective(key, q, joint, x, step):
        return elbo(key, q, joint, x)

    return Experiment(model, q, objective, encoder_noise(config.noise))
