"""Denoising autoencoder on dynamically binarized MNIST: `mnist_ae` whose encoder sees corrupt(x).

50 epochs; corruption and walkback as in digits_dae, where they were chosen: nothing is tuned here.

Command:  vaejax run mnist_dae
Expected: reconstructs worse than mnist_ae; sampled by its chain
Measured: squared error 16.08 +- 0.05 (data; mnist_ae 11.83); see mnist_dae.json
"""

import dataclasses

from vaejax import experiment
from vaejax.experiment import Corruption, Data, Experiment, mlp_pair
from vaejax.inference import point_mass
from vaejax.objectives import reconstruction
from vaejax.training import Train


@dataclasses.dataclass(frozen=True)
class Config(experiment.Config):
    corruption: Corruption = dataclasses.field(default_factory=Corruption)


config = Config(data=Data("mnist", validation=0), train=Train(epochs=50))


def build(config, dataset):
    model, q = mlp_pair(config.model, dataset, point_mass)

    def objective(key, q, joint, x, step):
        return reconstruction(key, q, joint, x)

    corruption = config.corruption
    return Experiment(model, q, objective, corruption.function(), corruption.walkback)
