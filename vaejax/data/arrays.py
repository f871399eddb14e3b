"""A person's own arrays, from `.npz` or `.npy`. No code in a file is ever executed."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaejax.data import labels
from vaejax.data.dataset import Dataset
from vaejax.data.division import of_one, with_validation
from vaejax.data.layout import image_axes, is_grey
from vaejax.data.summary import Binarization
from vaejax.errors import SettingError, UserError

STANDARDIZED = (
    "a Gaussian likelihood standardizes each feature by its mean and standard deviation in "
    "training, and log p(x) is given for x in its own units"
)


class _Part(NamedTuple):
    """Examples along the first axis, and their labels (n,), or ()."""

    x: np.ndarray
    label: Any


def load(
    path: Path,
    entries: dict[str, np.ndarray],
    binarization: Binarization | None,
    validation: int | None,
    binarize: bool = True,
    *,
    standardize: bool = False,
    eight_bits: bool = False,
    done: str = "",
) -> Dataset:
    """Make a data set of the arrays that `read` gives.

    The arrays are `train`, `test` and perhaps `validation` (by default the last tenth of `train`).
    Or there is one array, an `.npy` or the only one of an `.npz` with any other name: a fixed
    shuffle splits it into 80 % train, 10 % validation and 10 % test. Labels are `train_label`,
    ..., or `label`.

    Arrays have shapes (n, ...) that agree after the first axis. Values are 0 and 1; whole numbers
    0..255 (intensity = value / 255); fractions in [0, 1] (intensities); or any real numbers, for a
    Gaussian likelihood. The data set's `note` says how the values were read.

    If `binarization` is not given, intensities are binarized where `binarize` allows it and x is
    an image of one channel: (height, width), perhaps with one more axis of length 1.

    Args:
      standardize: whether the values are real numbers, whatever they look like.
      eight_bits: whether whole numbers are known to be 8-bit intensities.
      done: how the file's values were changed before, in words, for the note.

    Raises:
      UserError: arrays that cannot be used; the message says why.
      SettingError: intensities that may be binarized but are not images of one channel; whole
        numbers of unknown scale.
    """
    own, tenth = _splits(path, entries)
    sizes = {name: len(part.x) for name, part in own.items()}
    splits = with_validation(path, own, sizes, validation, tenth)
    train, held, test = (splits[name].x for name in ("train", "validation", "test"))
    for name, split in (("validation", held), ("test", test)):
        if split.shape[1:] != train.shape[1:]:
            raise UserError(
                f"{path}: train has examples of shape {train.shape[1:]}, {name} of "
                f"{split.shape[1:]}: give all splits the same shape"
            )
    levels: float | None = None
    dtype: type = np.float32
    if not standardize:
        values = np.concatenate([s.reshape(-1) for s in (train, held, test)])
        levels, dtype = _scale(path, values, eight_bits)
    if binarization is None:
        binarization = _usual_binarization(path, train.shape[1:], levels, dtype, binarize)
    train, held, test = (s.astype(dtype) for s in (train, held, test))
    given = {name: part.label for name, part in splits.items() if not isinstance(part.label, tuple)}
    numbers, names = labels.numbered(path, given)
    note = _note(path, train.shape[1:], levels, dtype, binarization)
    if numbers:
        classes = len(np.unique(np.concatenate(list(numbers.values()))))
        note += f"; with labels of {classes} classes, which no model is given"
    note += f"; {done}" if done else ""
    if levels is None:
        note += _repeats(train)
    return Dataset(
        path.stem, train, held, test, levels, binarization, numbers, note=note, label_names=names
    )


def _usual_binarization(
    path: Path, shape: tuple[int, ...], levels: float | None, dtype: type, binarize: bool
) -> Binarization:
    if levels == 1 and dtype == np.uint8:
        return "static"
    if levels is None or not binarize:
        return "none"
    if is_grey(shape):
        return "dynamic"
    what = "features" if len(shape) == 1 else "not images of one channel"
    likelihood = "discretized_logistic" if dtype == np.uint8 else "gaussian"
    raise SettingError(
        f"{path}: examples of shape {shape} are {what}, so it is not clear whether to binarize "
        f"their {_values(levels, dtype)}: keep the values with model.likelihood {likelihood} "
        "(binarization none), or draw 0 or 1 from them with binarization dynamic",
        "binarization",
        "model.likelihood",
    )


def _values(levels: float | None, dtype: type) -> str:
    """The kind of values in a file, in words."""
    if levels is None:
        return "real numbers"
    if dtype == np.float32:
        return "fractions in [0, 1]"
    return "0 and 1" if levels == 1 else f"whole numbers 0..{levels:g}"


def _note(
    path: Path,
    shape: tuple[int, ...],
    levels: float | None,
    dtype: type,
    binarization: Binarization,
) -> str:
    fraction = "value / 255" if levels == 255 else "the value"
    done = {
        "static": "taken as they are",
        "none": "taken as they are" if levels in (1.0, None) else f"x = {fraction}",
        "threshold": f"x = 1 where {fraction} is above 1/2, else 0",
        "dynamic": f"x drawn as 1 with probability {fraction}, else 0, again at each step",
    }[binarization]
    channels_first = " (channels, height, width)" if image_axes(shape) == (1, 2) else ""
    note = f"{path.stem}: {_values(levels, dtype)} of shape {shape}{channels_first}, {done}"
    return f"{note}; {STANDARDIZED}" if levels is None else note


def _repeats(train: np.ndarray) -> str:
    """What to say of real-valued examples that are there more than once."""
    repeated = len(train) - len({hash(example.tobytes()) for example in train})
    if not repeated:
        return ""
    return (
        f"; {repeated} of {len(train)} training examples repeat an earlier one: there a density "
        "has no bound, and a scale may shrink to 0: remove them, or add noise of the size of their "
        "measurement error"
    )


def _splits(path: Path, entries: dict[str, np.ndarray]) -> tuple[dict[str, _Part], int]:
    """(the examples of each split, a tenth of their number)."""
    own = [name for name in entries if name != "label" and not name.endswith("_label")]
    single = len(own) == 1 and not set(own) <= {"train", "validation", "test"}
    complete = single or {"train", "test"} <= set(own) <= {"train", "validation", "test"}
    label_of = {name: "label" if single else f"{name}_label" for name in own}
    if not complete or set(entries) not in (set(own), {*own, *label_of.values()}):
        raise UserError(
            f"{path}: expected arrays train, test and perhaps validation, or one array of another "
            "name; with labels train_label, ..., or label, for all of them or for none; or, for "
            f"sequences, x and length; found {', '.join(sorted(entries)) or 'none'}: rename or add "
            "arrays"
        )
    parts = {}
    for name in own:
        _check(entries[name], f"{path}[{name}]")
        label: Any = entries.get(label_of[name], ())
        if not isinstance(label, tuple):
            labels.check(f"{path}[{label_of[name]}]", label, len(entries[name]))
        parts[name] = _Part(entries[name], label)
    if not single:
        return parts, len(parts["train"].x) // 10
    (part,) = parts.values()
    return of_one(path, part, len(part.x))


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` by name, or the one of an `.npy` as `array`.

    Raises:
      UserError: the file does not exist or cannot be read.
    """
    if not path.is_file():
        raise UserError(f"there is no data file {path}: expected an existing .npz or .npy file")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"array": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a damaged file raises anything
        reason = " ".join(str(error).split()) or type(error).__name__
        if "allow_pickle" in reason:
            reason = "it is not a plain NumPy file, and Python objects are not loaded"
        raise UserError(
            f"cannot read {path}: {reason}; save plain numeric arrays with numpy.savez"
        ) from None


