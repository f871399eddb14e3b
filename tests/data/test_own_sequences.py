"""A person's own sequences: what is made of good files, what is said of bad ones."""

import numpy as np
import pytest

from vaejax.data import SequenceDataset, load
from vaejax.errors import SettingError, UserError

RNG = np.random.RandomState(0)
LENGTH = RNG.randint(2, 7, 40)
BINARY = RNG.randint(0, 2, (40, 8, 3)).astype(np.uint8)
REAL = RNG.normal(size=(40, 8, 3))
WHOLE = RNG.randint(0, 6, (40, 8, 3))
ACTIONS = RNG.normal(size=(40, 8, 2))
SPLITS = ("train", "validation", "test")


@pytest.fixture
def save(tmp_path):
    """Writes an .npz of the named arrays; returns its path."""

    def save(**arrays):
        np.savez(tmp_path / "own.npz", **arrays)
        return str(tmp_path / "own.npz")

    return save


def refusal(name, **settings):
    """The one line that a person sees."""
    with pytest.raises(UserError) as caught:
        load(name, **settings)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    return line


def named(train=slice(0, 20), **arrays):
    """The arrays with the names of splits: 20 train, 20 test."""
    rows = {"train": train, "test": slice(20, 40)}
    x = {split: arrays["x"][r] for split, r in rows.items()}
    rest = {k: v for k, v in arrays.items() if k != "x"}
    return x | {f"{s}_{k}": v[r] for s, r in rows.items() for k, v in rest.items()}


@pytest.mark.parametrize(
    ("values", "support", "dtype", "words"),
    [
        (BINARY, "binary", np.uint8, "0 and 1"),
        (BINARY.astype(bool), "binary", np.uint8, "0 and 1"),
        (BINARY.astype(np.float64), "binary", np.uint8, "0 and 1"),
        (REAL, "real", np.float32, "real numbers"),
        (WHOLE, "categories", np.int32, "categories 0 to 5"),
        (WHOLE.astype(np.uint8), "categories", np.int32, "categories 0 to 5"),
    ],
)
def test_what_the_values_mean(save, values, support, dtype, words):
    data = load(save(**named(x=values, length=LENGTH, actions=ACTIONS)))
    assert isinstance(data, SequenceDataset)
    assert (data.name, data.support, data.train.dtype) == ("own", support, dtype)
    assert data.num_categories == (6 if support == "categories" else None)
    note, _, how = data.note.partition("; ")
    assert note == (
        f"own: 40 sequences of 2 to 6 frames of shape (3,) under 2 actions, {words}, taken as "
        "they are"
    )
    assert ("in its own units" in how) == (support == "real")
    for split, rows in zip(SPLITS, (range(18), range(18, 20), range(20, 40)), strict=True):
        examples = data.examples(split)
        np.testing.assert_array_equal(data.lengths(split), LENGTH[list(rows)])
        for i, row in enumerate(rows):
            n = LENGTH[row]
            np.testing.assert_array_equal(examples.x[i, :n], values[row, :n].astype(dtype))
            np.testing.assert_allclose(examples.given.actions[i, :n], ACTIONS[row, :n], rtol=1e-6)
            assert not examples.x[i, n:].any() and not examples.given.actions[i, n:].any()


def test_one_array_is_divided_once_and_for_all(save):
    """80, 10, 10 per cent, each sequence with its own length and actions."""
    x = np.arange(40)[:, None] + np.full(8, 0.5)
    data = load(save(x=x, length=LENGTH, actions=x))
    assert [len(data.split(s)) for s in SPLITS] == [32, 4, 4]
    rows = np.concatenate([data.split(s)[:, 0] for s in SPLITS])
    np.testing.assert_array_equal(np.sort(rows), x[:, 0])
    lengths = np.concatenate([data.lengths(s) for s in SPLITS])
    np.testing.assert_array_equal(lengths, LENGTH[(rows - 0.5).astype(int)])
    pushes = np.concatenate([data.given[s].actions[:, 0, 0] for s in SPLITS])
    np.testing.assert_array_equal(pushes, rows)
    assert data.shape == (6,)  # of the longest sequence, not of the array
    even = load(save(x=x, length=np.full(40, 6)))
    assert even.note.startswith("own: 40 sequences of 6 frames of shape ()")
    assert len(load(save(x=x, length=LENGTH), validation=7).validation) == 7
    assert "at least 10 examples to split; got 9" in refusal(save(x=x[:9], length=LENGTH[:9]))


