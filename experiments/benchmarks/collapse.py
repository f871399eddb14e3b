"""Every option of digits_collapse over the same seeds, measured alike.

Each is what `vaejax run digits_collapse --seeds 0 1 2 <arguments>` trains and evaluates (the best
parameters by validation of the option's own objective, the encoder's own q, test split, IWAE-K).
Options that are named are measured anew, all where none is; the others' rows stay.

Command:  python experiments/benchmarks/collapse.py [OPTION ...]
Measured: see ../digits_collapse.json
"""

import json
import shlex
import sys
import time
from pathlib import Path

import jax
import numpy as np
import tyro

from vaejax import data, experiment
from vaejax.commands.common import EVALUATE, TRAIN, stream, use_compilation_cache
from vaejax.evaluation import evaluate, summarize

FILE = Path(__file__).resolve().parent.parent / "digits_collapse.py"
RESULT = FILE.with_suffix(".json")
SEEDS = (0, 1, 2)
NUM_SAMPLES = 1000
USED = 0.1  # nats of mean KL above which a dimension is counted as used
OPTIONS = {
    "plain": "",
    "aggressive": "--train.encoder-steps 5 --train.aggressive-epochs 10",
    "semi-amortized, stopped": "--objective.refine-steps 5 --objective.no-through",
    "free bits": "--objective.free-bits 0.2",
    "warm-up": "--objective.warmup-steps 130",
    "larger encoder": "--encoder-hidden 400 400",
    "noise": "--noise 0.3",
    "noise, aggressive": "--noise 0.3 --train.encoder-steps 5 --train.aggressive-epochs 10",
    "semi-amortized, through": "--objective.refine-steps 5",
}


def measure(file, arguments):
    """{measurement: [of each seed]}, and the seconds that training took."""
    config = tyro.cli(type(file.config), args=shlex.split(arguments), default=file.config)
    dataset = data.load(config.data.name)
    made = file.build(config, dataset)
    trainer = made.trainer(dataset, config.train)
    started = time.perf_counter()
    *_, last = trainer.run(*trainer.start([stream(seed, TRAIN) for seed in SEEDS]))
    seconds = time.perf_counter() - started
    rows: dict[str, list] = {}
    for i, seed in enumerate(SEEDS):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], last.best.params)
        arrays = evaluate(
            stream(seed, EVALUATE),
            made.generative,
            made.inference,
            params,
            dataset.split("test"),
            num_samples=NUM_SAMPLES,
        )
        summary = summarize(arrays)
        row = {
            "active_units": summary["active_units"],
            "units_above_0.1_nat": int(np.sum(np.asarray(summary["kl_per_dimension"]) > USED)),
            "kl": summary["kl"]["mean"],
            "elbo": summary["elbo"]["mean"],
            "iwae": summary["iwae"]["mean"],
            "iwae_std_error_monte_carlo": summary["iwae"]["std_error_monte_carlo"],
            "iwae_std_error_data": summary["iwae"]["std_error_data"],
            "khat_above_0.7": summary["khat_above_0.7"],
            "best_step": int(last.best.step[i]),
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    return rows, seconds


def mean_and_error(values):
    return [float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))]


def main() -> None:
    use_compilation_cache()
    file = experiment.load(FILE)
    dataset = data.load(file.config.data.name)
    head = {
        "command": "python experiments/benchmarks/collapse.py",
        "seeds": SEEDS,
        "split": "test",
        "n": len(dataset.test),
        "num_samples": NUM_SAMPLES,
        "parameters": "best by validation of the option's own objective",
        "protocol": dataset.protocol(),
        "config": experiment.to_json(file.config),
    }
    options = json.loads(RESULT.read_text())["options"] if RESULT.exists() else {}
    for name in sys.argv[1:] or OPTIONS:
        rows, seconds = measure(file, OPTIONS[name])
        options[name] = {
            "arguments": OPTIONS[name],
            "mean_and_std_error_over_seeds": {
                key: mean_and_error(rows[key])
                for key in ("active_units", "units_above_0.1_nat", "kl", "elbo", "iwae")
            },
            "by_seed": rows,
            "training_seconds": round(seconds, 1),
        }
        print(name, options[name]["mean_and_std_error_over_seeds"], f"{seconds:.0f} s", flush=True)
        RESULT.write_text(json.dumps({**head, "options": options}, indent=1) + "\n")


if __name__ == "__main__":
    main()
