"""A structured VAE of points on five curved arms (Johnson et al. 2016): p(z) is a mixture of 15
Gaussians, p(x | z) a network. At first the networks are trained with p(z) = N(0, I), while the
weight of the KL rises; then the mixture is fitted to the codes, and learned by natural gradients.

Command:  vaejax run svae_gmm_pinwheel; all: python experiments/benchmarks/structured_pinwheel.py
Expected: log p(x) of test points above that of 15 Gaussians fitted to x, and that of a VAE; no
worse than that of a VAE with a mixture as p(z)
Measured: see svae_gmm_pinwheel.json, of 5 seeds benchmarks/structured_pinwheel.json. log p(x),
2,000 test points, lower bounds by K = 1,000: -5.236 +- 0.007 (seeds). Minus that of 15
Gaussians, 0.077 +- 0.040 (data) +- 0.021 (seeds); of a VAE, 0.605 +- 0.044 +- 0.224;
with a rising KL, 0.371 +- 0.053 +- 0.028; of a VAE with a mixture and a rising KL,
-0.018 +- 0.030 +- 0.017: no difference. Minus ordinary gradients, 0.003 +- 0.009 +- 0.009; minus
point estimates, -0.013 +- 0.017 +- 0.025: no difference. 12 to 15 Gaussians keep a weight above
0.01. Without warm-up, -6.854 in all five seeds: that of one Gaussian. Gaps of 20 test
points: log p(x) minus the bound 0.013 +- 0.002 nats, of the best diagonal q 0.010 +- 0.003
"""

from vaejax.evaluation import Evaluate
from vaejax.experiment import Data
from vaejax.experiment.structured import (
    MixtureConfig,
    MixtureLearning,
    StructuredMixture,
    mixture_experiment,
)
from vaejax.training import Train

config = MixtureConfig(
    data=Data("pinwheel"),
    model=StructuredMixture(),
    train=Train(epochs=4000, batch_size=50, learning_rate=3e-3),
    evaluate=Evaluate(num_samples=1000),
    learning=MixtureLearning(warmup_epochs=2000),
)


def build(config, data):
    return mixture_experiment(config, data)
