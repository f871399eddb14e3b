"""Feature vectors beside samples: the table's numbers, and how many there are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from vaejax.evaluation.marginals import marginals_figure, marginals_table, num_drawn

RANDOM = np.random.RandomState(0)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_the_table_has_the_moments_and_quantiles_of_both(size):
    examples = RANDOM.normal(3.0, 2.0, (101, size))
    samples = RANDOM.normal(5.0, 1.0, (201, size))
    header, rows = marginals_table(examples, samples, "test")
    assert header[0].startswith("101 test examples, 201 samples of the model")
    assert header[1:5] == ["test mean", "model mean", "test std", "model std"]
    assert ("; 12 of 20 features" in header[0]) == (size == 20)
    assert [row[0] for row in rows] == [f"x[{i}]" for i in range(min(size, 12))]
    for i, row in enumerate(rows):
        ordered = np.sort(examples[:, i]), np.sort(samples[:, i])
        quantiles = [ordered[0][[5, 50, 95]], ordered[1][[10, 100, 190]]]
        numbers = [np.array(cell.split(", "), float) for cell in row[1:]]
        expected = [f(x[:, i]) for f in (np.mean, np.std) for x in (examples, samples)] + quantiles
        for found, value in zip(numbers, expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("size", "panels"), [(1, 1), (2, 4), (9, 16)])
def test_the_figure_has_at_most_four_features(size, panels):
    figure, caption = marginals_figure(RANDOM.normal(size=(30, size)), np.ones((50, size)), "test")
    assert len(figure.axes) == panels
    assert "test examples in blue" in caption
    plt.close(figure)


def test_fewer_of_many_features():
    assert [num_drawn(size) for size in (2, 200, 784, 10**6)] == [1000, 1000, 255, 64]
