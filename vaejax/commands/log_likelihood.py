"""`vaejax log-likelihood`."""

import time

import jax
import numpy as np

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import (
    LOG_LIKELIHOOD,
    load_run,
    present,
    progress_bar,
    signals,
    stream,
    write_report,
)
from vaejax.errors import UserError
from vaejax.evaluation import LogLikelihood
from vaejax.evaluation.comparison import first_rows
from vaejax.evaluation.log_likelihood import (
    BLOCK,
    NAMES,
    cost,
    estimate_blocks,
    estimates_of,
    identity,
)


def log_likelihood(arguments: list[str]) -> int:
    """Estimate log p(x) of a run's examples, by one estimator or all."""
    loaded, rest = load_run(arguments, "log-likelihood")
    options = parse(LogLikelihood, rest, prog="vaejax log-likelihood RUN", default=LogLikelihood())
    why_not = "its log p(x) is exact, and vaejax evaluate prints it"
    loaded.pair(why_not)
    params, step, which = loaded.params()
    dataset = loaded.dataset
    split = options.split or "test"
    xs = first_rows(dataset.examples(split), present(dataset, split, options.examples, "--"))
    if loaded.kind() == "point mass":
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, which has no "
            "density, and it has no p(z); so it has no p(x). digits_vae and mnist_vae have both"
        )
    if options.float64:
        jax.config.update("jax_enable_x64", True)
        loaded = loaded._replace(experiment=loaded.file.build(loaded.config, dataset))
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        xs = jax.tree.map(_float64, xs)
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
                about = {
                    "name": name,
                    "settings": settings,
                    "evaluations_per_estimate": cost(name, settings),
                    "asked": options.examples,
                    "stopped_by": stopped,
                    "target_missed": _missed(arrays, settings["target_std_error"]),
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
            f"stopped by {stopped} before the first {min(BLOCK, len(xs.x))} examples were "
            "measured: give more, or --examples fewer"
        )
    print(f"\n{loaded.directory.name}")
    reports.print_log_likelihood([about for _, about in results])
    for stem, _ in results:
        print(f"  {loaded.directory.file(stem)}.npz (each example), .json (summary)")
    print(f"  {reports.draw_log_likelihood(loaded.directory, [stem for stem, _ in results])}")
    if loaded.directory.is_evaluated():
        print(f"  {write_report(loaded.directory)}")
    return 128 + stop.signal if stop.signal else 0


def _float64(leaf):
    return leaf.astype(np.float64) if np.issubdtype(leaf.dtype, np.floating) else leaf


def _missed(arrays, target: float | None) -> list[int]:
    """Indices of the examples whose standard error is not as small as asked."""
    return [] if target is None else np.flatnonzero(~(arrays["std_error"] <= target)).tolist()


def _estimate(loaded, params, xs, name, settings, stem, stop, deadline, budget):
    """(arrays of the examples that there are, what stopped it or None, evaluations spent now).
    Goes on from what an earlier call has saved, and saves after each block."""
    generative, inference = loaded.pair("its log p(x) is exact")
    file = f"{stem}.npz"
    arrays = loaded.directory.read_arrays(file) if loaded.directory.file(file).exists() else None
    spent, stopped = 0, None

    def may_spend(evaluations: int) -> bool:
        nonlocal spent, stopped
        if stop.signal:
            stopped = "a signal"
        elif deadline is not None and time.monotonic() > deadline:
            stopped = "--minutes"
        elif budget is not None and spent + evaluations > budget:
            stopped = "--budget"
        else:
            spent += evaluations
        return stopped is None

    blocks = estimate_blocks(
        stream(settings["seed"], LOG_LIKELIHOOD + NAMES.index(name)),
        generative,
        inference,
        params,
        xs,
        name,
        settings,
        found=arrays,
        may_spend=may_spend,
    )
    done = 0 if arrays is None else min(len(arrays["value"]), len(xs.x))
    with progress_bar(len(xs.x), done, "example", name) as bar:
        before = spent
        for arrays in blocks:
            if spent > before:
                loaded.directory.write_arrays(file, arrays)
                before = spent
            bar.update(min(len(arrays["value"]), len(xs.x)) - bar.n)
    if arrays is not None:
        arrays = {field: values[: len(xs.x)] for field, values in arrays.items()}
    return arrays, stopped, spent
