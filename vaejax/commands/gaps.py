"""`vaejax gaps`."""

import dataclasses
from typing import Literal

import numpy as np

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import (
    GAPS,
    Loaded,
    load_run,
    present,
    progress_bar,
    signals,
    stream,
    write_report,
)
from vaejax.errors import UserError
from vaejax.evaluation import Gaps
from vaejax.evaluation.comparison import first_rows
from vaejax.evaluation.gaps import gap_blocks, measured, own_family, summarize_gaps
from vaejax.inference import FAMILIES

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


def gaps(arguments: list[str]) -> int:
    """What the inference of a run costs: approximation, amortization and total gap."""
    loaded, rest = load_run(arguments, "gaps")
    settings = parse(Gaps, rest, prog="vaejax gaps RUN", default=Gaps())
    _, inference = loaded.pair("it has no q(z | x), so no gap is defined")
    params, step, which = loaded.params()
    dataset = loaded.dataset
    for split in SPLITS:
        present(dataset, split, settings.examples, "--")
    point_mass = loaded.kind() == "point mass"
    if point_mass and not settings.map:
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, which has no "
            "bound, so no gap is defined; --map compares its code with the z that maximizes "
            "log p(x, z)"
        )
    if settings.map and not point_mass:
        raise UserError("--map is for a point mass; this run's q has a density: leave it away")
    loaded.directory.file("gaps").mkdir(exist_ok=True)
    stem = f"gaps/{settings.identity(step)}"
    splits: dict[Split, dict[str, np.ndarray]] = {}
    with signals() as stop:
        for split in SPLITS:
            arrays = _measure(loaded, params, split, settings, f"{stem}-{split}.npz", stop)
            if arrays is not None:
                splits[split] = arrays
            if stop.signal:
                break
    if not splits:
        raise UserError("stopped before the first examples were measured in every family")
    own = None if settings.map else own_family(inference)
    names = _names(settings, splits)
    about = {
        "own_family": own,
        "settings": dataclasses.asdict(settings),
        "stopped": sum(len(a["amortized"]) for a in splits.values()) < 2 * settings.examples,
        "parameters": which,
        "step": step,
        "protocol": dataset.protocol(),
        "names": names,
        "summary": summarize_gaps(splits, names, own),
    }
    shown = f"{stem}-n{settings.examples}"
    figures = reports.draw_gaps(loaded.directory, shown, about, splits)
    loaded.directory.write_json(f"{shown}.json", about)
    print(f"\n{loaded.directory.name}")
    reports.print_gaps(about)
    for split in splits:
        print(f"  {loaded.directory.file(f'{stem}-{split}.npz')} (each example)")
    print(f"  {loaded.directory.file(f'{shown}.json')} (summary)")
    for path in figures:
        print(f"  {path}")
    if loaded.directory.is_evaluated():
        print(f"  {write_report(loaded.directory)}")
    return 128 + stop.signal if about["stopped"] else 0


def _names(settings: Gaps, splits: dict[Split, dict[str, np.ndarray]]) -> tuple[str, ...]:
    """What is shown: the families asked for, then the others measured of these examples before."""
    if settings.map:
        return ("best",)
    before = [
        name
        for name in FAMILIES
        if name not in settings.families and all(name in arrays for arrays in splits.values())
    ]
    return (*settings.families, *before)


def _measure(loaded: Loaded, params, split: Split, settings: Gaps, file: str, stop):
    """The split's arrays, of the examples that have been measured in every part; goes on from what
    an earlier call has saved, saves after each block."""
    generative, inference = loaded.pair("it has no gap")
    examples = first_rows(loaded.dataset.examples(split), settings.examples)
    count = settings.examples
    arrays = loaded.directory.read_arrays(file) if loaded.directory.file(file).exists() else {}
    blocks = gap_blocks(
        stream(settings.seed, GAPS + SPLITS.index(split)),
        generative,
        inference,
        params,
        examples,
        settings,
        found=arrays,
    )

    def done():
        return [min(measured(arrays, part), count) for part in settings.parts()]

    total = count * len(settings.parts())
    with progress_bar(total, sum(done()), "fit", f"gaps, {split}") as bar:
        while not stop.signal and (block := next(blocks, None)) is not None:
            arrays = block
            loaded.directory.write_arrays(file, arrays)
            bar.update(sum(done()) - bar.n)
    n = min(done())
    return {name: v[:n] for name, v in arrays.items() if len(v) >= n} if n else None
