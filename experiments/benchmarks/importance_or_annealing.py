"""How far below log p(x) importance sampling stays, on a trained run's test images.

Wu et al. (2017) found importance sampling with the encoder about a nat looser than AIS on
IWAE-trained decoders, and AIS from the encoder's q(z | x) as good as from p(z) at a tenth of the
temperatures. The same here, as `vaejax log-likelihood` measures it and saves it: a stopped script
resumes. Every estimate is at most log p(x) in expectation, so the larger one is better.

Command:  python experiments/benchmarks/importance_or_annealing.py RUN    (a run of mnist_iwae)
Expected: AIS above importance sampling, by a nat in the published table; AIS from q at 50
          temperatures no lower than AIS from p(z) at 500
Measured: see importance_or_annealing.json and .png. 300 images, mnist_iwae after 50 epochs:
importance sampling 0.53 +- 0.05 nats below AIS from q at 50 temperatures, 294 images flagged; AIS
from p(z) at 500, which costs 5.7 times as much, 0.01 +- 0.03 above it, cannot be told apart; 41
and 33 images flagged
"""

import sys

import common
import matplotlib.pyplot as plt
import numpy as np

import vaejax
from vaejax.evaluation import LogLikelihood
from vaejax.evaluation.log_likelihood import LOG_LIKELIHOOD_MEASUREMENT
from vaejax.evaluation.run import Run
from vaejax.evaluation.runner import carry_out

IMAGES = 300
PROTOCOLS = {
    "importance sampling, K = 10,000": {"estimator": "importance", "num_samples": 10_000},
    "AIS from p(z), 500 temperatures": {
        "estimator": "annealed",
        "num_temperatures": 500,
        "start": "prior",
    },
    "AIS from q(z | x), 50 temperatures": {"estimator": "annealed", "num_temperatures": 50},
}
REFERENCE = "AIS from q(z | x), 50 temperatures"


def estimated(run: Run, settings: dict) -> tuple[dict, dict]:
    """(summary, per-example arrays) of one protocol."""
    settings = {"examples": IMAGES, **settings}
    measured = carry_out(run, LOG_LIKELIHOOD_MEASUREMENT, LogLikelihood(**settings))
    name = settings["estimator"]
    return measured.about["summary"][name], measured.arrays[name]


def main() -> None:
    if len(sys.argv) != 2:
        print(
            "usage: python experiments/benchmarks/importance_or_annealing.py RUN", file=sys.stderr
        )
        sys.exit(2)
    run = vaejax.load(sys.argv[1])
    found = {label: estimated(run, settings) for label, settings in PROTOCOLS.items()}
    reference = found[REFERENCE][1]["value"][:IMAGES].astype(np.float64)
    figure, axes = plt.subplots(figsize=(7, 4))
    table = {}
    for label, (summary, arrays) in found.items():
        value = arrays["value"][:IMAGES].astype(np.float64)
        below = reference - value
        table[label] = {
            "log_p": summary["log_p"],
            "flagged": summary["flagged"],
            "evaluations_an_image": summary["evaluations_per_estimate"],
            "below_reference": round(float(below.mean()), 4),
            "std_error": round(float(below.std(ddof=1) / np.sqrt(IMAGES)), 4),
        }
        print(label, table[label])
        if label != REFERENCE:
            axes.plot(np.sort(below), label=label)
    axes.axhline(0, color="#666666", lw=0.5)
    axes.set_xlabel(f"{IMAGES:,} test images, each curve sorted")
    axes.set_ylabel("nats below the estimate of\n" + REFERENCE)
    axes.set_title(
        f"log p(x) of {run.directory.name.split('/')[0]}: what other estimators miss", fontsize=10
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(common.HERE / "importance_or_annealing.png", dpi=130, bbox_inches="tight")
    content = {"images": IMAGES, "reference": REFERENCE, "estimates": table}
    common.write("importance_or_annealing", "mnist, dynamic, test", content)


if __name__ == "__main__":
    main()
