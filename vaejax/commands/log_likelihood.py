"""`vaejax log-likelihood`."""

import time

import jax
import numpy as np

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import LOG_LIKELIHOOD, load_run, present, progress_bar, signals, stream
from vaejax.commands.evaluate import write_report
from vaejax.errors import UserError
from vaejax.evaluation import LogLikelihood
from vaejax.evaluation.log_likelihood import (
    BLOCK,
    NAMES,
    cost,
    estimate_blocks,
    estimates_of,
    identity,
)
from vaejax.evaluation.pictures import is_point_mass


def log_likelihood(arguments: list[str]) -> int:
    """Estimate log p(x) of a run's examples, by one estimator or all."""
    loaded, rest = load_run(arguments, "log-likelihood")
    options = parse(LogLikelihood, rest, prog="vaejax log-likelihood RUN", default=LogLikelihood())
    params, step, which = loaded.params()
    dataset = loaded.dataset
    split = options.split or "test"
    xs = dataset.split(split)[: present(dataset, split, options.examples, "--")]
    if is_point_mass(loaded.experiment.generative, loaded.experiment.inference, params, xs[0]):
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, which has no "
            "density, and it has no p(z); so it has no p(x). digits_vae and mnist_vae have both"
        )
    if options.float64:
        jax.config.update("jax_enable_x64", True)
        loaded = loaded._replace(experiment=loaded.file.build(loaded.config, dataset))
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    loaded.directory.file("log_likelihood").mkdir(exist_ok=True)
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    spent, results, stopped = 0, [], None
    with signals() as stop:
        for name in options.names():
            settings = options.settings_of(name)
            stem = f"log_likelihood/{identity(settings, name, step)}"
            arrays, stopped, used = _estimate(
                loaded,
                params,
                xs,
                name,
                settings,
                stem,
                stop,
                deadline,
                None if options.budget is None else options.budget - spent,
            )
            spent += used
            if arrays is not None:
                target = settings["target_std_error"] or np.inf
                about = {
                    "name": name,
                    "settings": settings,
                    "evaluations_per_estimate": cost(name, settings),
                    "asked": options.examples,
                    "stopped_by": stopped,
                    "target_missed": np.flatnonzero(~(arrays["std_error"] <= target)).tolist(),
                    "parameters": which,
                    "step": step,
                    "support": dataset.support,
                    "protocol": dataset.protocol(),
                    "summary": estimates_of(arrays, name).summary(),
                }
                loaded.directory.write_json(f"{stem}.json", about)
                results.append((stem, about))
            if stopped:
                break
    if not results:
        raise UserError(
            f"stopped by {stopped} before the first {min(BLOCK, len(xs))} examples were measured: "
            "give more, or --examples fewer"
        )
    print(f"\n{loaded.directory.name}")
    reports.print_log_likelihood([about for _, about in results])
    for stem, _ in results:
        print(f"  {loaded.directory.file(stem)}.npz (each example), .json (summary)")
    print(f"  {reports.draw_log_likelihood(loaded.directory, [stem for stem, _ in results])}")
    if loaded.directory.is_evaluated():
        print(f"  {write_report(loaded.directory)}")
    return 128 + stop.signal if stop.signal else 0


def _estimate(loaded, params, xs, name, settings, stem, stop, deadline, budget):
    """(arrays of the examples that there are, what stopped it or None, evaluations spent now).
    Goes on from what an earlier call has saved, and saves after each block."""
    generative, inference, _ = loaded.experiment
    file = f"{stem}.npz"
    arrays = loaded.directory.read_arrays(file) if loaded.directory.file(file).exists() else None
    done = 0 if arrays is None else len(arrays["value"])
    blocks = estimate_blocks(
        stream(settings["seed"], LOG_LIKELIHOOD + NAMES.index(name)),
        generative,
        inference,
        params,
        xs,
        name,
        settings,
        first=done,
    )
    spent, stopped = 0, None
    with progress_bar(len(xs), min(done, len(xs)), "example", name) as bar:
        while done < len(xs):
            count = min(BLOCK, len(xs) - done)
            if stop.signal:
                stopped = "a signal"
            elif deadline is not None and time.monotonic() > deadline:
                stopped = "--minutes"
            elif budget is not None and spent + cost(name, settings) * count > budget:
                stopped = "--budget"
            if stopped:
                break
            block = next(blocks)
            spent += cost(name, settings) * int(block["rounds"].sum())
            arrays = (
                block
                if arrays is None
                else {field: np.concatenate([arrays[field], block[field]]) for field in block}
            )
            done += count
            loaded.directory.write_arrays(file, arrays)
            bar.update(count)
    if arrays is not None:
        arrays = {field: values[: len(xs)] for field, values in arrays.items()}
    return arrays, stopped, spent
