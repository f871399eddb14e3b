"""Exact log p(x) of each example, for models with a latent variable where it can be computed."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from vaejax.evaluation.measurement import Arrays, MaySpend, rows_in
from vaejax.evaluation.run import Run
from vaejax.marginal_likelihood import exact
from vaejax.types import Conditions, Example, num_rows, rows_of

_BLOCK = 100  # examples between two saves
_TRIED = 3  # steps of a sequence, enough to see whether a model is linear


def exact_reason(run: Run, example: Example) -> str | None:
    """Why log p(x) can be computed exactly under this model, in words; else None. For a sequence,
    its first steps are tried before the whole."""
    if run.kind != "latent variable":
        return None
    given = example.given
    if isinstance(given, Conditions) and exact(run.joint(rows_of(given, slice(_TRIED)))) is None:
        return None
    found = exact(run.joint(given))
    return found and found.reason


def exact_log_p(run: Run, examples: Example) -> Arrays:
    """`log_p` and its error from rounding, `log_p_std_error`, in nats, for a model with an
    `exact_reason`. Examples with conditions each have their own p(x, z)."""
    unconditional = not jax.tree.leaves(examples.given)
    rows = np.arange(num_rows(examples))
    parts = []
    for group in [rows] if unconditional else rows[:, None]:
        example = rows_of(examples, group)
        found = exact(run.joint(() if unconditional else rows_of(example.given, 0)))
        assert found is not None
        parts.append(found.log_marginal(example.x))
    values, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"log_p": values, "log_p_std_error": errors}


def exact_blocks(run: Run, examples: Example) -> Callable[[Arrays, MaySpend], Iterator[Arrays]]:
    """`Part.blocks` of `exact_log_p`."""
    count = num_rows(examples)

    def blocks(found: Arrays, may_spend: MaySpend) -> Iterator[Arrays]:
        begin = rows_in(found)
        while begin < count and may_spend(0):
            rows = np.arange(begin, min(begin + _BLOCK, count))
            new = exact_log_p(run, rows_of(examples, rows))
            found = {k: np.concatenate([found[k], v]) if found else v for k, v in new.items()}
            begin = rows_in(found)
            yield found

    return blocks
