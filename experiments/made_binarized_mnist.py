"""MADE (Germain et al. 2015), one order and one mask, on MNIST binarized once (Larochelle).

Published, exact: 88.40 nats with one hidden layer of 8,000 units; 86.64 with two and 32 masks. Here
one layer of 4,000 units with direct connections, pixels row by row from the top, 10 epochs: the
learning rate is annealed before the model overfits much (at the end, log p(x) is 7 nats higher on
training than on validation images). The parameters are the best on the published validation split.

Command:  vaejax run made_binarized_mnist
Expected: -log p(x) <= 89.5 nats, exact, 10,000 test images; in 30 minutes on two cores
Measured: 88.048 +- 0.232 (data), no Monte Carlo error; see made_binarized_mnist.json.
407 s of CPU time for training, evaluation and pictures, in 32 minutes on a shared machine
"""

import dataclasses

from vaejax import experiment
from vaejax.experiment import Data, Experiment, MaskedMLP, masked_density
from vaejax.inference import no_latent
from vaejax.objectives import elbo, one_member
from vaejax.training import Train


@dataclasses.dataclass(frozen=True)
class Config(experiment.Config):
    model: MaskedMLP = dataclasses.field(default_factory=MaskedMLP)


config = Config(
    data=Data("binarized_mnist"),
    model=MaskedMLP(hidden=(4000,)),
    train=Train(epochs=10, batch_size=200, learning_rate=2e-3, validations=20),
)


def build(config, data):
    model = masked_density(config.model, data)
    members = config.model.orders * config.model.masks

    def objective(key, q, joint, x, step):
        bound = elbo if members == 1 else one_member
        return bound(key, q, joint, x)

    return Experiment(model, no_latent(), objective)
