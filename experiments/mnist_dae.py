"""Denoising autoencoder on dynamically binarized MNIST: `mnist_ae` whose encoder sees corrupt(x).

Command:  vaejax run mnist_dae
Expected: to do
Measured: see mnist_dae.json
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
