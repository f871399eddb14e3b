"""A person's own sequences, from an `.npz` that also has their lengths."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaejax.data.arrays import STANDARDIZED, check_numbers
from vaejax.data.division import of_one, with_validation
from vaejax.data.sequences import SequenceDataset
from vaejax.data.summary import Binarization
from vaejax.errors import SettingError, UserError
from vaejax.types import Conditions, missing_frames

MOST_CATEGORIES = 65_536


class _Part(NamedTuple):
    """Sequences along the first axis: x (n, time, *frame), length (n,), actions (n, time, action)
    or ()."""

    x: np.ndarray
    length: np.ndarray
    actions: Any


class _Kind(NamedTuple):
    """A kind of values: its name, the dtype to store, and the fields of `SequenceDataset`."""

    words: str
    dtype: type
    levels: int | None = None
    num_categories: int | None = None


_REAL = _Kind("real numbers", np.float32)


def has_lengths(entries: dict[str, np.ndarray]) -> bool:
    """Whether a file's arrays are sequences."""
    return any("length" in name for name in entries)


def load(
    path: Path,
    entries: dict[str, np.ndarray],
    binarization: Binarization | None,
    validation: int | None,
    missing: bool,
    standardize: bool = False,
) -> SequenceDataset:
    """Make a data set of sequences from the arrays of a file.

    The arrays are `x` (n, time, ...), `length` (n,) and perhaps `actions` (n, time, action) or
    (n, time): a fixed shuffle splits them into 80 % train, 10 % validation and 10 % test. Or they
    are `train`, `train_length` and perhaps `train_actions`, and the same for `test` and perhaps
    `validation`. Values are 0 and 1; whole numbers of an integer dtype, which are categories from
    0 to the largest; or real numbers. Values beyond a length are ignored. The data set's `note`
    says how the values were read.

    Args:
      missing: whether frames that are all NaN are missing. Categories are then whole numbers in an
        array of floats.
      standardize: whether the values are real numbers, whatever they look like.

    Raises:
      UserError: arrays that cannot be used; the message says why, and names the first sequence.
      SettingError: NaN that `missing` does not allow; a binarization; a validation size.
    """
    parts = _parts(path, entries)
    for prefix, part in parts.items():
        _check(path, prefix, part, missing)
    _check_agreement(path, parts)
    longest = max(int(part.length.max()) for part in parts.values())
    parts = {prefix: _cleared(part, longest) for prefix, part in parts.items()}
    kind = _REAL if standardize else _kind_of(path, parts)
    parts = {prefix: part._replace(x=_stored(part.x, kind)) for prefix, part in parts.items()}
    if "" in parts:
        own, usual = of_one(path, parts[""], len(parts[""].x))
    else:
        usual = len(parts["train_"].x) // 10
        own = {prefix.removesuffix("_"): part for prefix, part in parts.items()}
    sizes = {split: len(part.x) for split, part in own.items()}
    splits = with_validation(path, own, sizes, validation, usual)
    return SequenceDataset(
        name=path.stem,
        train=splits["train"].x,
        validation=splits["validation"].x,
        test=splits["test"].x,
        levels=kind.levels,
        binarization=binarization or ("static" if kind.levels else "none"),
        given={split: _conditions(part, longest) for split, part in splits.items()},
        note=_note(path, parts, kind),
        num_categories=kind.num_categories,
    )


def _parts(path: Path, entries: dict[str, np.ndarray]) -> dict[str, _Part]:
    """The arrays by the prefix of their names: '' for x, 'train_' for train, ..."""
    if "x" in entries:
        names = {"": "x"}
    else:
        present = [split for split in ("train", "validation", "test") if split in entries]
        names = {f"{split}_": split for split in present}
    needed = set(names.values()) | {f"{prefix}length" for prefix in names}
    actions = {f"{prefix}actions" for prefix in names}
    complete = "x" in entries or {"train", "test"} <= set(entries)
    if not complete or set(entries) not in (needed, needed | actions):
        raise UserError(
            f"{path}: expected arrays x, length and perhaps actions; or train, train_length, test, "
            "test_length and perhaps validation, validation_length, with train_actions, ... for "
            f"all of them or for none; found {', '.join(sorted(entries))}: rename or add arrays"
        )
    parts = {}
    for prefix, name in names.items():
        given: Any = entries.get(f"{prefix}actions", ())
        if isinstance(given, np.ndarray) and given.ndim == 2:
            given = given[..., None]
        parts[prefix] = _Part(entries[name], entries[f"{prefix}length"], given)
    return parts


