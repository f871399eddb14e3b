"""scikit-learn's 8x8 digits."""

import numpy as np

from vaejax.data.source import Source, Stored


def _load() -> Stored:
    """The last 297 are the test split. They are not shuffled, so that the writers of the two splits
    differ."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target
    return Stored(
        images[:1500], images[1500:], 16, labels={"train": labels[:1500], "test": labels[1500:]}
    )


SOURCE = Source(
    "digits",
    "1,797 8x8 grey digits, part of scikit-learn",
    "dynamic",
    200,
    _load,
    lambda: "inside scikit-learn",
)
