"""Every sigma of digits_sigma over the same seeds, measured in the same way.

Each is what `vaejax run digits_sigma --sigma S --seeds 0 1 2` trains (the best parameters by
validation of its own objective). On the test split, in nats except the squared error:
  reconstruction   log p(x | z), z ~ q(z | x), a hundred draws an example
  at the mean      log p(x | z) at z = the mean of q(z | x), and the squared error of E[x | z]
  bound            the ELBO; the point mass has none
  map              log p(x, z) at the mean
  aggregate KL     upper bound on KL(q(z) || p(z)), q(z) the mean of q(z | x) over the training
                   examples, which stand for themselves alone as sigma -> 0: it grows like
                   -d log sigma
  codes' KL        KL(N(m, C) || p(z)), m and C the mean and covariance of a draw of q(z): the
                   departure that two moments show, whatever sigma
Differences between neighbours are paired by seed. The runs go to runs/, and are not trained again.

Command:  python experiments/benchmarks/sigma_sweep.py
Measured: see ../digits_sigma.json and ../digits_sigma.png
"""

import itertools
import json

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from common import HERE, mean_and_error, train_seeds

from vaejax import data, experiment
from vaejax.evaluation import Run, latent_use
from vaejax.evaluation.streams import EVALUATE, LATENT_USE
from vaejax.sharding import map_examples
from vaejax.types import bind

FILE = HERE.parent / "digits_sigma.py"
RESULT = FILE.with_suffix(".json")
SEEDS = (0, 1, 2)
SIGMAS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0)
DRAWS = 100


def measure(run: Run, sigma: float) -> dict[str, float]:
    """Of one trained seed."""
    key = run.stream(EVALUATE)

    def one(params, index, example):
        joint, q, x = bind(run.generative, run.inference, params, example)
        z = q.sample(seed=jax.random.fold_in(key, index), sample_shape=(DRAWS,))
        at_mean = joint.likelihood(q.mean())
        row = {
            "reconstruction": jnp.mean(jax.vmap(lambda z: joint.likelihood(z).log_prob(x))(z)),
            "reconstruction_at_mean": at_mean.log_prob(x),
            "squared_error": jnp.sum((x - at_mean.mean()) ** 2),
            "map": joint.log_prob(x, q.mean()),
        }
        if sigma > 0:
            row["bound"] = row["reconstruction"] - q.kl_divergence(joint.prior)
        return row

    test = map_examples(one, run.params, run.examples("test"))
    codes = run.encode(run.examples("train").x).mean.astype(np.float64)
    found = {name: float(values.mean(dtype=np.float64)) for name, values in test.items()}
    if sigma > 0:
        measured = latent_use(run.generative, run.inference)
        use = measured(run.stream(LATENT_USE), run.params, run.examples("train"))
        found["aggregate_kl"] = float(use["aggregate_kl_upper"].mean(dtype=np.float64))
    covariance = np.cov(codes.T) + sigma**2 * np.eye(codes.shape[1])
    _, log_det = np.linalg.slogdet(covariance)
    square = np.trace(covariance) + np.sum(codes.mean(axis=0) ** 2)
    found["codes_kl"] = float(0.5 * (square - codes.shape[1] - log_det))
    found["codes_std"] = float(np.sqrt(np.mean(codes.var(axis=0))))
    return found


def sweep() -> dict[str, dict]:
    rows = {}
    for sigma in SIGMAS:
        trained = train_seeds(FILE.stem, f"--sigma {sigma}", SEEDS)
        by_seed: dict[str, list] = {}
        for run in trained.runs:
            for name, value in measure(run, sigma).items():
                by_seed.setdefault(name, []).append(value)
        by_seed["best_step"] = [run.step for run in trained.runs]
        summary = {name: mean_and_error(values) for name, values in by_seed.items()}
        rows[str(sigma)] = {
            "mean_and_std_error_over_seeds": summary,
            "by_seed": by_seed,
            "training_seconds": trained.seconds,
        }
        print(sigma, summary, f"{trained.seconds:.0f} s", flush=True)
    return rows


def paired(rows, low, high, name) -> list[float]:
    """Mean of `low`'s minus `high`'s over the seeds, and its error."""
    return mean_and_error(
        np.subtract(*(rows[str(sigma)]["by_seed"][name] for sigma in (low, high)))
    )


def comparisons(rows) -> dict:
    """From each sigma to the next smaller one, and from the smallest to the point mass."""
    steps = {
        f"{high} -> {low}": {
            name: paired(rows, low, high, name)
            for name in ("reconstruction", "reconstruction_at_mean", "squared_error", "codes_kl")
        }
        for high, low in itertools.pairwise(SIGMAS)
    }
    gains = [step["reconstruction"] for step in steps.values()]
    return {
        "differences_paired_by_seed": steps,
        "reconstruction_never_falls_by_more_than_two_errors": all(g > -2 * e for g, e in gains),
        "steps_that_fall": [name for name in steps if steps[name]["reconstruction"][0] < 0],
    }


def draw(rows) -> None:
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.6))
    sigmas = np.array(SIGMAS[:-1])
    titles = {
        "reconstruction": "log p(x | z), z ~ q(z | x), test",
        "bound": "ELBO, test",
        "codes_kl": "KL(Gaussian of q(z)'s moments || p(z)), train",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        values = np.array([rows[str(s)]["mean_and_std_error_over_seeds"][name] for s in sigmas])
        axes.errorbar(sigmas, values[:, 0], values[:, 1], fmt="o-", ms=4, capsize=2)
        axes.set_xscale("log")
        axes.invert_xaxis()
        axes.set_xlabel("sigma (the smaller, the more an autoencoder)")
        axes.set_ylabel("nats")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        end = rows["0.0"]["mean_and_std_error_over_seeds"]
        if name in end:
            axes.axhline(end[name][0], color="#d9822b", label="point mass")
            axes.axhspan(*(end[name][0] + s * end[name][1] for s in (-1, 1)), color="#f3d9b8")
            axes.legend(fontsize=8)
    figure.suptitle(f"digits_sigma: mean and standard error over {len(SEEDS)} seeds", fontsize=10)
    figure.tight_layout()
    figure.savefig(FILE.with_suffix(".png"), dpi=130)


def main() -> None:
    file = experiment.load(FILE)
    dataset = data.load(file.config.data.name)
    rows = sweep()
    content = {
        "command": "python experiments/benchmarks/sigma_sweep.py",
        "seeds": SEEDS,
        "split": "test",
        "n": len(dataset.test),
        "draws_of_q": DRAWS,
        "parameters": "best by validation of its own objective",
        "protocol": dataset.protocol(),
        "config": experiment.to_json(file.config),
        **comparisons(rows),
        "sigmas": rows,
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n")
    draw(rows)


if __name__ == "__main__":
    main()
