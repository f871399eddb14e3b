"""A classifier where the best possible accuracy is known, and its features."""

import numpy as np
import pytest

from vaejax.evaluation import fit_features


def drawn(seed, n, flip=0.1):
    """Binary 2 x 2 images of noise; the label is the last pixel, wrong with probability 0.1."""
    random = np.random.default_rng(seed)
    xs = random.integers(0, 2, (n, 2, 2)).astype(np.uint8)
    return xs, xs[:, 1, 1] ^ (random.random(n) < flip)


@pytest.fixture(scope="module")
def features():
    return fit_features(*drawn(0, 800), *drawn(1, 1000), seed=0)


def test_accuracy_is_near_the_best(features):
    assert abs(features.accuracy - 0.9) < 4 * features.accuracy_std_error
    assert features.accuracy_std_error < 0.02
    xs, labels = drawn(1, 1000)
    assert np.mean(features.predict(xs) == labels) == features.accuracy
    expected = (features.accuracy * (1 - features.accuracy) / 999) ** 0.5
    np.testing.assert_allclose(features.accuracy_std_error, expected, rtol=1e-6)
    assert "800 training examples" in features.description
    assert f"{features.accuracy:.3f}" in features.description
    assert "4-256-64-2" in features.description


def test_features_are_those_that_the_classifier_decides_by(features):
    """A linear rule on them finds the classifier's labels again."""
    from sklearn.linear_model import LogisticRegression

    xs = drawn(2, 200)[0]
    found, labels = features.apply(xs), features.predict(xs)
    assert found.shape == (200, 64) and found.dtype == np.float32
    rule = LogisticRegression(C=100, max_iter=5000).fit(found[:100], labels[:100])
    assert rule.score(found[100:], labels[100:]) > 0.95
    np.testing.assert_allclose(np.mean(features.apply(drawn(0, 800)[0]) ** 2), 1, rtol=1e-4)


def test_features_do_not_depend_on_the_batch_and_the_seed_decides_them(features):
    xs = drawn(3, 50)[0]
    whole = features.apply(xs)
    np.testing.assert_allclose(features.apply(xs[7:9]), whole[7:9], rtol=1e-4, atol=1e-5)
    again = fit_features(*drawn(0, 800), *drawn(1, 1000), seed=0)
    np.testing.assert_array_equal(again.apply(xs), whole)
    other = fit_features(*drawn(0, 800), *drawn(1, 1000), seed=1)
    assert np.abs(other.apply(xs) - whole).max() > 0.1


def test_what_is_refused():
    xs, labels = drawn(0, 20)
    with pytest.raises(ValueError, match="20 examples and 19 labels"):
        fit_features(xs, labels[1:], xs, labels, seed=0)
    with pytest.raises(ValueError, match="at least 2 classes"):
        fit_features(xs, np.zeros(20, int), xs, labels, seed=0)
    with pytest.raises(ValueError, match="finite test examples"):
        fit_features(xs, labels, np.full((20, 2, 2), np.nan), labels, seed=0)
