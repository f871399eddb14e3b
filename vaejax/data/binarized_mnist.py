"""Statically binarized MNIST from the three published text files: 784 numbers a line."""

from collections.abc import Iterator

import numpy as np

from vaejax.data import catalogue
from vaejax.data.source import Source, Stored


def _examples(content: dict[str, bytes], split: str) -> Iterator[dict]:
    stem = {"train": "train", "validation": "valid", "test": "test"}[split]
    for line in content[f"binarized_mnist_{stem}.amat"].splitlines():
        yield {"image": np.array(line.split(), np.uint8).reshape(28, 28)}


PUBLISHED = catalogue.Published(
    name="binarized_mnist",
    url="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    checksums={  # SHA-256, as TensorFlow Datasets records them
        f"binarized_mnist_{split}.amat": checksum
        for split, checksum in (
            ("train", "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d"),
            ("valid", "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2"),
            ("test", "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"),
        )
    },
    splits=("train", "validation", "test"),
    labelled=False,
    examples=_examples,
)


def _load() -> Stored:
    arrays = catalogue.load(PUBLISHED)
    return Stored(arrays["train"], arrays["test"], 1, validation=arrays["validation"])


SOURCE = Source(
    "binarized_mnist",
    "MNIST binarized once (Larochelle & Murray 2011)",
    "static",
    10_000,
    _load,
    lambda: catalogue.whereabouts(PUBLISHED),
)
