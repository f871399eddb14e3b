"""What a model of sequences refuses to be given."""

import jax
import numpy as np
import pytest

from vaejax.generative.conditions import check_conditions
from vaejax.types import Conditions


def test_the_steps_that_exist_come_first():
    check_conditions(Conditions(np.arange(6) < 4), 0)
    jax.jit(lambda exists: check_conditions(Conditions(exists), 0))(np.arange(6) < 4)
    with pytest.raises(ValueError, match="must be the first ones; got exists with a gap"):
        check_conditions(Conditions(np.arange(6) != 2), 0)
    with pytest.raises(ValueError, match="exists must be an array"):
        check_conditions(Conditions([True] * 6), 0)
