"""MNIST through TensorFlow Datasets, without TensorFlow.

A directory prepared by anyone (`TFDS_DATA_DIR`, array_record) is read as it is. Where there is
none, the builders below download the published files, verify them and prepare one.
"""

import gzip
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from vaejax.cache import cache_folder
from vaejax.errors import UserError

MNIST_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
MNIST_FILES = {  # MD5 of the uncompressed files, as published
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}
BINARIZED_URL = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
BINARIZED_FILES = {  # SHA-256, as TensorFlow Datasets records them
    "binarized_mnist_train.amat": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "binarized_mnist_valid.amat": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "binarized_mnist_test.amat": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}
SPLITS = {"mnist": ("train", "test"), "binarized_mnist": ("train", "validation", "test")}


def data_dir() -> Path:
    """`$TFDS_DATA_DIR`, by default where TensorFlow Datasets keeps its data."""
    return Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")


def whereabouts(name: str) -> str:
    """Where a data set is, or what would be fetched."""
    prepared = _prepared(name)
    if prepared:
        return f"prepared in {prepared}"
    url, files = (MNIST_URL, MNIST_FILES) if name == "mnist" else (BINARIZED_URL, BINARIZED_FILES)
    return f"not here: would fetch {len(files)} files from {url} into {data_dir()}"


def load(name: str) -> dict[str, np.ndarray]:
    """Images uint8 (n, 28, 28) by split, and `<split>_labels` where there are labels."""
    folder = _prepared(name) or _prepare(name)
    cached = cache_folder() / "data" / f"{name}-{_identity(folder)}.npz"
    if cached.is_file():
        try:
            with np.load(cached, allow_pickle=False) as file:
                return dict(file)
        except Exception:  # a damaged cache is only slower: decode again
            cached.unlink(missing_ok=True)
    arrays = _decode(name, folder)
    _write_cache(cached, arrays)
    return arrays


def _prepared(name: str) -> Path | None:
    """The newest array_record version of the data set: TFDS's own, or one made by `_prepare`."""
    for builder in (name, f"vaejax_{name}"):
        for info in sorted((data_dir() / builder).glob("*/dataset_info.json"), reverse=True):
            try:
                file_format = json.loads(info.read_text()).get("fileFormat")
            except (OSError, ValueError):
                continue
            if file_format == "array_record":
                return info.parent
    return None


def _identity(folder: Path) -> str:
    """Changes when the prepared files do."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for file in sorted(folder.iterdir()):
        stat = file.stat()
        digest.update(f"{file.name}{stat.st_size}{stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _decode(name: str, folder: Path) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    arrays = {}
    try:
        builder = tfds.builder_from_directory(folder)
        for split in SPLITS[name]:
            source = builder.as_data_source(split=split)
            rows = [source[i] for i in range(len(source))]
            arrays[split] = np.stack([row["image"] for row in rows]).reshape(-1, 28, 28)
            if "label" in rows[0]:
                arrays[f"{split}_labels"] = np.array([row["label"] for row in rows], np.int32)
    except Exception as error:
        raise UserError(
            f"cannot read the data set prepared in {folder}: {_first_line(error)}; delete that "
            "folder to have it prepared again"
        ) from error
    return arrays


def _write_cache(path: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(f"{path.stem}-{os.getpid()}.tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, **arrays)
        temporary.replace(path)
    except OSError:  # without a cache the next start decodes again, nothing worse
        temporary.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def _prepare(name: str) -> Path:
    from vaejax.data.builders import VaejaxBinarizedMnist, VaejaxMnist

    builder_class = VaejaxMnist if name == "mnist" else VaejaxBinarizedMnist
    try:
        builder = builder_class(data_dir=str(data_dir()), file_format="array_record")
        builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:
        url = MNIST_URL if name == "mnist" else BINARIZED_URL
        raise UserError(
            f"could not fetch {name} from {url} into {data_dir()}: {_first_line(error)}; check the "
            "network, or point TFDS_DATA_DIR at a folder where it is prepared as array_record"
        ) from error
    return Path(builder.data_dir)


def verified(path: Path, name: str, expected: str) -> bytes:
    """The content of a downloaded file, uncompressed; deleted if its checksum is wrong, so that
    the next try downloads it again."""
    content = path.read_bytes()
    algorithm = hashlib.md5 if len(expected) == 32 else hashlib.sha256
    try:
        content = gzip.decompress(content) if name.endswith(".gz") else content
        actual = algorithm(content).hexdigest()
    except (OSError, EOFError, ValueError):
        actual = "not a gzip file"
    if actual != expected:
        path.unlink(missing_ok=True)
        raise UserError(
            f"{name} has the wrong checksum: expected {expected}, got {actual}; the download was "
            "deleted: try again, or check for a proxy that answers in the server's place"
        )
    return content