def _check(path: Path, prefix: str, part: _Part, missing: bool) -> None:
    """Raise UserError for arrays that are not as `_Part` describes them."""
    x, length, actions = part
    name = prefix.removesuffix("_") or "x"
    what = f"{path}[{name}]"
    check_numbers(x, what)
    if x.ndim < 2 or x.size == 0:
        raise UserError(
            f"{what}: expected sequences along the first axis and frames along the second; got "
            f"shape {x.shape}: reshape the array"
        )
    _check_lengths(f"{path}[{prefix}length]", length, x)
    _check_values(what, x, length, missing)
    if not isinstance(actions, tuple):
        _check_actions(f"{path}[{prefix}actions]", actions, x, length)


def _check_lengths(what: str, length: np.ndarray, x: np.ndarray) -> None:
    check_numbers(length, what)
    n, room = x.shape[:2]
    if length.shape != (n,) or length.dtype.kind not in "iu":
        raise UserError(
            f"{what}: expected a whole number for each of the {n} sequences; got "
            f"{length.dtype} of shape {length.shape}: convert the array"
        )
    if (length < 2).any():
        i = int(np.argmax(length < 2))
        raise UserError(
            f"{what}: expected lengths of at least 2; sequence {i} has length {length[i]}: leave "
            "it out"
        )
    if (length > room).any():
        i = int(np.argmax(length > room))
        raise UserError(
            f"{what}: expected lengths up to {room}, the frames of the array; sequence {i} has "
            f"length {length[i]}: correct the length, or give all frames"
        )


def _check_values(what: str, x: np.ndarray, length: np.ndarray, missing: bool) -> None:
    values = x.reshape(*x.shape[:2], -1)
    exists, nan = _exists(length, x.shape[1]), np.isnan(values)
    some, all_of_it = exists & nan.any(axis=-1), nan.all(axis=-1)
    if some.any() and not missing:
        i, t = np.argwhere(some)[0]
        raise SettingError(
            f"{what}: sequence {i} has NaN, first in frame {t}: give missing to leave frames that "
            "are all NaN out of the likelihood, or fill them in",
            "missing",
        )
    if (some & ~all_of_it).any():
        i, t = np.argwhere(some & ~all_of_it)[0]
        raise UserError(
            f"{what}: sequence {i} has NaN in a part of frame {t}; only whole frames can be "
            "missing: fill these values in, or make the whole frame NaN"
        )
    _refuse_infinite(what, values, exists & ~all_of_it)


def _check_actions(what: str, actions: np.ndarray, x: np.ndarray, length: np.ndarray) -> None:
    check_numbers(actions, what)
    if actions.ndim != 3 or actions.shape[:2] != x.shape[:2] or actions.size == 0:
        raise UserError(
            f"{what}: expected actions for each of the {x.shape[0]} sequences and {x.shape[1]} "
            f"frames of x; got shape {actions.shape}: reshape the array"
        )
    _refuse_infinite(what, actions, _exists(length, x.shape[1]))


