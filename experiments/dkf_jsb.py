"""The deep Markov model on JSB chorales (Krishnan et al. 2017): 229 pieces of 88 keys.

A gated transition, an inference network that reads backwards in time (DKS), a KL weight annealed
from 0.2 to 1, an L2 penalty, the best parameters by validation. Smaller than the published model (z
of 32, not 100; a GRU of 100, not an LSTM of 600); 24,000 updates, half an hour on two shared cores.
Nothing is tuned for the published size: there, after 11,528 updates at 8e-4 on an H100 (63 a
second), the same penalty underfits, with -ELBO 8.190 and IWAE-100 8.048. Other music: --data.name
nottingham, piano_midi, musedata.

Command:  vaejax run dkf_jsb --seeds 0 1 2
Expected: -ELBO at most 7.0, -log p(x) at most 6.6 nats/frame by importance sampling or particle
filters; published, with z of 100, bound and importance sampling: DKS 7.03, 6.61; DMM 6.93, 6.39
Measured: see dkf_jsb.json. 3 seeds, 77 test pieces, total nats / total frames: -ELBO 6.985 +-
0.015 (seeds) +- 0.094 (data), IWAE-100 6.749 +- 0.015; by particle filters, 10 of 1,000 particles
guided by q, 6.507 +- 0.016 (an upper bound in expectation; 57 of 77 pieces flagged one by one for a
standard error above half a nat). Other music, short trainings, see dkf_music.json: -ELBO 3.797 +-
0.072 (Nottingham, 4,000 updates), 8.492 +- 0.263 (Piano-midi, 600), 8.070 +- 0.367 (MuseData,
2,000)
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
    data=Data("jsb"),
    model=DeepStateSpace(
        latent_dim=32,
        transition="gated",
        transition_hidden=32,
        emission_hidden=(100,),
        recurrent_hidden=100,
    ),
    train=Train(steps=24_000, batch_size=20, learning_rate=3e-3, validations=120),
    evaluate=Evaluate(num_samples=100),
    objective=SequenceBound(warmup_steps=8_000, warmup_start=0.2),
    gradient=GradientRules(l2=0.1),
)


def build(config, data):
    return sequence_experiment(config, data)
