"""TFDS builders that need no TensorFlow: plain Tensor features, array_record files.

TFDS shuffles the examples that it writes by the hash of their keys. Keys and splits here are the
same as in TFDS's own data sets, so the order and the validation split are the same too.
"""

import numpy as np
import tensorflow_datasets as tfds

from vaejax.data.download import fetch


def builder_class(published) -> type:
    """The TFDS builder class of a `catalogue.Published`; it downloads the files."""

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        name = f"vaejax_{published.name}"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                # Stored as bytes: by default TFDS makes an int64 of every value.
                published.feature: tfds.features.Tensor(
                    shape=published.shape, dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
                )
            }
            if published.labelled:
                features["label"] = tfds.features.Tensor(shape=(), dtype=np.int32)
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            del dl_manager  # without a network it would try ten times, silently, for minutes
            content = {
                name: fetch(published.url + name, checksum)
                for name, checksum in published.checksums.items()
            }
            return {split: self._generate_examples(content, split) for split in published.splits}

        def _generate_examples(self, content, split):
            yield from enumerate(published.examples(content, split))

    return Builder
