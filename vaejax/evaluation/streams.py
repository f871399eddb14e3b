"""Numbers of independent streams of random keys: one for each purpose of a run's seed."""

TRAIN, EVALUATE, PICTURES, SAMPLE, LOG_LIKELIHOOD = range(1001, 1006)
GAPS, COST, POSTERIOR = 1020, 1030, 1040  # log-likelihood has a stream for each estimator
GRADIENTS, LATENT_USE, COMPARE, FORECAST, ENCODE, PLANE = range(1101, 1107)
