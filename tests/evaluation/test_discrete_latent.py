"""What is measured by gradients in z, asked of a model whose z is a whole number."""

import distrax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import a_run
from vaejax.distributions import DiagonalGaussian
from vaejax.errors import SettingError
from vaejax.evaluation.cost import COST_MEASUREMENT, Cost
from vaejax.evaluation.gaps import GAPS_MEASUREMENT, Gaps
from vaejax.evaluation.gradient_quality import GRADIENTS_MEASUREMENT, GradientQuality
from vaejax.evaluation.log_likelihood import LOG_LIKELIHOOD_MEASUREMENT as LOG_LIKELIHOOD
from vaejax.evaluation.log_likelihood import LogLikelihood, log_likelihood
from vaejax.types import GenerativeModel, InferenceNetwork, Joint, Params

MODEL = GenerativeModel(
    lambda key: jnp.zeros(3),
    lambda theta, given=(): Joint(
        distrax.Categorical(theta), lambda z: DiagonalGaussian(z[None] * 1.0, jnp.zeros(1))
    ),
)
Q = InferenceNetwork(
    lambda key: jnp.zeros(3), lambda phi, x, joint, given=(): distrax.Categorical(phi + x)
)
RUN = a_run(MODEL, Q, Params(jnp.zeros(3), jnp.zeros(3)), np.zeros((4, 1), np.float32))


@pytest.mark.parametrize("estimator", ["annealed", "smc", "bidirectional"])
def test_an_estimator_that_moves_z_by_gradients_is_refused(estimator):
    settings = LogLikelihood(estimator=estimator, examples=2)
    with pytest.raises(SettingError, match=r"z has whole numbers: give estimator importance$"):
        LOG_LIKELIHOOD.undefined(RUN, settings)


def test_of_all_estimators_those_that_any_z_has_are_left():
    settings = LogLikelihood(estimator="all", examples=2)
    assert LOG_LIKELIHOOD.undefined(RUN, settings) is None
    assert [part.name for part in log_likelihood(RUN, settings)] == ["importance"]


def test_what_fits_or_differentiates_a_real_z_is_refused():
    assert "its z has whole numbers" in GAPS_MEASUREMENT.undefined(RUN, Gaps(examples=2))
    assert "its z has whole numbers" in GRADIENTS_MEASUREMENT.undefined(RUN, GradientQuality())
    assert "its z has whole numbers" in COST_MEASUREMENT.undefined(RUN, Cost(examples=2))
