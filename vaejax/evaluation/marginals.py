"""Examples and samples of feature vectors compared, feature by feature."""

import itertools
from typing import Any

import numpy as np
from jaxtyping import Float

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import BLUE, ORANGE, Table

MOST_DRAWN = 1000  # most examples, and most samples
_MOST_LISTED, _MOST_PLOTTED = 12, 4  # most features in the table, in the figure
_QUANTILES = (0.05, 0.5, 0.95)


def num_drawn(size: int) -> int:
    """The number of examples, and of samples, with `size` features that are kept: 64 to 1,000."""
    return min(MOST_DRAWN, max(64, 200_000 // size))


def marginals_table(
    examples: Float[np.ndarray, "n d"], samples: Float[np.ndarray, "m d"], split: str
) -> Table:
    """A table of the mean, standard deviation and quantiles of each feature, for both."""
    size = examples.shape[1]
    what = f"{len(examples):,} {split} examples, {len(samples):,} samples of the model"
    if size > _MOST_LISTED:
        what += f"; {_MOST_LISTED} of {size} features"
    columns = itertools.product(("mean", "std", "quantiles 5, 50, 95 %"), (split, "model"))
    header = [what, *(f"{source} {name}" for name, source in columns)]
    rows = []
    for i in range(min(size, _MOST_LISTED)):
        pair = examples[:, i], samples[:, i]
        quantiles = [", ".join(_shown(np.quantile(v, q)) for q in _QUANTILES) for v in pair]
        means, stds = [_shown(v.mean()) for v in pair], [_shown(v.std()) for v in pair]
        rows.append([f"x[{i}]", *means, *stds, *quantiles])
    return Table(header, rows)


def _shown(value: float) -> str:
    return f"{value:.4g}"


def marginals_figure(
    examples: Float[np.ndarray, "n d"], samples: Float[np.ndarray, "m d"], split: str
) -> tuple[Any, str]:
    """A figure with histograms of the first features, and scatter plots of each pair."""
    size = min(examples.shape[1], _MOST_PLOTTED)
    figure, grid = plt.subplots(size, size, figsize=(2.2 * size + 0.8,) * 2, squeeze=False)
    as_many = samples[: len(examples)]
    for i, j in itertools.product(range(size), repeat=2):
        axes = grid[i, j]
        axes.tick_params(labelsize=7)
        if i == j:
            both = np.concatenate([examples[:, i], samples[:, i]])
            bins = np.histogram_bin_edges(both, int(np.clip(len(examples) ** 0.5, 5, 30)))
            axes.hist(examples[:, i], bins, density=True, color=BLUE, alpha=0.6, label=split)
            axes.hist(samples[:, i], bins, density=True, color=ORANGE, alpha=0.6, label="samples")
        else:
            axes.scatter(examples[:, j], examples[:, i], s=3, color=BLUE, alpha=0.5)
            axes.scatter(as_many[:, j], as_many[:, i], s=3, color=ORANGE, alpha=0.5)
        if j == 0:
            axes.set_ylabel("density" if size == 1 else f"x[{i}]", fontsize=8)
        if i == size - 1:
            axes.set_xlabel(f"x[{j}]", fontsize=8)
    grid[0, 0].legend(fontsize=7)
    figure.tight_layout()
    features = "The feature" if size == 1 else f"The first {size} features"
    return figure, (
        f"{features} of x: {split} examples in blue, samples of the model in orange. On the "
        "diagonal the density of each feature; elsewhere each pair, with as many samples as "
        "examples."
        if size > 1
        else f"{features} of x: {split} examples in blue, samples of the model in orange."
    )
