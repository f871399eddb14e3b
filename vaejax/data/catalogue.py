"""MNIST through TensorFlow Datasets, without TensorFlow.

A directory prepared by anyone (`TFDS_DATA_DIR`, array_record) is read as it is. Where there is
none, the builders of `vaejax.data.builders` fetch the published files, verify them and prepare
one. Either way the rows come in the order of TFDS, which is shuffled, not that of the files.
"""

import contextlib
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image

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
    f"binarized_mnist_{split}.amat": checksum
    for split, checksum in (
        ("train", "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d"),
        ("valid", "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2"),
        ("test", "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"),
    )
}
SPLITS = {"mnist": ("train", "test"), "binarized_mnist": ("train", "validation", "test")}


def data_dir() -> Path:
    """`$TFDS_DATA_DIR`, by default where TensorFlow Datasets keeps its data."""
    folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(folder).expanduser()


def whereabouts(name: str) -> str:
    """Where a data set is, or what would be fetched."""
    prepared = _prepared(name)
    if prepared:
        return f"prepared in {prepared}"
    url, files = (MNIST_URL, MNIST_FILES) if name == "mnist" else (BINARIZED_URL, BINARIZED_FILES)
    return f"not here: would fetch {len(files)} files from {url} into {data_dir()}"


def load(name: str) -> dict[str, np.ndarray]:
    """Images uint8 (n, 28, 28) by split, and `<split>_labels` int32 (n,) where there are labels.

    Raises:
      UserError: the files cannot be fetched, are not the published ones, or the prepared folder
        cannot be written or read.
    """
    folder = _prepared(name)
    arrays = _read_cache(_cached(name, folder)) if folder else None
    if arrays is None:
        print(f"preparing {name} (once)…", file=sys.stderr, flush=True)
        with _quiet():
            folder = folder or _prepare(name)
            arrays = _decode(name, folder)
        _write_cache(_cached(name, folder), arrays)
    return arrays


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TFDS without its progress bars, announcements and warnings; what it raises is kept."""
    from absl import logging

    verbosity, silence = logging.get_verbosity(), io.StringIO()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _prepared(name: str) -> Path | None:
    """The newest array_record version of the data set: TFDS's own, or one made by `_prepare`."""
    for builder in (name, f"vaejax_{name}"):
        for info in sorted((data_dir() / builder).glob("[0-9]*/dataset_info.json"), reverse=True):
            try:
                file_format = json.loads(info.read_text()).get("fileFormat")
            except (OSError, ValueError):
                continue
            if file_format == "array_record":
                return info.parent
    return None


def _cached(name: str, folder: Path) -> Path:
    """Where the decoded arrays are kept: another place when the prepared files change."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for file in sorted(folder.iterdir()):
        stat = file.stat()
        digest.update(f"{file.name}{stat.st_size}{stat.st_mtime_ns}".encode())
    return cache_folder() / "data" / f"{name}-{digest.hexdigest()[:16]}.npz"


def _read_cache(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception:  # absent or damaged: decode again, nothing worse
        return None


def _write_cache(path: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(f"{path.stem}-{os.getpid()}.tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError:  # without a cache the next start decodes again, nothing worse
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prepare(name: str) -> Path:
    from vaejax.data.builders import VaejaxBinarizedMnist, VaejaxMnist

    builder_class = VaejaxMnist if name == "mnist" else VaejaxBinarizedMnist
    try:
        builder = builder_class(data_dir=str(data_dir()), file_format="array_record")
        builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:
        if folder := _prepared(name):  # by another process, meanwhile
            return folder
        raise UserError(
            f"cannot prepare {name} in {data_dir()}: {_first_line(error)}; check that the folder "
            "can be written and has room, or point TFDS_DATA_DIR elsewhere"
        ) from error
    return Path(builder.data_dir)


def _decode(name: str, folder: Path) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    arrays = {}
    try:
        builder = tfds.builder_from_directory(folder)
        png = isinstance(builder.info.features["image"], tfds.features.Image)
        decoders = {"image": tfds.decode.SkipDecoding()} if png else None
        for split in SPLITS[name]:
            source = builder.as_data_source(split=split, decoders=decoders)
            rows = source.__getitems__(list(range(len(source))))
            images = [_open_png(row["image"]) if png else row["image"] for row in rows]
            arrays[split] = np.stack(images).reshape(-1, 28, 28)
            if "label" in rows[0]:
                arrays[f"{split}_labels"] = np.array([row["label"] for row in rows], np.int32)
    except Exception as error:
        raise UserError(
            f"cannot read the data set prepared in {folder}: {_first_line(error)}; delete that "
            "folder to have it prepared again"
        ) from error
    return arrays


def _open_png(content: bytes) -> np.ndarray:
    """What TFDS does with an image, without its search for the format and its bookkeeping."""
    return np.asarray(PIL.Image.open(io.BytesIO(content), formats=("PNG",)), np.uint8)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
