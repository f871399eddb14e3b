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
from vaejax.evaluation.own_examples import OwnExamples, own_examples
from vaejax.evaluation.run import check_examples
from vaejax.run_directory import RunDirectory
from vaejax.types import Conditions, Example, rows_of


@dataclasses.dataclass(frozen=True)
class Options:
    out: Path | None = None
    """The .npz file to write; by default codes.npz in the run's folder."""
    split: Literal["train", "validation", "test"] = "test"
    """Split to encode, of the run's data or of a PATH that has splits."""


def encode(arguments: list[str]) -> int:
    """Write the mean and the standard deviation of q(z | x) for each x."""
    file = None
    if len(arguments) > 1 and not arguments[1].startswith("-"):
        file = Path(arguments[1])
        wanted = "an .npz or .npy file of examples, or a folder of PNG or JPEG images"
        if not file.exists():
            raise UserError(f"there is no file or folder {file}: expected {wanted}")
        if file.is_file() and file.suffix.lower() in (".png", ".jpg", ".jpeg"):
            raise UserError(f"{file} is a single image: give {wanted}")
        arguments = [arguments[0], *arguments[2:]]
    prog = "vaejax encode RUN [PATH]"
    run, options = run_and_options("encode", arguments, Options, prog=prog)
    out = options.out or run.directory.file("codes.npz")
    if out.suffix != ".npz" or not out.parent.is_dir():
        raise UserError(f"--out expects an .npz file in an existing folder; got {out}")
    if run.kind == "no latent variable":
        raise UserError(
            f"{run.directory.path} is a model without a latent variable z: there is no q(z | x)"
        )
    examples, what, files = _examples(run, file, options.split)
    try:
        mean, std = run.encode(examples.x, given=examples.given)
    except ValueError as error:
        words = str(error).removeprefix("encode: ")
        raise UserError(f"{file or options.split}: {words}") from None
    arrays = _by_name("mean", mean) | _by_name("std", std)
    given: Any = examples.given
    if isinstance(given, Conditions):
        arrays["lengths"] = np.asarray(given.exists).sum(axis=1)
    if files is not None:
        arrays["files"] = np.array(files)
    RunDirectory(out.parent).write_arrays(out.name, arrays)
    print(f"{what}; {run.directory.label}, {run.chosen} parameters (step {run.step:,})")
    shapes = ", ".join(str(leaf.shape[1:]) for leaf in jax.tree.leaves(mean))
    print(f"arrays: {out} (mean and std of q(z | x), {_how(run, examples)}; z of shape {shapes})")
    return 0


def _examples(run: Run, file: Path | None, split: str) -> OwnExamples:
    """The examples, in words which ones they are, and the file name of each image."""
    if file is None:
        check_examples(run.dataset, split, None)
        examples = run.examples(split)
        return OwnExamples(examples, f"{len(examples.x):,} examples of the {split} split")
    examples, done, files = own_examples(file, run.data, split)
    order = ", in the order of their file names" if files is not None else ""
    return OwnExamples(examples, f"{len(examples.x):,} examples of {file}{order}, {done}", files)


def _how(run: Run, examples: Example) -> str:
    """How the mean and the standard deviation are computed, in words."""
    first = rows_of(examples, 0)
    zeros: Any = run.data.example().x
    q = run.posterior(np.asarray(first.x, zeros.dtype), first.given)
    return "in closed form" if has_mean(q) and has_std(q) else "estimated from 100 draws of q"


def _by_name(name: str, tree: Any) -> dict[str, np.ndarray]:
    """{name: array}; where z has several arrays, {name/<path in z>: array} for each."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return {f"{name}/{p}" if p else name: leaf for p, (_, leaf) in zip(paths, leaves, strict=True)}
