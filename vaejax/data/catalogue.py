"""Published files of arrays through TensorFlow Datasets, without TensorFlow.

A prepared directory (in `TFDS_DATA_DIR`, format array_record) is read as it is. If there is none, a
builder of `vaejax.data.builders` downloads the published files, verifies them and prepares one.
Either way the rows come in the shuffled order of TFDS, not in the order of the files.
"""

import contextlib
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image

from vaejax.cache import cache_folder
from vaejax.errors import UserError


class Published(NamedTuple):
    """Published files of images, or of other arrays.

    Attributes:
      checksums: file name -> MD5 or SHA-256 of the uncompressed content.
      labelled: whether an example has a label.
      examples: (content by file name, split) -> examples {feature: uint8 (shape), "label": int}.
      shape: the shape of one array; a first axis of None differs in length between arrays.
      feature: the name of the array in an example.
    """

    name: str
    url: str
    checksums: dict[str, str]
    splits: tuple[str, ...]
    labelled: bool
    examples: Callable[[dict[str, bytes], str], Iterable[dict]]
    shape: tuple[int | None, ...] = (28, 28)
    feature: str = "image"


def data_dir() -> Path:
    """The folder of downloaded data: `$TFDS_DATA_DIR`, by default that of TensorFlow Datasets."""
    folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(folder).expanduser()


def whereabouts(published: Published) -> str:
    """Where a data set is, or what would be downloaded, in words."""
    prepared = _prepared(published.name)
    if prepared:
        return f"prepared in {prepared}"
    count = len(published.checksums)
    files = "1 file" if count == 1 else f"{count} files"
    return f"not here: would download {files} from {published.url} into {data_dir()}"


def load(published: Published) -> dict[str, np.ndarray]:
    """Read a published data set; download and prepare it the first time.

    Returns uint8 (n, *shape) for each split, and `<split>_labels` int32 (n,) if there are labels.
    Arrays of different lengths come joined, (total length, *shape[1:]), with `<split>_lengths`
    int32 (n,).

    Raises:
      UserError: the files cannot be downloaded or are not the published ones; the prepared folder
        cannot be written or read.
    """
    name = published.name
    folder = _prepared(name)
    arrays = _read_cache(_cached(name, folder)) if folder else None
    if arrays is None:
        print(f"preparing {name} (once)…", file=sys.stderr, flush=True)
        with _quiet():
            folder = folder or _prepare(published)
            arrays = _decode(published, folder)
        _write_cache(_cached(name, folder), arrays)
    return arrays


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress bars and messages of TFDS; its exceptions pass."""
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
    """The cache file of the decoded arrays; its name changes when the prepared files change."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for file in sorted(folder.iterdir()):
        stat = file.stat()
        digest.update(f"{file.name}{stat.st_size}{stat.st_mtime_ns}".encode())
    return cache_folder() / "data" / f"{name}-{digest.hexdigest()[:16]}.npz"


def _read_cache(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception:  # absent or damaged: the arrays are decoded again
        return None


def _write_cache(path: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(f"{path.stem}-{os.getpid()}.tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError:  # without a cache, the arrays are decoded again next time
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prepare(published: Published) -> Path:
    from vaejax.data.builders import builder_class

    try:
        builder = builder_class(published)(data_dir=str(data_dir()), file_format="array_record")
        builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:
        if folder := _prepared(published.name):  # another process has prepared it meanwhile
            return folder
        raise UserError(
            f"cannot prepare {published.name} in {data_dir()}: {_first_line(error)}; check that "
            "the folder is writable and the disk has space, or set TFDS_DATA_DIR to another folder"
        ) from error
    return Path(builder.data_dir)


def _decode(published: Published, folder: Path) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    arrays = {}
    try:
        builder = tfds.builder_from_directory(folder)
        name = published.feature
        png = isinstance(builder.info.features[name], tfds.features.Image)
        decoders = {name: tfds.decode.SkipDecoding()} if png else None
        for split in published.splits:
            source = builder.as_data_source(split=split, decoders=decoders)
            rows = source.__getitems__(list(range(len(source))))
            values = [_open_png(row[name]) if png else row[name] for row in rows]
            if published.shape[0] is None:
                arrays[split] = np.concatenate(values).reshape(-1, *published.shape[1:])
                arrays[f"{split}_lengths"] = np.array([len(value) for value in values], np.int32)
            else:
                arrays[split] = np.stack(values).reshape(-1, *published.shape)
            if "label" in rows[0]:
                arrays[f"{split}_labels"] = np.array([row["label"] for row in rows], np.int32)
    except Exception as error:
        raise UserError(
            f"cannot read the data set prepared in {folder}: {_first_line(error)}; delete that "
            "folder, and it is prepared again"
        ) from error
    return arrays


def _open_png(content: bytes) -> np.ndarray:
    """Decode a PNG as TFDS does, but faster."""
    return np.asarray(PIL.Image.open(io.BytesIO(content), formats=("PNG",)), np.uint8)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
