"""TFDS builders that need no TensorFlow: plain Tensor features, array_record files.

TFDS shuffles the examples it writes by the hash of their keys. Keys and splits here are those of
TFDS's own `mnist` and `binarized_mnist`, so the order, and with it the validation split, is too.
"""

import numpy as np
import tensorflow_datasets as tfds

from vaejax.data import catalogue
from vaejax.data.download import fetch


def _image() -> tfds.features.Tensor:
    """uint8 (28, 28), stored as 784 bytes: by default TFDS makes an int64 of every pixel."""
    return tfds.features.Tensor(
        shape=(28, 28), dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
    )


class VaejaxMnist(tfds.core.GeneratorBasedBuilder):
    """MNIST from the four published IDX files."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.Tensor(shape=(), dtype=np.int32)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": _image(), "label": label})
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # without a network its ten silent tries take minutes
        content = {
            name: fetch(catalogue.MNIST_URL + name, checksum)
            for name, checksum in catalogue.MNIST_FILES.items()
        }
        return {
            split: self._generate_examples(
                content[f"{stem}-images-idx3-ubyte.gz"], content[f"{stem}-labels-idx1-ubyte.gz"]
            )
            for split, stem in (("train", "train"), ("test", "t10k"))
        }

    def _generate_examples(self, images, labels):
        images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
        labels = np.frombuffer(labels, np.uint8, offset=8)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}


class VaejaxBinarizedMnist(tfds.core.GeneratorBasedBuilder):
    """Statically binarized MNIST from the three published text files: 784 digits a line."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": _image()})
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        content = {
            name: fetch(catalogue.BINARIZED_URL + name, checksum)
            for name, checksum in catalogue.BINARIZED_FILES.items()
        }
        return {
            split: self._generate_examples(content[f"binarized_mnist_{stem}.amat"])
            for split, stem in (("train", "train"), ("validation", "valid"), ("test", "test"))
        }

    def _generate_examples(self, text):
        for index, line in enumerate(text.splitlines()):
            yield index, {"image": np.array(line.split(), np.uint8).reshape(28, 28)}
