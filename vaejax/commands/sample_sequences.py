"""`vaejax sample` of sequences: new ones, or continuations of test sequences."""

from pathlib import Path
from typing import Any

import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation import Run
from vaejax.evaluation.continuation import why_no_continuation
from vaejax.evaluation.continuation_figures import continuation_figure, way_of
from vaejax.evaluation.run import stream
from vaejax.evaluation.section import Figure
from vaejax.evaluation.sequence_figures import sample_views
from vaejax.evaluation.sequence_samples import DRAWS, continued_sequences, whole_sequences
from vaejax.evaluation.sequence_views import drawn_as
from vaejax.evaluation.streams import SAMPLE
from vaejax.types import Example, rows_of

_CONTINUED = 3  # test sequences that are continued, unless one is named


def sample_sequences(run: Run, options: Any) -> int:
    """Draw sequences, write samples.npz and samples.png, and print what is in them."""
    actions = None if options.actions is None else _actions(run, options.actions)
    continues = [n for n in ("forecast", "example", "start") if getattr(options, n) is not None]
    if continues and options.forecast is None and actions is None:
        raise UserError(
            f"--{continues[0]} continues a test sequence: add --forecast with the number of "
            "frames, or --actions with the actions of the frames that follow"
        )
    draw = _continue if continues else _new
    arrays, figure, lines = draw(run, options, actions)
    run.directory.write_arrays("samples.npz", arrays)
    run.directory.write_bytes("samples.png", figure.drawn[0])
    print(f"{run.directory.label}, {run.chosen} parameters (step {run.step:,}): {lines[0]}")
    print(f"arrays: {run.directory.file('samples.npz')} ({lines[1]})")
    print(f"picture: {run.directory.file('samples.png')}")
    return 0


def _actions(run: Run, path: Path) -> np.ndarray:
    """The actions in a file, float32 (time, action) or (n, time, action)."""
    assert run.data.sequence is not None
    size = run.data.sequence.num_actions
    if size == 0:
        raise UserError(
            "--actions is for models with actions; this run's model has none: leave it out"
        )
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise UserError(f"--actions expects a .npy file; {path} cannot be read as one") from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise UserError(
            f"--actions expects a .npy file of one array; {path} is an .npz: save with np.save"
        )
    numbers = found.dtype.kind in "fiub"
    if not numbers or found.ndim not in (2, 3) or found.shape[-1] != size or 0 in found.shape:
        raise UserError(
            f"--actions expects numbers of shape (time, {size}) or (count, time, {size}); {path} "
            f"has {found.dtype} of shape {found.shape}"
        )
    if not np.isfinite(found).all():
        raise UserError(f"--actions expects finite values; {path} has NaN or infinite ones")
    return found.astype(np.float32)


def _new(run: Run, options: Any, actions: np.ndarray | None) -> tuple[dict, Figure, list[str]]:
    count, length, whose = options.count, run.data.shape[0], ""
    exists = None
    assert run.data.sequence is not None
    if actions is not None:
        actions = actions if actions.ndim == 3 else np.repeat(actions[None], count, axis=0)
        count, length, whose = len(actions), actions.shape[1], f", under {options.actions}"
    elif run.data.sequence.num_actions:
        given: Any = run.examples("test").given
        which = np.arange(count) % len(given.actions)
        actions, exists = given.actions[which], given.exists[which]
        whose = ", each of the length and under the actions of a test sequence"
    exists = np.ones((count, length), bool) if exists is None else exists
    arrays = whole_sequences(stream(options.seed, SAMPLE), run, exists, actions)
    shortest, longest = arrays["lengths"].min(), arrays["lengths"].max()
    frames = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
    draw = drawn_as(arrays["samples"], run.data.support == "real")
    lengths = arrays["lengths"][:_CONTINUED]
    views = sample_views(arrays["samples"], arrays.get("means"), lengths)
    meaning = "samples = x ~ p(x | z), z ~ p(z)"
    return (
        arrays,
        Figure("samples", lambda: (draw(views, run.data.num_categories), "")),
        [
            f"{count} sequences of {frames} frames{whose}",
            meaning + (", means = E[x | z]" if "means" in arrays else "") + ", lengths = frames",
        ],
    )


def _continue(run: Run, options: Any, actions: np.ndarray | None) -> tuple[dict, Figure, list[str]]:
    reason = why_no_continuation(run, use_q=False)
    if reason is not None:
        raise UserError(f"{run.directory.path}: {reason}")
    examples = _examples(run, options)
    given: Any = examples.given
    lengths = given.exists.sum(axis=1)
    seen = _seen(options, lengths)
    n = len(lengths)
    steps = options.forecast if options.forecast is not None else actions.shape[-2]  # type: ignore[union-attr]
    if steps < 1:
        raise UserError(f"--forecast must be at least 1; got {steps}")
    if actions is not None:
        actions = actions if actions.ndim == 3 else np.repeat(actions[None], n, axis=0)
        if actions.shape[:2] != (n, steps):
            raise UserError(
                f"--actions expects {steps} frames of {n} sequences, or of one for all; "
                f"{options.actions} has {actions.shape[1]} frames of {len(actions)} sequences"
            )
    known = run.data.sequence.num_actions == 0 or bool((seen + steps <= lengths).all())  # type: ignore[union-attr]
    if actions is None and not known:
        raise UserError(
            f"--forecast {steps} goes beyond the end of a sequence, where no actions are known: "
            "give --actions FILE.npy, a smaller --start, or a smaller --forecast"
        )
    key = stream(options.seed, SAMPLE)
    arrays = {"x": examples.x, "exists": given.exists, "seen": seen}
    ways = []
    if known:  # with the same key: only the actions differ
        arrays["samples"] = continued_sequences(key, run, examples, seen, steps, None)
        ways.append(way_of("forecast", arrays["samples"]))
    if actions is not None:
        other = continued_sequences(key, run, examples, seen, steps, actions)
        arrays |= {"other_actions": actions, "samples_other_actions": other}
        ways.append(way_of("other actions", other))
    figure = Figure(
        "samples",
        lambda: (
            continuation_figure(
                np.asarray(examples.x)[:_CONTINUED],
                given.exists[:_CONTINUED],
                seen[:_CONTINUED],
                ways,
                run.data.support == "real",
                "5-95 % of draws",
                run.data.num_categories,
            ),
            "",
        ),
    )
    own = "samples = draws of the frames after the first `seen` ones"
    others = "samples_other_actions = the same under the actions in other_actions"
    meaning = "; ".join([*([own] if known else []), *([others] if actions is not None else [])])
    summary = f"{DRAWS} draws of the {steps} frames that follow, for {n} sequences"
    return arrays, figure, [summary, meaning]


def _examples(run: Run, options: Any) -> Example:
    present = len(run.dataset.test)
    if options.example is None:
        return run.examples("test", min(_CONTINUED, present))
    if not 0 <= options.example < present:
        raise UserError(
            f"--example expects an index from 0 to {present - 1} of the test split; got "
            f"{options.example}"
        )
    return rows_of(run.examples("test", options.example + 1), slice(options.example, None))


def _seen(options: Any, lengths: np.ndarray) -> np.ndarray:
    if options.start is None:
        return lengths
    if not 1 <= options.start <= lengths.min():
        raise UserError(
            f"--start must be from 1 to {lengths.min()}, the length of the shortest of these "
            f"sequences; got {options.start}"
        )
    return np.full_like(lengths, options.start)
