"""Published files of arrays through TensorFlow Datasets, without TensorFlow.

A directory prepared by anyone (`TFDS_DATA_DIR`, array_record) is read as it is. Where there is
none, a builder of `vaejax.data.builders` fetches the published files, verifies them and prepares
one. Either way the rows come in the order of TFDS, which is shuffled, not that of the files.
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
      shape: of one array; a first axis of None is of another length for each.
      feature: what the array is called there.
    """

    name: str
    url: str
    checksums: dict[str, str]
    splits: tuple[str, ...]
    labelled: bool
    examples: Callable[[dict[str, bytes], str], Iterable[dict]]
    shape: tuple[int | None, ...] = (28, 28)
    feature: str = "image"

    @property
    def has_lengths(self) -> bool:
        return self.shape[0] is None


def data_dir() -> Path:
    """`$TFDS_DATA_DIR`, by default where TensorFlow Datasets keeps its data."""
    folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(folder).expanduser()


def whereabouts(published: Published) -> str:
    """Where a data set is, or what would be fetched."""
    prepared = _prepared(published.name)
    if prepared:
        return f"prepared in {prepared}"
    count = len(published.checksums)
    files = "1 file" if count == 1 else f"{count} files"
    return f"not here: would fetch {files} from {published.url} into {data_dir()}"


def load(published: Published) -> dict[str, np.ndarray]:
    """Arrays uint8 (n, *shape) by split, and `<split>_labels` int32 (n,) where there are labels.
    Of arrays of different lengths, one after the other, (total, *shape[1:]), and
    `<split>_lengths` int32 (n,).

    Raises:
      UserError: the files cannot be fetched, are not the published ones, or the prepared folder
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


def _prepare(published: Published) -> Path:
    from vaejax.data.builders import builder_class

    try:
        builder = builder_class(published)(data_dir=str(data_dir()), file_format="array_record")
        builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:
        if folder := _prepared(published.name):  # by another process, meanwhile
            return folder
        raise UserError(
            f"cannot prepare {published.name} in {data_dir()}: {_first_line(error)}; check that "
            "the folder can be written and has room, or point TFDS_DATA_DIR elsewhere"
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
            if published.has_lengths:
                arrays[split] = np.concatenate(values).reshape(-1, *published.shape[1:])
                arrays[f"{split}_lengths"] = np.array([len(value) for value in values], np.int32)
            else:
                arrays[split] = np.stack(values).reshape(-1, *published.shape)
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
