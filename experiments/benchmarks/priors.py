"""log p(x) with several p(z): N(0, I), a mixture, a VampPrior, a coupling flow; the same networks.

Command: python experiments/benchmarks/priors.py digits   (3 seeds, all test images)
         python experiments/benchmarks/priors.py mnist    (static, 1 seed, 1,000 test images)
It writes priors_<data>.json next to this file; runs go to runs/ and are resumed there.
"""

import json
import sys
from pathlib import Path

import numpy as np

from vaejax.cli import main

PRIORS = ("normal", "mixture", "vamp", "flow")
RUNS = {
    "digits": ["digits_vae", "--seeds", "0", "1", "2"],
    "mnist": [
        *("mnist_vae", "--data.name", "binarized_mnist", "--data.binarization", "static"),
        *("--data.validation", "10000", "--train.epochs", "50", "--evaluate.examples", "1000"),
    ],
}


def measure(name: str, out: Path) -> dict:
    """The evaluations of each prior's runs, in nats."""
    rows = {}
    for prior in PRIORS:
        folder = out / f"priors-{name}-{prior}"
        code = main(["run", *RUNS[name], "--model.prior", prior, "--out", str(folder)])
        if code:
            raise SystemExit(code)
        files = sorted(folder.glob("*/*/seed-*/evaluation.json"))
        evaluations = [json.loads(file.read_text()) for file in files]
        values = np.array([-e["summary"]["iwae"]["mean"] for e in evaluations])
        count = len(values)
        rows[prior] = {
            "-log p(x) <=": float(values.mean()),
            "std_error_seeds": float(values.std(ddof=1) / count**0.5) if count > 1 else None,
            "each_seed": values.tolist(),
            "std_error_data": evaluations[0]["summary"]["iwae"]["std_error_data"],
            "std_error_monte_carlo": evaluations[0]["summary"]["iwae"]["std_error_monte_carlo"],
            "kl": float(np.mean([e["summary"]["kl"]["mean"] for e in evaluations])),
            "khat_above_0.7": [e["summary"]["khat_above_0.7"] for e in evaluations],
            "n": evaluations[0]["summary"]["n"],
            "protocol": evaluations[0]["protocol"],
            "settings": evaluations[0]["settings"],
        }
    return {"command": f"python experiments/benchmarks/priors.py {name}", "priors": rows}


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "digits"
    result = measure(name, Path("runs"))
    path = Path(__file__).with_name(f"priors_{name}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")
    for prior, row in result["priors"].items():
        print(f"{prior:8} {row['-log p(x) <=']:.3f} +- {row['std_error_seeds']} seeds")
