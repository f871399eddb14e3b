"""`vaejax experiments`, `data`, `doctor` and `bench`."""

import ast
import dataclasses
import os
import statistics
import time
from typing import Annotated

import jax
import jax.numpy as jnp
import tyro

from vaejax import data as data_sets
from vaejax import experiment as experiments_module
from vaejax.arguments import parse
from vaejax.cache import cache_folder
from vaejax.commands.common import (
    absolute_data,
    experiment_argument,
    load_announced,
    no_arguments,
    use_compilation_cache,
)
from vaejax.data.catalogue import data_dir
from vaejax.evaluation.expected import said_in
from vaejax.evaluation.run import stream
from vaejax.evaluation.streams import SAMPLE, TRAIN
from vaejax.run_directory import matmul_precision, versions

_BENCH_CALLS = 7

_OWN_DATA = """\
your own data: --data.name FILE or FOLDER; vaejax prints in one sentence how it read the values
  .npz: arrays train, test and perhaps validation; or one array, which is split 80:10:10.
    A .npy is one array. Examples are along the first axis.
    labels, numbers or names: train_label, test_label, ...; or label. No model is given them.
    sequences: x (n, T, ...) and length (n,), perhaps actions; or train, train_length, ...
  folder: PNG or JPEG images of one size, all grey or all colour; or folders train, test and
    perhaps validation of such images. The names of sub-folders are labels.
  images: (n, h, w), (n, h, w, 1 or 3) or (n, 1 or 3, h, w)
  values                     are taken as                   --model.likelihood
    0 and 1                  binary                         bernoulli
    whole numbers to 255     8-bit intensities, value/255   bernoulli (drawn as 0 or 1),
                             (the largest 128 or more)      discretized_logistic (as they are)
    fractions in [0, 1]      intensities                    bernoulli (drawn), gaussian
    other numbers            real-valued features           gaussian (standardizes each feature)
    integers in sequences    categories 0, 1, ...           categorical
  --data.standardize takes any values as real-valued features."""


def experiments(arguments: list[str]) -> int:
    """List the experiments: title, command, expected and measured result of each."""
    no_arguments("experiments", arguments)
    seen = set()
    for folder in experiments_module.folders():
        for path in sorted(folder.glob("*.py")):
            if path.stem in seen:
                continue
            seen.add(path.stem)
            try:
                tree = ast.parse(path.read_text())
            except (SyntaxError, UnicodeDecodeError):
                continue  # no Python: the folder is somebody else's
            if not any(_is_experiment(node) for node in tree.body):
                continue
            said = said_in(path.read_text())
            print(f"{path.stem}  ({path})")
            print(f"  {said.title}")
            for name in ("command", "expected", "measured"):
                if getattr(said, name):
                    print(f"  {name.capitalize()}: {getattr(said, name)}")
    return 0


def _is_experiment(node: ast.stmt) -> bool:
    """Whether a statement defines `build` or `comparison`, as every experiment file does."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "build"
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "comparison" for target in node.targets
    )


def data(arguments: list[str]) -> int:
    """List the data sets, and the formats of a person's own data."""
    no_arguments("data", arguments)
    for source, where in data_sets.available():
        print(f"{source.name}: {source.description}")
        print(f"  {where}")
        if not where.startswith("not here"):
            protocol = data_sets.load(source.name).protocol()
            print(f"  {', '.join(f'{key} {value}' for key, value in protocol.items())}")
    print(_OWN_DATA)
    return 0


def doctor(arguments: list[str]) -> int:
    """Print the facts that a bug report needs."""
    no_arguments("doctor", arguments)
    print("versions:", ", ".join(f"{name} {version}" for name, version in versions().items()))
    print("devices:", ", ".join(f"{d} ({d.device_kind})" for d in jax.devices()))
    print("cores:", os.cpu_count())
    print(f"matmul precision: training {matmul_precision()}, evaluation highest")
    print("random numbers: threefry2x32, the same on any number of devices")
    for name in ("XLA_FLAGS", "JAX_PLATFORMS", "TFDS_DATA_DIR"):
        print(f"{name}:", os.environ.get(name, "not set"))
    print("data:", data_dir(), "" if data_dir().is_dir() else "(does not exist yet)")
    cache = cache_folder()
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) if cache.is_dir() else 0
    print(f"cache: {cache} ({size / 1e6:.0f} MB; safe to delete)")
    print("experiments:", ", ".join(map(str, experiments_module.folders())))
    return 0


def bench(arguments: list[str]) -> int:
    """Measure training steps per second, and their share of this machine's matmul peak."""
    file, rest = experiment_argument("bench", arguments)

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: Annotated[type(file.config), tyro.conf.arg(name="")]  # type: ignore[misc]

    options = parse(Options, rest, prog=f"vaejax bench {file.name}", default=Options(file.config))
    config = absolute_data(options.config)
    use_compilation_cache()
    dataset = load_announced(config)
    trainer = file.build(config, dataset).trainer(dataset, config.train)
    count = trainer.steps_per_call(1)
    batch = config.train.batch_size
    indices = jax.random.randint(stream(0, SAMPLE), (1, count, batch), 0, len(dataset.train))
    states, _ = trainer.start([stream(0, TRAIN)])
    rates, peaks = [], []
    for _ in range(_BENCH_CALLS + 1):
        peaks.append(_matmul_flops())
        started = time.perf_counter()
        states, found = trainer.steps(states, indices, trainer.data)
        jax.block_until_ready(found)
        rates.append(count / (time.perf_counter() - started))
    rates, peaks = rates[1:], peaks[1:]  # the first call compiles
    rate, peak = statistics.median(rates), statistics.median(peaks)
    print(
        f"{file.name} on {jax.devices()[0].device_kind}: {rate:,.1f} steps/s of batch {batch} "
        f"({rate * batch:,.0f} examples/s), median of {len(rates)} calls of {count} steps, "
        f"{min(rates):,.1f} to {max(rates):,.1f}"
    )
    limit = f"float32 matmul peak: {peak / 1e9:,.0f} GFLOP/s, median of {len(peaks)} at 2048 x 2048"
    used = rate * trainer.flops_per_step
    if used == 0:
        print(f"{limit}; XLA does not count the operations of a step on this device")
        return 0
    print(
        f"{trainer.flops_per_step / 1e6:,.0f} MFLOP a step as XLA counts them: "
        f"{used / 1e9:,.1f} GFLOP/s, {used / peak:.0%} of the peak ({limit})"
    )
    return 0


def _matmul_flops() -> float:
    n = 2048
    a = jnp.ones((n, n))
    _matmul(a).block_until_ready()
    started = time.perf_counter()
    _matmul(a).block_until_ready()
    return 2 * n**3 / (time.perf_counter() - started)


_matmul = jax.jit(lambda a: a @ a)