def check_numbers(array: np.ndarray, what: str) -> None:
    """Raise UserError unless `array` is an array of real numbers; the message calls it `what`."""
    dtype = getattr(array, "dtype", "bytes")  # NumPy gives bytes for a non-array in an .npz
    if getattr(dtype, "kind", "none") not in "biuf":
        raise UserError(f"{what}: expected real numbers; got dtype {dtype}: convert the array")


def _check(array: np.ndarray, what: str) -> None:
    check_numbers(array, what)
    if array.ndim < 2:
        looks = "; it looks like labels" if np.issubdtype(array.dtype, np.integer) else ""
        raise UserError(
            f"{what}: expected examples along the first axis and at least one more axis; got "
            f"shape {array.shape}{looks}: give images or feature vectors"
        )
    if array.size == 0:
        raise UserError(
            f"{what}: expected at least one example of at least one value; got shape "
            f"{array.shape}: leave the array out or fill it"
        )
    with np.errstate(over="ignore"):
        finite = np.isfinite(array.astype(np.float32)).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{what}: expected finite values; {np.sum(~finite)} of {len(array)} examples have NaN "
            f"or values infinite in float32, the first at index {int(np.argmin(finite))}: remove "
            "or correct them"
        )


def _scale(path: Path, values: np.ndarray, eight_bits: bool) -> tuple[float | None, type]:
    """(levels, dtype to store): see `Dataset.levels`."""
    low, high = values.min(), values.max()
    whole = low >= 0 and (values == np.round(values)).all()
    if whole and high <= 1:
        return 1, np.uint8
    if whole and high <= 255 and (eight_bits or high >= 128):  # all eight bits are in use
        return 255, np.uint8
    if whole and high < 128:
        raise SettingError(
            f"{path}: whole numbers from {low:g} to {high:g} have no known scale: expected "
            "intensities up to 255, or fractions up to 1; divide by the value that means full "
            "intensity; or, if they are not intensities, give standardize to take them as real "
            "numbers",
            "standardize",
        )
    if low >= 0 and high <= 1:
        return 1.0, np.float32
    return None, np.float32
