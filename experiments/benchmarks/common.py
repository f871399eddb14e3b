"""What the benchmarks share: data, experiments, interleaved timing, ratios, the JSON file."""

import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

import vaejax
from vaejax import experiment
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.training import Train, Trainer

jax.config.update("jax_platforms", "cpu")  # before anything asks for a device

HERE = Path(__file__).resolve().parent
BATCH = 100


def load_data() -> Dataset:
    """MNIST; or, where it cannot be had, random grey images of the same shape."""
    try:
        return vaejax.data.load("mnist")
    except UserError as error:
        print(f"random images in place of MNIST: {error}", file=sys.stderr)
        noise = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), np.uint8)
        return Dataset("random", noise[:50_000], noise[50_000:], noise[50_000:], 255, "dynamic")


def build(name: str, dataset: Dataset, **objective):
    """(p(x, z), q(z | x), objective) of an experiment file."""
    file = experiment.load(HERE.parent / f"{name}.py")
    changed = dataclasses.replace(file.config.objective, **objective)
    return file.build(dataclasses.replace(file.config, objective=changed), dataset)


def trainer(pair, dataset: Dataset) -> Trainer:
    """Adam at 1e-3, no end in sight, no validation: what the others do too."""
    settings = Train(epochs=100_000, batch_size=BATCH, schedule="constant", validations=0)
    return Trainer(*pair, dataset, settings)


def interleave(runs: dict[str, Callable[[], float]], repetitions: int) -> dict[str, np.ndarray]:
    """Work a second, by repetition. Each run does some work, waits for it and says how much.
    Round robin, each time beginning with another, so that a busy moment hits all alike."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for repetition in range(repetitions):
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            work = runs[name]()
            rates[name].append(work / (time.perf_counter() - started))
        print(f"{repetition + 1}/{repetitions}", end=" ", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {name: np.array(values) for name, values in rates.items()}


def summarize(rates: dict[str, np.ndarray], first: str, figures: dict[str, float]) -> dict:
    """Median rates, and the ratio of `first` to each other: the median over repetitions, its
    range, and the figure it is to reach."""
    ratios = {}
    for name, figure in figures.items():
        ratio = rates[first] / rates[name]
        median = float(np.median(ratio))
        ratios[f"{first}/{name}"] = {
            "median": round(median, 3),
            "min": round(float(ratio.min()), 3),
            "max": round(float(ratio.max()), 3),
            "figure": figure,
            "reached": median >= figure,
        }
    medians = {name: round(float(np.median(rate)), 3) for name, rate in rates.items()}
    return {"rates": medians, "ratios": ratios, "repetitions": len(rates[first])}


def show(title: str, unit: str, summary: dict) -> None:
    print(f"\n{title}")
    for name, rate in summary["rates"].items():
        print(f"  {name:<24} {rate:>10,.2f} {unit}")
    for name, ratio in summary["ratios"].items():
        verdict = "reached" if ratio["reached"] else "SHORT"
        print(
            f"  {name:<24} {ratio['median']:>10.3f} ({ratio['min']:.3f}..{ratio['max']:.3f}), "
            f"to reach {ratio['figure']}: {verdict}"
        )


def write(name: str, dataset: Dataset, load: tuple[float, ...], results: dict) -> None:
    """`<name>.json` beside this file; `load` is the machine's when the timings began."""
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "devices": sorted({d.device_kind for d in jax.devices()}),
        "load_average_before": round(load[0], 2),
        "python": platform.python_version(),
        "jax": jax.__version__,
    }
    content = {"machine": machine, "data": dataset.name, **results}
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\nwritten: {path}")
