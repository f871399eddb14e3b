"""log p(x) of each example, exactly, of a model with latents that has it."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from vaejax.evaluation.measurement import Arrays, MaySpend, rows_in
from vaejax.evaluation.run import Run
from vaejax.marginal_likelihood import exact
from vaejax.types import Conditions, Example, num_rows, rows_of

_BLOCK = 100  # examples between two savings
_TRIED = 3  # steps of a sequence that tell whether a model is linear


def exact_reason(run: Run, example: Example) -> str | None:
    """Why log p(x) is exact under this model, else None; found by one example, of a sequence by its
    first steps and then by all of it."""
    if run.kind != "latent variable":
        return None
    given = example.given
    if isinstance(given, Conditions) and exact(run.joint(rows_of(given, slice(_TRIED)))) is None:
        return None
    found = exact(run.joint(given))
    return found and found.reason


def exact_blocks(run: Run, examples: Example) -> Callable[[Arrays, MaySpend], Iterator[Arrays]]:
    """`Part.blocks` of `log_p` and `log_p_std_error`, the error from rounding, of a model that has
    an `exact_reason`. Examples that are given something have each their own joint."""
    count = num_rows(examples)
    alike = not jax.tree.leaves(examples.given)

    def measured(rows: np.ndarray) -> Arrays:
        groups = [rows] if alike else rows[:, None]
        parts = []
        for group in groups:
            example = rows_of(examples, group)
            found = exact(run.joint(() if alike else rows_of(example.given, 0)))
            assert found is not None
            parts.append(found.log_marginal(example.x))
        values, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
        return {"log_p": values, "log_p_std_error": errors}

    def blocks(found: Arrays, may_spend: MaySpend) -> Iterator[Arrays]:
        begin = rows_in(found)
        while begin < count and may_spend(0):
            new = measured(np.arange(begin, min(begin + _BLOCK, count)))
            found = {k: np.concatenate([found[k], v]) if found else v for k, v in new.items()}
            begin = rows_in(found)
            yield found

    return blocks
