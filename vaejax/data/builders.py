"""TFDS builders that need no TensorFlow: plain Tensor features, array_record files."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from vaejax.data import catalogue


class VaejaxMnist(tfds.core.GeneratorBasedBuilder):
    """MNIST from the four published IDX files."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(28, 28), dtype=np.uint8),
                    "label": tfds.features.Tensor(shape=(), dtype=np.int32),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        files = dl_manager.download(
            {name: catalogue.MNIST_URL + name for name in catalogue.MNIST_FILES}
        )
        content = {
            name: catalogue.verified(Path(files[name]), name, checksum)
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
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Tensor(shape=(28, 28), dtype=np.uint8)}
            ),
        )

    def _split_generators(self, dl_manager):
        files = dl_manager.download(
            {name: catalogue.BINARIZED_URL + name for name in catalogue.BINARIZED_FILES}
        )
        content = {
            name: catalogue.verified(Path(files[name]), name, checksum)
            for name, checksum in catalogue.BINARIZED_FILES.items()
        }
        return {
            split: self._generate_examples(content[f"binarized_mnist_{stem}.amat"])
            for split, stem in (("train", "train"), ("validation", "valid"), ("test", "test"))
        }

    def _generate_examples(self, text):
        for index, line in enumerate(text.splitlines()):
            yield index, {"image": np.array(line.split(), np.uint8).reshape(28, 28)}
