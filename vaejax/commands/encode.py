"""`vaejax encode`."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from vaejax.commands.common import run_and_options
from vaejax.distributions import has_mean, has_std
from vaejax.errors import UserError
from vaejax.evaluation import Run
from vaejax.evaluation.own_examples import own_examples
from vaejax.evaluation.run import check_examples
from vaejax.run_directory import RunDirectory
from vaejax.types import Conditions, Example, rows_of


@dataclasses.dataclass(frozen=True)
class Options:
    out: Path | None = None
    """The .npz that is written; by default codes.npz in the run's folder."""
    split: Literal["train", "validation", "test"] = "test"
    """Split to encode, also of a FILE that has an array for each."""


def encode(arguments: list[str]) -> int:
    """Write the mean and the standard deviation of q(z | x) for each x."""
    file = None
    if len(arguments) > 1 and not arguments[1].startswith("-"):
        file = Path(arguments[1])
        if not file.is_file():
            raise UserError(f"no file {file}: expected an .npz or .npy of examples")
        arguments = [arguments[0], *arguments[2:]]
    prog = "vaejax encode RUN [FILE]"
    run, options = run_and_options("encode", arguments, Options, prog=prog)
    out = options.out or run.directory.file("codes.npz")
    if out.suffix != ".npz" or not out.parent.is_dir():
        raise UserError(f"--out expects an .npz in a folder that is there; got {out}")
    if run.kind == "no latent variable":
        raise UserError(f"{run.directory.path} has no latent variable, so x has no code")
    examples, what = _examples(run, file, options.split)
    try:
        mean, std = run.encode(examples.x, given=examples.given)
    except ValueError as error:
        words = str(error).removeprefix("encode: ")
        raise UserError(f"{file or options.split}: {words}") from None
    arrays = _by_name("mean", mean) | _by_name("std", std)
    given: Any = examples.given
    if isinstance(given, Conditions):
        arrays["lengths"] = np.asarray(given.exists).sum(axis=1)
    RunDirectory(out.parent).write_arrays(out.name, arrays)
    print(f"{what}; {run.directory.label}, {run.chosen} parameters (step {run.step:,})")
    shapes = ", ".join(str(leaf.shape[1:]) for leaf in jax.tree.leaves(mean))
    print(f"arrays: {out} (of q(z | x), {_how(run, examples)}: mean and std, z of shape {shapes})")
    return 0


def _examples(run: Run, file: Path | None, split: str) -> tuple[Example, str]:
    """The examples, and which they are."""
    if file is None:
        check_examples(run.dataset, split, None)
        examples = run.examples(split)
        return examples, f"{len(examples.x):,} examples of the {split} split"
    examples, done = own_examples(file, run.data, split)
    return examples, f"{len(examples.x):,} examples of {file}, {done}"


def _how(run: Run, examples: Example) -> str:
    first = rows_of(examples, 0)
    zeros: Any = run.data.example().x
    q = run.posterior(np.asarray(first.x, zeros.dtype), first.given)
    return "by a formula" if has_mean(q) and has_std(q) else "by 100 draws of q"


def _by_name(name: str, tree: Any) -> dict[str, np.ndarray]:
    """Each array of z: `mean`, or `mean/<place>` where there are several."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    places = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return {f"{name}/{p}" if p else name: leaf for p, (_, leaf) in zip(places, leaves, strict=True)}
