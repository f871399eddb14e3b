"""MNIST from the four published IDX files."""

from collections.abc import Iterator

import numpy as np

from vaejax.data import catalogue
from vaejax.data.source import Source, Stored


def _examples(content: dict[str, bytes], split: str) -> Iterator[dict]:
    stem = {"train": "train", "test": "t10k"}[split]
    images = np.frombuffer(content[f"{stem}-images-idx3-ubyte.gz"], np.uint8, offset=16)
    labels = np.frombuffer(content[f"{stem}-labels-idx1-ubyte.gz"], np.uint8, offset=8)
    for image, label in zip(images.reshape(-1, 28, 28), labels, strict=True):
        yield {"image": image, "label": int(label)}


PUBLISHED = catalogue.Published(
    name="mnist",
    url="https://storage.googleapis.com/cvdf-datasets/mnist/",
    checksums={  # MD5 of the uncompressed files, as published
        "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
    },
    splits=("train", "test"),
    labelled=True,
    examples=_examples,
)


def _load() -> Stored:
    arrays = catalogue.load(PUBLISHED)
    labels = {split: arrays[f"{split}_labels"] for split in PUBLISHED.splits}
    return Stored(arrays["train"], arrays["test"], 255, labels=labels)


SOURCE = Source(
    "mnist",
    "70,000 28x28 grey digits (LeCun et al. 1998)",
    "dynamic",
    10_000,
    _load,
    lambda: catalogue.whereabouts(PUBLISHED),
)
