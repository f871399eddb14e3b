"""MADE (Germain et al. 2015) on scikit-learn's 8x8 digits, dynamically binarized: no z at all.

log p(x) is exact, where digits_vae has a bound; same data, binarization and passes. Several
orders, several masks an order, trained by drawing one of them for each example:
  --model.orders 4     --model.masks 4     (measured: their mixture, exact too)

Command:  vaejax run digits_made
Expected: -log p(x) <= 23 nats, exact, in a minute on two cores; no download
Measured: see digits_made.json
"""

import dataclasses

from vaejax import experiment
from vaejax.experiment import Data, Experiment, MaskedMLP, masked_density
from vaejax.objectives import log_likelihood, one_member
from vaejax.training import Train


@dataclasses.dataclass(frozen=True)
class Config(experiment.Config):
    model: MaskedMLP = dataclasses.field(default_factory=MaskedMLP)


config = Config(data=Data("digits"), model=MaskedMLP(hidden=(200,)), train=Train(epochs=300))


def build(config, dataset):
    model = masked_density(config.model, dataset)
    members = config.model.orders * config.model.masks

    def objective(key, p, x, step):
        return log_likelihood(key, p, x) if members == 1 else one_member(key, p, x)

    return Experiment(model, None, objective)