def test_an_own_validation_split_and_other_rooms(save):
    arrays = named(x=REAL, length=LENGTH)
    arrays |= {"validation": REAL[:5, :7], "validation_length": LENGTH[:5]}
    data = load(save(**arrays))
    assert [len(data.split(s)) for s in SPLITS] == [20, 5, 20]
    np.testing.assert_array_equal(data.validation, data.train[:5])
    assert "holds out 5 examples itself; got validation 4" in refusal(save(**arrays), validation=4)


def test_what_is_beyond_a_length_does_not_matter(save):
    """NaN, infinity and other numbers: the same data."""
    beyond = np.arange(8) >= LENGTH[:, None]
    clean, odd, pushed = REAL.copy(), REAL.copy(), ACTIONS.copy()
    clean[beyond], odd[beyond], pushed[beyond] = 0, np.nan, np.inf
    data = load(save(x=odd, length=LENGTH, actions=pushed))
    assert data.fingerprint == load(save(x=clean, length=LENGTH, actions=ACTIONS)).fingerprint
    assert data.summary.protocol()["missing"] == [0, 0, 0]
    assert data.fingerprint != load(save(x=clean, length=LENGTH)).fingerprint


@pytest.mark.parametrize("values", [BINARY, REAL, WHOLE])
def test_missing_frames_are_kept_and_counted(save, values):
    """The first frame of sequences 0 to 9, and the last of 20 and 21."""
    x = values.astype(np.float64)
    x[:10, 0] = np.nan
    x[20, LENGTH[20] - 1] = x[21, LENGTH[21] - 1] = np.nan
    path = save(**named(x=x, length=LENGTH))
    data = load(path, missing=True)
    assert list(data.summary.sequence.missing.values()) == [10, 0, 2]
    assert "taken as they are, 12 missing" in data.note
    train = data.split("train")
    if values is WHOLE:
        assert data.support == "categories" and data.num_categories == 6
        assert train.dtype == np.int32
        assert (train[:10, 0] == -1).all() and (train >= 0)[10:].all()
    else:
        assert data.support == ("binary" if values is BINARY else "real")
        assert train.dtype == np.float32
        assert np.isnan(train[:10, 0]).all() and np.isfinite(train[10:]).all()
    with pytest.raises(SettingError) as caught:
        load(path)
    assert caught.value.fields == ("missing",)
    line = str(caught.value)
    assert "own.npz[train]: sequence 0 has NaN, first in frame 0: give missing to leave" in line


def test_without_missing_frames_it_is_the_same_data(save):
    for values in (BINARY, REAL, WHOLE):
        path = save(x=values, length=LENGTH)
        assert load(path, missing=True).fingerprint == load(path).fingerprint


def test_a_frame_is_missing_as_a_whole(save):
    x = REAL.copy()
    x[7, 1, 2] = np.nan
    line = refusal(save(x=x, length=LENGTH), missing=True)
    assert "own.npz[x]: sequence 7 has NaN in a part of frame 1" in line


def test_missing_is_of_sequences(save):
    for name in ("digits", save(x=REAL)):
        with pytest.raises(SettingError, match="missing is for your own sequences") as caught:
            load(name, missing=True)
        assert caught.value.fields == ("missing",)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0, "expected lengths of at least 2; sequence 3 has length 0: leave it out"),
        (1, "expected lengths of at least 2; sequence 3 has length 1"),
        (-1, "expected lengths of at least 2; sequence 3 has length -1"),
        (9, "expected lengths up to 8, the frames of the array; sequence 3 has length 9: correct"),
    ],
)
def test_lengths_that_cannot_be(save, length, words):
    lengths = LENGTH.copy()
    lengths[3] = lengths[30] = length
    assert f"own.npz[length]: {words}" in refusal(save(x=REAL, length=lengths))
    lengths[3] = 2
    line = refusal(save(**named(x=REAL, length=lengths)))
    assert f"own.npz[test_length]: {words}".replace("sequence 3 ", "sequence 10 ") in line


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"length": LENGTH[:39]}, "[length]: expected a whole number for each of the 40"),
        ({"length": LENGTH[:, None]}, "int64 of shape (40, 1)"),
        ({"length": LENGTH * 1.0}, "got float64 of shape (40,)"),
        ({"length": LENGTH.astype(str)}, "[length]: expected real numbers"),
        ({"x": REAL[:, 0, 0]}, "expected sequences along the first axis"),
        ({"x": REAL[:, :, :0]}, "got shape (40, 8, 0)"),
        ({"x": REAL.astype(str)}, "[x]: expected real numbers"),
        ({"actions": ACTIONS[:39]}, "each of the 40 sequences and 8 frames of x; got shape (39"),
        ({"actions": ACTIONS[:, :7]}, "got shape (40, 7, 2)"),
        ({"actions": ACTIONS[:, :, :0]}, "got shape (40, 8, 0)"),
        ({"actions": ACTIONS[..., None]}, "got shape (40, 8, 2, 1)"),
        ({"actions": ACTIONS.astype(str)}, "[actions]: expected real numbers"),
    ],
)
def test_arrays_that_do_not_fit_together(save, changed, words):
    arrays = {"x": REAL, "length": LENGTH, "actions": ACTIONS} | changed
    assert words in refusal(save(**arrays))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("name", ["x", "actions"])
