"""A feature space learned from the data: the last hidden layer of a small classifier."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int
from threadpoolctl import threadpool_limits

from vaejax.evaluation.summary import mean_and_errors

_HIDDEN = (256, 64)
_SEEN = 600_000  # training examples seen over all epochs, of which there are 10 to 40
_BLOCK = 10_000  # examples at a time


class Features(NamedTuple):
    """A trained classifier, its features, and its description."""

    apply: Callable[[np.ndarray], Float32[np.ndarray, "n d"]]
    """xs (n, *shape) -> the last hidden layer (n, d), scaled so that its mean square over the
    training examples is 1."""
    predict: Callable[[np.ndarray], Int[np.ndarray, " n"]]
    """xs (n, *shape) -> labels."""
    accuracy: float
    """Share of the test examples whose label is predicted."""
    accuracy_std_error: float
    """Its standard error over the test examples."""
    description: str
    """Architecture, number of training examples, accuracy and seed, in one line."""


def fit_features(
    xs: np.ndarray,
    labels: np.ndarray,
    test_xs: np.ndarray,
    test_labels: np.ndarray,
    *,
    seed: int,
) -> Features:
    """Train a classifier with two ReLU layers by Adam (scikit-learn, otherwise its defaults) on xs
    (n, *shape), as the models see and generate them: binary if the data are binarized. Nothing is
    chosen on the test examples. The same arrays and seed give the same features.

    Raises:
      ValueError: the numbers of examples and labels differ; there is only one class; values are not
        finite.
    """
    for name, some, of in (("training", xs, labels), ("test", test_xs, test_labels)):
        if len(some) != len(of) or len(some) < 2:
            raise ValueError(
                f"expected at least 2 {name} examples, each with a label; got {len(some)} examples "
                f"and {len(of)} labels"
            )
        if not np.isfinite(some).all():
            raise ValueError(f"expected finite {name} examples; got NaN or infinite values")
    if len(np.unique(labels)) < 2:
        raise ValueError(f"expected labels of at least 2 classes; all are {labels[0]}")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    epochs = min(40, max(10, _SEEN // len(xs)))
    classifier = MLPClassifier(
        _HIDDEN, batch_size=min(100, len(xs)), max_iter=epochs, random_state=seed
    )
    # The matrices are small: on a busy machine, a second thread makes each step much slower.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # the number of epochs is fixed on purpose
        classifier.fit(_flat(xs), labels)

    def hidden(some: np.ndarray) -> Float32[np.ndarray, "n d"]:
        layer = _flat(some)
        weights = zip(classifier.coefs_[:-1], classifier.intercepts_[:-1], strict=True)
        for weight, bias in weights:
            layer = np.maximum(layer @ weight + bias, 0)
        return layer.astype(np.float32)

    def in_blocks(function, some: np.ndarray) -> np.ndarray:
        starts = range(0, max(len(some), 1), _BLOCK)
        return np.concatenate([function(some[start : start + _BLOCK]) for start in starts])

    unit = float(np.sqrt(np.mean(in_blocks(hidden, xs) ** 2, dtype=np.float64)))

    def apply(some: np.ndarray) -> Float32[np.ndarray, "n d"]:
        return in_blocks(hidden, some) / np.float32(unit)

    def predict(some: np.ndarray) -> Int[np.ndarray, " n"]:
        return in_blocks(lambda block: classifier.predict(_flat(block)), some)

    correct = mean_and_errors(predict(test_xs) == test_labels)
    widths = [layer.shape[0] for layer in classifier.coefs_] + [len(classifier.classes_)]
    description = (
        f"last hidden layer ({_HIDDEN[-1]} features) of a {'-'.join(map(str, widths))} ReLU "
        f"classifier trained on {len(xs):,} training examples with their labels for "
        f"{classifier.n_iter_} epochs, seed {seed}; test accuracy {correct['mean']:.3f} +- "
        f"{correct['std_error_data']:.3f} (n = {len(test_xs):,})"
    )
    return Features(apply, predict, correct["mean"], correct["std_error_data"], description)


def _flat(xs: np.ndarray) -> Float32[np.ndarray, "n d"]:
    return np.asarray(xs, np.float32).reshape(len(xs), -1)
