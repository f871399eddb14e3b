"""Held-out log p(x) of the pinwheel: a structured VAE, each of its settings changed, a VAE, a VAE
with a mixture as p(z), and 15 Gaussians fitted to x.

Command: python experiments/benchmarks/structured_pinwheel.py   (5 seeds, 2,000 test points)
It writes structured_pinwheel.json next to this file, after each model. The networks, the steps and
the learning rates are the same. The VAEs are trained with and without the KL warm-up of this model.
log p(x) is estimated by importance sampling with K = 1,000 draws of q: a lower bound in
expectation, in nats, for a z of two dimensions.
"""

from functools import partial

import jax
import numpy as np
from common import train_seeds, write
from sklearn.mixture import GaussianMixture

import vaejax
from vaejax.errors import UserError
from vaejax.evaluation import Run
from vaejax.marginal_likelihood import importance_sampling

SEEDS, DRAWS, COMPONENTS = (0, 1, 2, 3, 4), 1000, 15
VAE = (
    "--data.name pinwheel --data.validation 500 --model.likelihood gaussian --model.hidden 40 40 "
    "--model.latent-dim 2 --train.batch-size 50 --train.epochs 4000 --train.learning-rate 3e-3"
)
RISING = "--objective.warmup-steps 20000"
MIXTURE = f"--model.prior mixture --model.prior-components {COMPONENTS}"
MODELS = {
    "structured VAE": ("svae_gmm_pinwheel", ""),
    "VAE": ("mnist_vae", VAE),
    "VAE, KL rising": ("mnist_vae", f"{VAE} {RISING}"),
    "VAE, mixture prior": ("mnist_vae", f"{VAE} {MIXTURE}"),
    "VAE, mixture prior, KL rising": ("mnist_vae", f"{VAE} {MIXTURE} {RISING}"),
    "structured VAE, ordinary gradients": (
        "svae_gmm_pinwheel",
        "--learning.gradient ordinary",
    ),
    "structured VAE, point estimates": ("svae_gmm_pinwheel", "--learning.parameters point"),
    "structured VAE, no warm-up": ("svae_gmm_pinwheel", "--learning.warmup-epochs 0"),
}


def log_p(runs: list[Run]) -> np.ndarray:
    """(seeds, test points)."""
    estimator = partial(importance_sampling, num_samples=DRAWS)
    key = jax.random.key(0)
    estimates = [r.log_likelihood(key, r.examples("test").x, estimator=estimator) for r in runs]
    return np.array([estimate.value for estimate in estimates], np.float64)


def row(values: np.ndarray, first: np.ndarray | None) -> dict:
    """Means and errors in nats; the difference of `first` from these, paired by test point."""
    each = values.mean(axis=1)
    found = {
        "log p(x)": float(each.mean()),
        "std_error_seeds": float(each.std(ddof=1) / len(each) ** 0.5),
        "std_error_data": float(values.mean(axis=0).std(ddof=1) / values.shape[1] ** 0.5),
        "each_seed": each.tolist(),
    }
    if first is not None:
        apart = (first - values).mean(axis=0)
        seeds = (first - values).mean(axis=1)
        found["structured VAE less this"] = {
            "mean": float(apart.mean()),
            "std_error_data": float(apart.std(ddof=1) / len(apart) ** 0.5),
            "std_error_seeds": float(seeds.std(ddof=1) / len(seeds) ** 0.5),
        }
    return found


if __name__ == "__main__":
    data = vaejax.data.load("pinwheel")
    rows: dict[str, dict] = {}
    first = None
    for name, (file, arguments) in MODELS.items():
        try:
            trained = train_seeds(file, arguments, SEEDS)
        except UserError as error:
            rows[name] = {"failed": str(error)}
        else:
            values = log_p(trained.runs)
            first = values if first is None else first
            rows[name] = row(values, None if values is first else first)
            rows[name]["seconds"] = trained.seconds
            priors = [run.params.generative["prior"] for run in trained.runs]
            if isinstance(priors[0], dict) and "logits" in priors[0]:
                weights = [jax.nn.softmax(prior["logits"]) for prior in priors]
                rows[name]["components_above_0.01"] = [int((w > 0.01).sum()) for w in weights]
        if len(rows) == 1:
            mixtures = [
                GaussianMixture(COMPONENTS, n_init=10, random_state=seed).fit(data.split("train"))
                for seed in SEEDS
            ]
            fitted = np.array([m.score_samples(data.split("test")) for m in mixtures])
            rows["mixture of 15 Gaussians, exact"] = row(fitted, first)
        print(name, rows[name], flush=True)
        write("structured_pinwheel", "pinwheel", {"models": rows})