def test_values_that_are_not_finite(save, name, bad):
    arrays = {"x": REAL.copy(), "length": LENGTH, "actions": ACTIONS.copy()}
    arrays[name][5, 1] = arrays[name][6, 0] = bad
    if name == "x" and np.isnan(bad):
        arrays["x"][5, 1] = np.inf
    line = refusal(save(**arrays), missing=True)
    assert f"own.npz[{name}]: sequence 5 has values that are NaN or infinite" in line
    assert "first in frame 1" in line


def test_whole_numbers_as_floats_are_not_guessed(save):
    line = refusal(save(x=WHOLE.astype(np.float32), length=LENGTH))
    assert "whole numbers from 0 to 5, stored as floats: save them as integers if they are" in line
    assert "or give standardize to take them as real numbers" in line
    for values in (WHOLE.astype(np.float32), WHOLE, WHOLE - 1):
        path = save(x=values, length=LENGTH)
        data = load(path, standardize=True)
        assert (data.support, data.train.dtype) == ("real", np.float32)


@pytest.mark.parametrize("bad", [-1, 65_536])
def test_whole_numbers_that_are_no_categories(save, bad):
    x = WHOLE.copy()
    x[9, 0] = x[11, 0] = bad
    line = refusal(save(x=x, length=LENGTH))
    assert "own.npz[x]: expected categories from 0 to 65535" in line
    x[9, 0] = x[11, 0] = 65_535
    assert load(save(x=x[..., 0], length=LENGTH)).num_categories == 65_536


@pytest.mark.parametrize(
    "names",
    [
        ["x", "lengths"],
        ["x", "length", "labels"],
        ["x", "length", "action"],
        ["length"],
        ["train", "train_length"],
        ["train", "train_length", "test"],
        ["train", "train_length", "test", "test_length", "train_actions"],
        ["train", "train_length", "test", "test_length", "length"],
        ["x", "length", "test", "test_length"],
    ],
)
def test_names_of_arrays(save, names):
    line = refusal(save(**{name: LENGTH if "length" in name else REAL for name in names}))
    assert "expected arrays x, length and perhaps actions; or train, train_length" in line
    assert "train_length, test, test_length and perhaps validation, validation_length" in line
    assert line.endswith(f"found {', '.join(sorted(names))}: rename or add arrays")


def test_without_lengths_they_are_no_sequences(save):
    line = refusal(save(x=REAL, actions=ACTIONS))
    assert "or, for sequences, x and length; found actions, x" in line


def test_splits_that_disagree(save):
    arrays = named(x=REAL, length=LENGTH, actions=ACTIONS)
    line = refusal(save(**arrays | {"test": REAL[20:, :, :2]}))
    assert "train has frames of shape (3,), test of (2,): give all splits" in line
    line = refusal(save(**arrays | {"test_actions": ACTIONS[20:, :, 0]}))
    assert "train has actions of shape (2,), test of (1,): give all splits" in line


def test_they_are_not_binarized(save):
    assert load(save(x=BINARY, length=LENGTH), binarization="static").support == "binary"
    assert "expects binarization none" in refusal(
        save(x=REAL, length=LENGTH), binarization="dynamic"
    )