def _refuse_infinite(what: str, values: np.ndarray, where: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        bad = where & ~np.isfinite(values.astype(np.float32)).all(axis=-1)
    if bad.any():
        i, t = np.argwhere(bad)[0]
        raise UserError(
            f"{what}: sequence {i} has values that are NaN or infinite in float32, first in frame "
            f"{t}: fill them in, or leave the sequence out"
        )


def _check_agreement(path: Path, parts: dict[str, _Part]) -> None:
    first, *others = ((prefix.removesuffix("_"), part) for prefix, part in parts.items())
    for name, part in others:
        for what, here, there in (
            ("frames", part.x.shape[2:], first[1].x.shape[2:]),
            ("actions", np.shape(part.actions)[2:], np.shape(first[1].actions)[2:]),
        ):
            if here != there:
                raise UserError(
                    f"{path}: {first[0]} has {what} of shape {there}, {name} of {here}: give all "
                    "splits the same shape"
                )


def _exists(length: np.ndarray, longest: int) -> np.ndarray:
    return np.arange(longest) < length[:, None]


def _cleared(part: _Part, longest: int) -> _Part:
    """Arrays with `longest` frames, and zeros beyond each length."""
    exists = _exists(part.length, longest)

    def cleared(array: np.ndarray) -> np.ndarray:
        result = np.zeros((len(array), longest, *array.shape[2:]), array.dtype)
        room = min(longest, array.shape[1])
        result[:, :room] = array[:, :room]
        result[~exists] = 0
        return result

    actions = () if isinstance(part.actions, tuple) else cleared(part.actions).astype(np.float32)
    return _Part(cleared(part.x), part.length, actions)


def _kind_of(path: Path, parts: dict[str, _Part]) -> _Kind:
    observed = [part.x[~_nan_frames(part.x)].reshape(-1) for part in parts.values()]
    values, integers = np.concatenate(observed), all(o.dtype.kind in "biu" for o in observed)
    any_missing = sum(o.size for o in observed) < sum(part.x.size for part in parts.values())
    if np.all((values == 0) | (values == 1)):
        return _Kind("0 and 1", np.float32 if any_missing else np.uint8, levels=1)
    if not integers and not np.all(values == np.round(values)):
        return _REAL
    low, high = values.min(), values.max()
    if not integers and not any_missing:
        raise SettingError(
            f"{path}: whole numbers from {low:g} to {high:g}, stored as floats: save them as "
            "integers if they are categories, or give standardize to take them as real numbers",
            "standardize",
        )
    if low < 0 or high >= MOST_CATEGORIES:
        name, i = _first_outside(parts)
        raise SettingError(
            f"{path}[{name}]: expected categories from 0 to {MOST_CATEGORIES - 1}; values are from "
            f"{low:.0f} to {high:.0f}, sequence {i} is the first outside: number the categories "
            "from 0, or give standardize to take the values as real numbers",
            "standardize",
        )
    return _Kind(f"categories 0 to {high:.0f}", np.int32, num_categories=int(high) + 1)


def _nan_frames(x: np.ndarray) -> np.ndarray:
    """The frames of a file's array that are missing. Integers have no NaN: there, -1 is a value."""
    if x.dtype.kind != "f":
        return np.zeros(x.shape[:2], bool)
    return np.asarray(missing_frames(x, axes=2))


def _first_outside(parts: dict[str, _Part]) -> tuple[str, int]:
    """(array, sequence) of the first value that cannot be a category."""
    for prefix, part in parts.items():
        outside = (part.x < 0) | (part.x >= MOST_CATEGORIES)
        if outside.any():
            return prefix.removesuffix("_") or "x", int(np.argwhere(outside)[0, 0])
    raise AssertionError("no value is outside")


def _stored(x: np.ndarray, kind: _Kind) -> np.ndarray:
    if kind.num_categories is not None and x.dtype.kind == "f":
        x = np.where(np.isnan(x), -1, x)
    return x.astype(kind.dtype)


def _conditions(part: _Part, longest: int) -> Conditions:
    exists: Any = _exists(part.length, longest)
    return Conditions(exists, part.actions)


def _note(path: Path, parts: dict[str, _Part], kind: _Kind) -> str:
    lengths = np.concatenate([part.length for part in parts.values()])
    first = next(iter(parts.values()))
    low, high = lengths.min(), lengths.max()
    extent = f"{low}" if low == high else f"{low} to {high}"
    note = f"{path.stem}: {len(lengths)} sequences of {extent} frames of shape {first.x.shape[2:]}"
    missing = sum(int(missing_frames(part.x, axes=2).sum()) for part in parts.values())
    if not isinstance(first.actions, tuple):
        note += f" under {first.actions.shape[-1]} actions"
    note += f", {kind.words}, taken as they are" + (f", {missing} missing" if missing else "")
    return f"{note}; {STANDARDIZED}" if kind == _REAL else note
