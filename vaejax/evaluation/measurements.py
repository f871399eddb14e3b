"""The table of measurements."""

from vaejax.evaluation.cost import COST_MEASUREMENT
from vaejax.evaluation.evaluate import EVALUATION
from vaejax.evaluation.forecasts import FORECAST_MEASUREMENT
from vaejax.evaluation.gaps import GAPS_MEASUREMENT
from vaejax.evaluation.gradient_quality import GRADIENTS_MEASUREMENT
from vaejax.evaluation.log_likelihood import LOG_LIKELIHOOD_MEASUREMENT
from vaejax.evaluation.measurement import Measurement
from vaejax.evaluation.posterior import POSTERIOR_MEASUREMENT

# By the name of their command, in the order of the page.
MEASUREMENTS: dict[str, Measurement] = {
    "evaluate": EVALUATION,
    "log-likelihood": LOG_LIKELIHOOD_MEASUREMENT,
    "forecast": FORECAST_MEASUREMENT,
    "gaps": GAPS_MEASUREMENT,
    "cost": COST_MEASUREMENT,
    "gradients": GRADIENTS_MEASUREMENT,
    "posterior": POSTERIOR_MEASUREMENT,
}
