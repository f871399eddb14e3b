"""Posterior collapse on binarized digits, and methods against it.

p(x | z) is a masked autoencoder (MADE) over the 64 pixels with z as its context. It can model x
almost as well without z, and at first it does: the weights on z are small, q is the prior, and
Adam's epsilon is large, so that small gradients make small steps (nearly SGD, as in He et al.
2019). Training on the plain ELBO then puts little information into z. The options, one at a time:
  aggressive               --update.encoder-steps 5 --update.epochs 10
  semi-amortized, stopped  --objective.refine-steps 5 --objective.no-through
  semi-amortized, through  --objective.refine-steps 5
  free bits                --objective.free-bits 0.2
  warm-up                  --objective.warmup-steps 130
  larger encoder           --encoder-hidden 400 400
  noise                    --noise 0.3       (added to what the encoder sees; Shu et al. 2018)
All are measured in the same way: with the encoder's own q, not refined, and with the parameters
that are best by validation of the option's own objective. "Used" are dimensions whose mean KL is
above 0.1 nats. The usual count of active units (variance of E_q[z] above 0.01) is all 16 for every
option except noise. Noise makes the collapse worse (KL 0.18), and aggressive steps do not undo it.

Command:  python experiments/benchmarks/collapse.py digits   (one: vaejax run digits_collapse ...)
Expected: aggressive above plain in KL and in used dimensions, -log p(x) no higher
Measured: see digits_collapse.json. 3 seeds, plain: KL 2.36 +- 0.11, 7.7 +- 1.2 used, -log p(x)
<= 22.801 +- 0.021 (IWAE-1000); aggressive: 3.55 +- 0.07, 13.0 +- 0.6, 22.772 +- 0.030
"""

import dataclasses

from vaejax import experiment
from vaejax.experiment import (
    Bound,
    Data,
    EncoderFirst,
    Experiment,
    encoder_noise,
    masked_pair,
)
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
    noise: float = 0.0
    """Standard deviation of Gaussian noise on what the encoder sees in training."""


config = Config(
    data=Data("digits"),
    model=experiment.MLP(latent_dim=16, hidden=(200,)),
    train=Train(epochs=40, learning_rate=5e-2, adam_epsilon=0.1, validations=10),
)


def build(config, data):
    model, q = masked_pair(config.model, data, config.encoder_hidden, config.context_scale)
    return Experiment(
        model,
        q,
        config.objective.function(),
        encoder_noise(config.noise),
        terms_of=config.objective.terms_of(model, q),
        make_update=config.update.make_update(config.train, data.num_train),
    )
