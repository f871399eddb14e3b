"""Exact log p(x) of each example, for models with a latent variable where it can be computed."""

import numpy as np

from vaejax.evaluation.measurement import Arrays
from vaejax.evaluation.run import Run, rows_with_equal_conditions
from vaejax.marginal_likelihood import exact
from vaejax.types import Conditions, Example, num_rows, rows_of

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
    `exact_reason`. Consecutive examples with equal conditions share their p(x, z)."""
    parts = []
    for rows in rows_with_equal_conditions(examples.given, num_rows(examples)):
        found = exact(run.joint(rows_of(examples.given, int(rows[0]))))
        assert found is not None
        parts.append(found.log_marginal(rows_of(examples.x, rows)))
    values, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"log_p": values, "log_p_std_error": errors}
