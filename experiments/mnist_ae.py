"""Autoencoder on dynamically binarized MNIST: `mnist_vae` with a point mass for q, without a prior.

Command:  vaejax run mnist_ae
Expected: better reconstructions than mnist_vae; no p(z), so nothing to sample and no log p(x)
Measured: squared error 11.83 +- 0.05 after 50 epochs (mnist_vae 17.71); see mnist_ae.json
"""

from vaejax.experiment import Config, Data, Experiment, mlp_pair
from vaejax.inference import point_mass
from vaejax.objectives import reconstruction

config = Config(data=Data("mnist", validation=0))


def build(config, data):
    model, q = mlp_pair(config.model, data, point_mass)

    def objective(key, q, joint, x, step):
        return reconstruction(key, q, joint, x)

    return Experiment(model, q, objective)
