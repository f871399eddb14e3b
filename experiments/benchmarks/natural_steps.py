"""Natural and ordinary gradients of a linear system: steps to the same bound.

svae_lds with a constant rate, 5 seeds; the networks by Adam; the system by Adam at the same rate,
or by natural gradients. For each rate and seed, the first of 75 validations whose bound is at most
0.02 nats/frame above -log p(x) of the true parameters (a Kalman filter in numpy).

Command:  python experiments/benchmarks/natural_steps.py
Measured: see natural_steps.json. Median steps: Adam at 0.005, 0.01, 0.02: 540, 280, 180; natural at
0.03, 0.1, 0.3: 440, 360, 320. So natural gradients save no steps here; their last bound is nearer
to the truth: 0.0003, 0.0008, 0.0024 nats/frame above it (medians), and 0.0010, 0.0029, 0.0152 by
Adam, whose rates are those of the networks too
"""

import time
from typing import Any

import jax
import numpy as np
import tyro
from common import HERE, write
from linear_recovery import System, kalman

import vaejax
from vaejax import experiment
from vaejax.data import lds
from vaejax.evaluation.run import stream
from vaejax.evaluation.streams import TRAIN

SEEDS, MARGIN = (0, 1, 2, 3, 4), 0.02
COMMON = "--train.steps 1500 --train.validations 75 --train.schedule constant".split()
ADAM, NATURAL = (5e-3, 1e-2, 2e-2), (0.03, 0.1, 0.3)
NETWORKS = 1e-2  # Adam's rate of the networks beside natural gradients
WAYS = {
    **{f"Adam {rate:g}": ["--train.learning-rate", str(rate)] for rate in ADAM},
    **{
        f"natural {rate:g}": (
            f"--learning.gradient natural --learning.rate {rate} --train.learning-rate {NETWORKS}"
        ).split()
        for rate in NATURAL
    },
}


def true_nats(dataset) -> tuple[float, float]:
    """(-log p(x) of the validation split under the parameters that made it, in nats per frame;
    frames per sequence)."""
    p = lds.system()
    zeros, seen = np.zeros(2), np.zeros(5)
    system = System(p.initial_mean, p.initial_cov, p.F, zeros, p.Q, p.C, seen, p.R)
    examples = dataset.examples("validation")
    lengths = np.asarray(examples.given.exists).sum(axis=1)
    each = [
        kalman(system, np.asarray(x[None, :n], np.float64))[1][0]
        for x, n in zip(np.asarray(examples.x), lengths, strict=True)
    ]
    return float(-np.sum(each) / lengths.sum()), float(lengths.mean())


def curves(arguments: list[str]) -> tuple[list[int], np.ndarray, float]:
    """(steps, the objective at each in nats per sequence (seeds, steps), seconds)."""
    file = experiment.load(HERE.parent / "svae_lds.py")
    config: Any = tyro.cli(type(file.config), args=COMMON + arguments, default=file.config)
    dataset = vaejax.data.load(config.data.name)
    trainer = file.build(config, dataset).trainer(dataset, config.train)
    started = time.perf_counter()
    steps, values = [], []
    for report in trainer.run(*trainer.start([stream(seed, TRAIN) for seed in SEEDS])):
        if report.validation is not None:
            steps.append(report.step)
            values.append(np.asarray(report.validation))
    jax.clear_caches()
    return steps, np.array(values).T, time.perf_counter() - started


if __name__ == "__main__":
    truth, length = true_nats(vaejax.data.load("lds"))
    rows = {}
    for name, arguments in WAYS.items():
        try:
            steps, values, seconds = curves(arguments)
        except vaejax.training.NonFiniteLoss as error:
            rows[name] = {"failed": str(error)}
            continue
        bounds = -values / length
        there = bounds <= truth + MARGIN
        first = [steps[int(np.argmax(row))] if row.any() else None for row in there]
        rows[name] = {
            "steps_to_the_bound": first,
            "last_bound_above_truth": (bounds[:, -1] - truth).tolist(),
            "seconds": round(seconds, 1),
        }
        print(name, rows[name], flush=True)
        write("natural_steps", "lds", {"true_nats_per_frame": truth, "ways": rows})
