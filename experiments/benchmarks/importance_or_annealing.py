"""How far below log p(x) importance sampling stays, on a trained run's test images.

Wu et al. (2017) found importance sampling with the encoder about a nat looser than AIS on
IWAE-trained decoders, and AIS from the encoder's q(z | x) as good as from p(z) at a tenth of the
temperatures. The same here, through `vaejax log-likelihood`, which saves its results: a stopped
script resumes. Every estimate is in expectation at most log p(x), so the larger is the better one.

Command:  python experiments/benchmarks/importance_or_annealing.py RUN    (a run of mnist_iwae)
Expected: AIS above importance sampling, by a nat in the published table; AIS from q at 50
          temperatures no lower than AIS from p(z) at 500
Measured: see importance_or_annealing.json and .png
"""

import sys
from pathlib import Path

import common
import matplotlib.pyplot as plt
import numpy as np

from vaejax.cli import main as vaejax
from vaejax.evaluation import LogLikelihood
from vaejax.evaluation.log_likelihood import identity
from vaejax.run_directory import RunDirectory

IMAGES = 1000
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


def estimated(run: RunDirectory, settings: dict) -> tuple[dict, dict]:
    """(summary file, per-example arrays) of one protocol."""
    options = [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]
    code = vaejax(["log-likelihood", str(run.path), "--examples", str(IMAGES), *options])
    if code != 0:
        sys.exit(code)
    chosen = LogLikelihood(**settings)
    for path in run.file("log_likelihood").glob(f"{settings['estimator']}-*.json"):
        about = run.read_json(f"log_likelihood/{path.name}")
        if path.stem == identity(chosen.settings_of(about["name"]), about["name"], about["step"]):
            return about, run.read_arrays(f"log_likelihood/{path.stem}.npz")
    raise FileNotFoundError(settings)


def main() -> None:
    if len(sys.argv) != 2:
        print(
            "usage: python experiments/benchmarks/importance_or_annealing.py RUN", file=sys.stderr
        )
        sys.exit(2)
    run = RunDirectory(Path(sys.argv[1]))
    found = {label: estimated(run, settings) for label, settings in PROTOCOLS.items()}
    reference = found[REFERENCE][1]["value"][:IMAGES].astype(np.float64)
    figure, axes = plt.subplots(figsize=(7, 4))
    table = {}
    for label, (about, arrays) in found.items():
        value = arrays["value"][:IMAGES].astype(np.float64)
        below = reference - value
        table[label] = {
            "log_p": about["summary"]["log_p"],
            "flagged": about["summary"]["flagged"],
            "evaluations_an_image": about["evaluations_per_estimate"],
            "below_reference": round(float(below.mean()), 4),
            "std_error": round(float(below.std(ddof=1) / np.sqrt(IMAGES)), 4),
        }
        print(label, table[label])
        if label != REFERENCE:
            axes.plot(np.sort(below), label=label)
    axes.axhline(0, color="#666666", lw=0.5)
    axes.set_xlabel(f"{IMAGES:,} test images, each curve sorted")
    axes.set_ylabel("nats below the estimate of\n" + REFERENCE)
    axes.set_title(f"log p(x) of {run.name.split('/')[0]}: what other estimators miss", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(common.HERE / "importance_or_annealing.png", dpi=130, bbox_inches="tight")
    content = {"images": IMAGES, "reference": REFERENCE, "estimates": table}
    common.write("importance_or_annealing", "mnist, dynamic, test", content)


if __name__ == "__main__":
    main()
