"""Posterior collapse on binarized MNIST, and methods against it.

As in digits_collapse, p(x | z) is a masked autoencoder (MADE) over the 784 pixels with z as its
context. Its weights on z are very small at first, so the decoder learns x without z before the
encoder has learned anything (He et al. 2019). Here most units are inactive by the usual count too
(variance of E_q[z] at most 0.01; Burda et al. 2016). Options:
  aggressive               --update.encoder-steps 10 --update.epochs 10
  free bits                --objective.free-bits 0.2
  warm-up                  --objective.warmup-steps 5000
All are measured in the same way, as in digits_collapse, which also has other options.

Command:  python experiments/benchmarks/collapse.py mnist   (one: vaejax run mnist_collapse ...)
Expected: aggressive above plain in KL and in active units, -log p(x) no higher
Measured: see mnist_collapse.json. 3 seeds, plain: 16.0 +- 1.0 active units of 50, KL 9.17 +- 0.16,
-log p(x) <= 94.36 +- 0.06 (IWAE-1000, 1,000 test images); aggressive: 26.3 +- 0.9, 19.21 +- 0.15,
91.93 +- 0.09, in 2.4 times the time
"""

import dataclasses

from vaejax import experiment
from vaejax.experiment import Bound, Data, EncoderFirst, Experiment, masked_pair
from vaejax.training import Train


@dataclasses.dataclass(frozen=True)
class Config(experiment.Config):
    objective: Bound = dataclasses.field(default_factory=Bound)
    update: EncoderFirst = dataclasses.field(default_factory=EncoderFirst)
    encoder_hidden: tuple[int, ...] = (100, 100)
    """Widths of the encoder's hidden layers; model.hidden are the decoder's."""
    context_scale: float = 0.001
    """Standard deviation of the decoder's weights on z at the start: small, so that the decoder
    starts by modelling x without z."""


config = Config(
    data=Data("mnist"),
    model=experiment.MLP(latent_dim=50, hidden=(500,)),
    train=Train(epochs=40, validations=10),
)


def build(config, data):
    model, q = masked_pair(config.model, data, config.encoder_hidden, config.context_scale)
    return Experiment(
        model,
        q,
        config.objective.function(),
        terms_of=config.objective.terms_of(model, q),
        make_update=config.update.make_update(config.train, data.num_train),
    )
