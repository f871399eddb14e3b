"""scikit-learn's 8x8 digits."""

import numpy as np

from vaejax.data.source import Source, Stored


def _load() -> Stored:
    """The last 297 are the test split: no shuffle, so that writers are not shared by chance."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target
    return Stored(
        images[:1500], images[1500:], 16, labels={"train": labels[:1500], "test": labels[1500:]}
    )


SOURCE = Source(
    "digits",
    "1,797 8x8 grey digits that scikit-learn carries",
    "dynamic",
    200,
    _load,
    lambda: "inside scikit-learn",
)
