"""A linear probe where the best possible accuracy is known."""

import numpy as np
import pytest
from scipy.stats import norm

from vaejax.evaluation import linear_probe


def codes(seed, n, separation, unit=1.0):
    """Two Gaussians of covariance I: the best rule is linear, right with Phi(separation / 2)."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    points = random.normal(size=(n, 4))
    points[:, 1] += separation * labels
    return unit * points + 5, labels


@pytest.mark.parametrize("separation", [0.0, 1.5, 20.0])
def test_the_accuracy_is_that_of_the_best_rule(separation):
    best = norm.cdf(separation / 2)
    found = linear_probe(*codes(0, 3000, separation), *codes(1, 3000, separation), seed=0)
    # The fitted rule is a little worse than the best.
    error = max(found["std_error"], 1e-9)
    assert -4 * error - 0.005 < found["accuracy"] - best < 4 * error
    np.testing.assert_allclose(found["std_error"], (best * (1 - best) / 3000) ** 0.5, atol=5e-4)


def test_units_of_the_code_do_not_matter():
    one = linear_probe(*codes(0, 500, 1.5), *codes(1, 500, 1.5), seed=0)
    other = linear_probe(*codes(0, 500, 1.5, 1e-4), *codes(1, 500, 1.5, 1e-4), seed=0)
    assert one == other


def test_the_penalty_is_needed_and_chosen():
    """60 codes of 50 dimensions, one of which tells: an unpenalized fit would do far worse."""
    random = np.random.default_rng(0)

    def drawn(n):
        labels = random.integers(0, 2, n)
        return random.normal(size=(n, 50)) + 0.6 * labels[:, None], labels

    train, test = drawn(80), drawn(2000)
    found = linear_probe(*train, *test, seed=0)
    from sklearn.linear_model import LogisticRegression

    free = LogisticRegression(C=1e6, max_iter=5000).fit(*train).score(*test)
    assert found["accuracy"] > free + 2 * found["std_error"]


@pytest.mark.parametrize(
    "train, words",
    [
        ((np.ones((4, 2, 2)), np.arange(4)), r"training codes \(n, d\)"),
        ((np.ones((4, 2)), np.arange(5)), "5 labels"),
        ((np.full((4, 2), np.inf), np.arange(4)), "finite training codes"),
    ],
)
def test_what_is_refused(train, words):
    with pytest.raises(ValueError, match=words):
        linear_probe(*train, np.ones((4, 2)), np.arange(4), seed=0)
