"""Every option of digits_collapse or mnist_collapse over the same seeds, measured in the same way.

Each is what `vaejax run digits_collapse --seeds 0 1 2 <arguments>` trains and evaluates (the best
parameters by validation of the option's own objective, the encoder's own q, test split, IWAE-K;
of MNIST the first 1,000 images). Options that are named are measured, or all if none is named; the
rows of the others stay. The runs go to runs/, and are not trained again.

Command:  python experiments/benchmarks/collapse.py digits|mnist [OPTION ...]
Measured: see ../digits_collapse.json, ../mnist_collapse.json
"""

import json
import sys

import numpy as np
from common import HERE, mean_and_error, train_seeds

from vaejax import data, experiment
from vaejax.evaluation import Evaluate, carry_out
from vaejax.evaluation.evaluate import EVALUATION

SEEDS = (0, 1, 2)
EXAMPLES = 1000  # of the test split, or all where there are fewer
NUM_SAMPLES = 1000
USED = 0.1  # nats of mean KL above which a dimension is counted as used
DIGITS = {
    "plain": "",
    "aggressive": "--update.encoder-steps 5 --update.epochs 10",
    "semi-amortized, stopped": "--objective.refine-steps 5 --objective.no-through",
    "free bits": "--objective.free-bits 0.2",
    "warm-up": "--objective.warmup-steps 130",
    "larger encoder": "--encoder-hidden 400 400",
    "noise": "--noise 0.3",
    "noise, aggressive": "--noise 0.3 --update.encoder-steps 5 --update.epochs 10",
    "semi-amortized, through": "--objective.refine-steps 5",
}
MNIST = {
    "plain": "",
    "aggressive": "--update.encoder-steps 10 --update.epochs 10",
    "free bits": "--objective.free-bits 0.2",
    "warm-up": "--objective.warmup-steps 5000",
}


def measure(name: str, arguments: str) -> tuple[dict[str, list], float]:
    """{measurement: [of each seed]}, and the seconds that training took."""
    trained = train_seeds(name, arguments, SEEDS)
    rows: dict[str, list] = {}
    for run in trained.runs:
        examples = min(EXAMPLES, len(run.dataset.test))
        settings = Evaluate(examples=examples, num_samples=NUM_SAMPLES)
        summary = carry_out(run, EVALUATION, settings).about["summary"]
        row = {
            "active_units": summary["active_units"],
            "units_above_0.1_nat": int(np.sum(np.asarray(summary["kl_per_dimension"]) > USED)),
            "kl": summary["kl"]["mean"],
            "elbo": summary["elbo"]["mean"],
            "iwae": summary["iwae"]["mean"],
            "iwae_std_error_monte_carlo": summary["iwae"]["std_error_monte_carlo"],
            "iwae_std_error_data": summary["iwae"]["std_error_data"],
            "khat_above_0.7": summary["khat_above_0.7"],
            "best_step": run.step,
        }
        for field, value in row.items():
            rows.setdefault(field, []).append(value)
    return rows, trained.seconds


def against(rows, plain):
    """How much higher the bound is than the plain option's, paired over the seeds."""
    return mean_and_error(np.subtract(rows["iwae"], plain["iwae"]))


def main() -> None:
    name, *chosen = sys.argv[1:]
    all_options = {"digits": DIGITS, "mnist": MNIST}[name]
    path = HERE.parent / f"{name}_collapse.py"
    result = path.with_suffix(".json")
    file = experiment.load(path)
    dataset = data.load(file.config.data.name)
    head = {
        "command": f"python experiments/benchmarks/collapse.py {name}",
        "seeds": SEEDS,
        "split": "test",
        "n": min(EXAMPLES, len(dataset.test)),
        "num_samples": NUM_SAMPLES,
        "parameters": "best by validation of the option's own objective",
        "protocol": dataset.protocol(),
        "config": experiment.to_json(file.config),
    }
    options = json.loads(result.read_text())["options"] if result.exists() else {}
    for option in chosen or all_options:
        rows, seconds = measure(path.stem, all_options[option])
        options[option] = {
            "arguments": all_options[option],
            "mean_and_std_error_over_seeds": {
                key: mean_and_error(rows[key])
                for key in ("active_units", "units_above_0.1_nat", "kl", "elbo", "iwae")
            },
            "by_seed": rows,
            "training_seconds": seconds,
        }
        if option != "plain":
            plain = options["plain"]["by_seed"]
            options[option]["iwae_above_plain_paired"] = against(rows, plain)
        print(option, options[option], flush=True)
        result.write_text(json.dumps({**head, "options": options}, indent=1) + "\n")


if __name__ == "__main__":
    main()
