"""Regularized autoencoder (Ghosh et al. 2020) on dynamically binarized MNIST.

`mnist_ae` with penalties and 50 epochs. The penalties are those of digits_rae; nothing is tuned
here.

Command:  vaejax run mnist_rae
Expected: reconstructs nearly as well as mnist_ae
Measured: squared error 11.92 +- 0.05 (data; mnist_ae 11.83); see mnist_rae.json
"""

import dataclasses

from vaejax import experiment
from vaejax.experiment import Data, Experiment, Regularization, mlp_pair
from vaejax.inference import point_mass
from vaejax.objectives import regularized_reconstruction
from vaejax.training import Train


@dataclasses.dataclass(frozen=True)
class Config(experiment.Config):
    objective: Regularization = dataclasses.field(default_factory=Regularization)


config = Config(data=Data("mnist", validation=0), train=Train(epochs=50))


def build(config, data):
    settings = config.objective
    model, q = mlp_pair(config.model, data, point_mass, decoder=settings.decoder())

    def objective(key, q, joint, x, step):
        return regularized_reconstruction(
            key,
            q,
            joint,
            x,
            code_penalty=settings.code_penalty,
            gradient_penalty=settings.gradient_penalty,
        )

    optimizer = settings.optimizer(config.train, data.num_train)
    return Experiment(model, q, objective, optimizer=optimizer)
