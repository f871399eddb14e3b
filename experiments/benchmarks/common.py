"""Functions that the benchmarks share: data, experiments, timing in turns, ratios, JSON files."""

import dataclasses
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import vaejax
from vaejax import experiment
from vaejax.commands.train import set_up, train
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation import Run
from vaejax.evaluation.compared import training_of
from vaejax.training import Train, Trainer

jax.config.update("jax_platforms", "cpu")  # before anything asks for a device

HERE = Path(__file__).resolve().parent
BATCH = 100
QUIET = 0.05  # the most that other programs may use of the machine


def load_data() -> Dataset:
    """MNIST, or random grey images of the same shape if MNIST is not available."""
    try:
        return vaejax.data.load("mnist")
    except UserError as error:
        print(f"random images in place of MNIST: {error}", file=sys.stderr)
        noise = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), np.uint8)
        return Dataset("random", noise[:50_000], noise[50_000:], noise[50_000:], 255, "dynamic")


def build(name: str, dataset: Dataset, **objective):
    """(p(x, z), q(z | x), objective) of an experiment file."""
    file = experiment.load(HERE.parent / f"{name}.py")
    config: Any = file.config
    changed = dataclasses.replace(config.objective, **objective)
    return file.build(dataclasses.replace(config, objective=changed), dataset)


def trainer(pair: experiment.Experiment, dataset: Dataset) -> Trainer:
    """A trainer with Adam at 1e-3, no last step and no validation, as in the other programs."""
    settings = Train(epochs=100_000, batch_size=BATCH, schedule="constant", validations=0)
    return pair.trainer(dataset, settings)


class Trained(NamedTuple):
    """The runs of several seeds of one experiment, and the seconds that their training took."""

    runs: list[Run]
    seconds: float


def train_seeds(
    name: str, arguments: str, seeds: tuple[int, ...], out: Path = Path("runs")
) -> Trained:
    """What `vaejax train NAME --seeds <seeds> --out <out> <arguments>` trains, or has trained.

    Raises:
      UserError: the arguments are wrong, or the loss is not finite.
    """
    words = [*shlex.split(arguments), "--seeds", *map(str, seeds), "--out", str(out)]
    path = HERE.parent / f"{name}.py"
    code = train([str(path), *words])
    if code:
        sys.exit(code)
    folders = [directory.path for directory in set_up("train", experiment.load(path), words)[-1]]
    runs = [vaejax.load(folder) for folder in folders]
    return Trained(runs, training_of(runs)["seconds"])


def mean_and_error(values) -> list[float]:
    """(mean, standard error) over seeds."""
    return [float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))]


class Others:
    """The share of the processors that other programs have used since this object was made, from 0
    to 1; NaN if the system does not say."""

    def __init__(self):
        self.started = self._now()

    def share(self) -> float:
        wall, all_programs, own = np.subtract(self._now(), self.started)
        return float(max(all_programs - own, 0.0) / (wall * (os.cpu_count() or 1)))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            ticks = [int(t) for t in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
            busy = (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        except OSError:
            busy = float("nan")
        return time.perf_counter(), busy, time.process_time()


def quietest(shares: list[float], repetitions: int) -> np.ndarray:
    """The repetitions to keep: those during which other programs used least."""
    return np.sort(np.argsort(shares, kind="stable")[:repetitions])


def enough(shares: list[float], repetitions: int) -> bool:
    """Whether `repetitions` were quiet, or five times as many were tried."""
    quiet = sum(not share > QUIET for share in shares)
    print(f"{quiet}/{repetitions}", end=" ", file=sys.stderr, flush=True)
    return quiet >= repetitions or len(shares) >= 5 * repetitions


def interleave(
    runs: dict[str, Callable[[], float]], repetitions: int
) -> tuple[dict[str, np.ndarray], float]:
    """({name: work per second of each repetition}, the largest share of other programs).

    Each run does some work, waits for it and returns its amount. Runs take turns, and each round
    begins with another one. A repetition that other programs disturb is repeated.
    """
    rates: dict[str, list[float]] = {name: [] for name in runs}
    shares: list[float] = []
    names = list(runs)
    while not enough(shares, repetitions):
        others, turn = Others(), len(shares) % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            work = runs[name]()
            rates[name].append(work / (time.perf_counter() - started))
        shares.append(others.share())
    print(file=sys.stderr)
    keep = quietest(shares, repetitions)
    return {n: np.array(values)[keep] for n, values in rates.items()}, max(np.take(shares, keep))


def summarize(
    rates: dict[str, np.ndarray], others: float, first: str, figures: dict[str, float]
) -> dict:
    """Median rates, and the ratio of `first` to each other run: its median over repetitions, its
    range, and the figure that it should reach."""
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
    return {
        "rates": medians,
        "ratios": ratios,
        "repetitions": len(rates[first]),
        "share_of_other_programs": round(others, 3),
    }


def show(title: str, unit: str, summary: dict) -> None:
    print(f"\n{title}")
    for name, rate in summary["rates"].items():
        print(f"  {name:<24} {rate:>10,.2f} {unit}")
    print(f"  other programs used at most {summary['share_of_other_programs']:.1%} of the machine")
    for name, ratio in summary["ratios"].items():
        verdict = "reached" if ratio["reached"] else "SHORT"
        print(
            f"  {name:<24} {ratio['median']:>10.3f} ({ratio['min']:.3f}..{ratio['max']:.3f}), "
            f"to reach {ratio['figure']}: {verdict}"
        )


def write(name: str, data: str, results: dict) -> None:
    """Write `<name>.json` next to this file."""
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "devices": sorted({d.device_kind for d in jax.devices()}),
        "python": platform.python_version(),
        "jax": jax.__version__,
    }
    content = {"machine": machine, "data": data, **results}
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\nwritten: {path}")
