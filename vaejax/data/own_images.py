"""A person's own folder of PNG and JPEG images."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageOps

from vaejax.errors import UserError

_SPLITS = {"train", "validation", "test"}
_MODES = {"1": "L", "L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}


class _File(NamedTuple):
    """An image file, and its label: the name of the sub-folder it is in, if any."""

    path: Path
    label: str | None


def read(folder: Path) -> tuple[dict[str, np.ndarray], str]:
    """Read a folder of images; returns the arrays, and in words how the images were changed.

    The arrays are named as in an `.npz`: `train`, `test` and perhaps `validation`, or `images`;
    uint8 (n, h, w) for grey images, (n, h, w, 3) for colour. Names of sub-folders become labels.
    Images are in the order of their file names. With sub-folders they are shuffled with a fixed
    seed, since the first examples of a split would all be of one class. Hidden files are left out.

    Raises:
      UserError: there are no images, or other files; sizes differ; some images are grey and some
        colour; an image has transparent pixels or more than 8 bits.
    """
    if folder.is_file():
        raise UserError(
            f"{folder} is not of a kind that is read: expected a .npz or .npy file, or a folder of "
            "PNG or JPEG images"
        )
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}: expected a folder of PNG or JPEG images, or a .npz or "
            ".npy file"
        )
    inside = _visible(folder)
    splits = sorted(path.name for path in inside if path.is_dir() and path.name in _SPLITS)
    if splits and not ({"train", "test"} <= set(splits) and len(splits) == len(inside)):
        raise UserError(
            f"{folder}: expected folders train, test and perhaps validation, and nothing else; "
            f"found {_listed(inside)}: remove the others"
        )
    files = {split: _files(folder / split) for split in splits} or {"images": _files(folder)}
    labelled = {split: of[0].label is not None for split, of in files.items()}
    if len(set(labelled.values())) > 1:
        with_labels, without = sorted(splits, key=lambda split: not labelled[split])[
            :: len(splits) - 1
        ]
        raise UserError(
            f"{folder}: {with_labels} has sub-folders, whose names are labels, and {without} has "
            "none: give sub-folders to all splits or to none"
        )
    images, done = _decoded([file.path for of in files.values() for file in of])
    entries, start = {}, 0
    for split, of in files.items():
        entries[split] = images[start : start + len(of)]
        start += len(of)
        if labelled[split]:
            name = "label" if split == "images" else f"{split}_label"
            entries[name] = np.array([file.label for file in of])
    return entries, done


def read_split(folder: Path, split: str) -> tuple[np.ndarray, list[str], str]:
    """(images as in `read`, their file names, in words how they were changed), in the order of the
    file names: of one split, or of the whole folder if it has no splits.

    Raises:
      UserError: as `read`; or the folder has splits, and not this one.
    """
    splits = [path.name for path in _visible(folder) if path.is_dir() and path.name in _SPLITS]
    if splits and split not in splits:
        raise UserError(
            f"{folder}: expected a folder {split}; found {', '.join(splits)}: give --split with "
            "one of these names"
        )
    part = folder / split if splits else folder
    paths = sorted(file.path for file in _files(part))
    images, done = _decoded(paths)
    return images, [path.relative_to(part).as_posix() for path in paths], done


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _listed(paths: list[Path]) -> str:
    names = [path.name for path in paths]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _files(folder: Path) -> list[_File]:
    """The images of a split."""
    inside = _visible(folder)
    folders = [path for path in inside if path.is_dir()]
    if folders and len(folders) < len(inside):
        file = next(path for path in inside if not path.is_dir())
        raise UserError(
            f"{folder}: expected either images or sub-folders of images; found both, {file.name} "
            f"and {folders[0].name}: move the images into sub-folders"
        )
    files = [_File(path, None) for path in inside]
    if folders:
        files = [_File(path, sub.name) for sub in folders for path in _images_of_class(sub)]
        order = np.random.RandomState(0).permutation(len(files))
        files = [files[i] for i in order]
    if not files:
        raise UserError(f"{folder} is empty: expected PNG or JPEG images")
    return files


def _images_of_class(folder: Path) -> list[Path]:
    inside = _visible(folder)
    deeper = next((path for path in inside if path.is_dir()), None)
    if deeper is not None or not inside:
        found = f"the folder {deeper.name}" if deeper else "none"
        raise UserError(f"{folder}: expected PNG or JPEG images of one class; found {found}")
    return inside


def _decoded(paths: list[Path]) -> tuple[np.ndarray, str]:
    """(all images, in words how they were changed)."""
    images: list[np.ndarray] = []
    done: Counter = Counter()
    for path in paths:
        image, changes = _decode(path)
        done.update(changes)
        if images and image.shape != images[0].shape:
            _refuse_difference(paths[0], images[0], path, image)
        images.append(image)
    return np.stack(images), ", ".join(f"{count} {change}" for change, count in done.items())


def _refuse_difference(first_path: Path, first: np.ndarray, path: Path, image: np.ndarray) -> None:
    if image.ndim != first.ndim:
        kinds = {2: "grey", 3: "colour"}
        raise UserError(
            f"expected images that are all grey or all colour; {first_path} is {kinds[first.ndim]} "
            f"and {path} is {kinds[image.ndim]}: convert them"
        )
    sizes = [
        f"{height} pixels high and {width} wide" for height, width, *_ in (first.shape, image.shape)
    ]
    raise UserError(
        f"expected images of one size; {first_path} is {sizes[0]}, {path} {sizes[1]}: resize or "
        "crop them"
    )


def _decode(path: Path) -> tuple[np.ndarray, list[str]]:
    """(image of shape (h, w) or (h, w, 3), in words how it was changed)."""
    try:
        image: Any = PIL.Image.open(path, formats=("PNG", "JPEG"))
        image = PIL.ImageOps.exif_transpose(image)
        image.load()
    except Exception:  # a damaged file raises anything
        raise UserError(
            f"{path} cannot be read as a PNG or JPEG image: take it out of the folder"
        ) from None
    mode, changes = image.mode, []
    if mode not in _MODES:
        raise UserError(
            f"{path}: expected 8-bit grey or RGB pixels; got Pillow's mode {mode}: convert it"
        )
    if mode in ("P", "PA"):
        changes.append("with a palette converted to RGB")
    if "A" in mode or "transparency" in image.info:
        if np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            raise UserError(
                f"{path} has transparent pixels: expected opaque ones; put it on a background"
            )
        changes.append("with an opaque alpha channel removed")
    return np.asarray(image.convert(_MODES[mode]), np.uint8), changes
