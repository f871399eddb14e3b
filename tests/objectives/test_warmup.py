"""KL warm-up against its values written out."""

import jax
import numpy as np
import pytest

from vaejax.objectives import linear_warmup


@pytest.mark.parametrize(
    "num_steps, truth",
    [(4, [0.25, 0.5, 0.75, 1, 1, 1]), (1, [1] * 6), (0, [1] * 6)],
)
def test_values(num_steps, truth):
    assert [float(linear_warmup(step, num_steps)) for step in range(6)] == truth
    compiled = jax.jit(jax.vmap(lambda step: linear_warmup(step, num_steps)))
    np.testing.assert_allclose(compiled(np.arange(6)), truth, rtol=1e-6)


def test_a_long_warmup_ends_at_one():
    assert float(linear_warmup(np.int32(2_999_999), 3_000_000)) == 1.0
    assert float(linear_warmup(np.int32(2_999_000), 3_000_000)) < 1.0
