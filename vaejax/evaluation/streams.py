"""Independent streams of a run's key, apart from those of the data protocol's own key."""

TRAIN, EVALUATE, PICTURES, SAMPLE, LOG_LIKELIHOOD = range(1001, 1006)
GAPS, COST, POSTERIOR = 1020, 1030, 1040  # log-likelihood takes a stream for each estimator
GRADIENTS, LATENT_USE, COMPARE, FORECAST, ENCODE, PLANE = range(1101, 1107)
