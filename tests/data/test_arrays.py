"""A person's own .npz and .npy files: what is made of good ones, what is said of bad ones."""

import io
import os
import zipfile

import numpy as np
import pytest

from vaejax.data import load
from vaejax.data.sources import SOURCES
from vaejax.errors import SettingError, UserError

RNG = np.random.RandomState(0)
GREY = RNG.randint(0, 256, (40, 4, 4)).astype(np.uint8)
BINARY = (GREY > 127).astype(np.uint8)
REAL = RNG.normal(size=(40, 3)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    """Writes an .npz of the named arrays, or an .npy of the one given; returns its path."""

    def save(array=None, **arrays):
        path = tmp_path / ("own.npz" if array is None else "own.npy")
        np.save(path, array) if array is not None else np.savez(path, **arrays)
        return str(path)

    return save


def refusal(name, **settings):
    """The one line that a person sees."""
    with pytest.raises(UserError) as caught:
        load(name, **settings)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    return line


@pytest.mark.parametrize(
    ("values", "levels", "dtype", "binarization", "support"),
    [
        (BINARY, 1, np.uint8, "static", "binary"),
        (BINARY.astype(bool), 1, np.uint8, "static", "binary"),
        (BINARY.astype(np.float64), 1, np.uint8, "static", "binary"),
        (GREY, 255, np.uint8, "dynamic", "binary"),
        (GREY.astype(np.int64), 255, np.uint8, "dynamic", "binary"),
        (GREY.astype(np.float32), 255, np.uint8, "dynamic", "binary"),
        (GREY / 255, 1, np.float32, "dynamic", "binary"),
        (REAL, None, np.float32, "none", "real"),
        (REAL.astype(np.float64), None, np.float32, "none", "real"),
        (GREY.astype(np.int64) - 128, None, np.float32, "none", "real"),
        (GREY.astype(np.int64) * 2, None, np.float32, "none", "real"),
    ],
)
def test_what_the_values_mean(save, values, levels, dtype, binarization, support):
    data = load(save(train=values[:30], test=values[30:]))
    assert (data.name, data.levels, data.binarization) == ("own", levels, binarization)
    assert data.support == support
    assert data.shape == values.shape[1:]
    for split, expected in (
        (data.train, values[:27]),
        (data.validation, values[27:30]),
        (data.test, values[30:]),
    ):
        assert split.dtype == dtype
        np.testing.assert_array_equal(split, expected.astype(dtype))


def test_other_protocols(save):
    assert load(save(train=GREY, test=GREY), binarization="none").support == "grey"
    assert load(save(train=GREY / 255, test=GREY / 255), binarization="none").support == "unit"
    assert load(save(train=GREY, test=GREY), binarization="threshold").support == "binary"


def test_an_own_validation_split(save):
    data = load(save(train=BINARY[:20], validation=BINARY[20:27], test=BINARY[27:]))
    assert [len(data.train), len(data.validation), len(data.test)] == [20, 7, 13]
    np.testing.assert_array_equal(data.validation, BINARY[20:27])
    path = save(train=BINARY[:20], validation=BINARY[20:27], test=BINARY[27:])
    assert len(load(path, validation=7).validation) == 7


@pytest.mark.parametrize("validation", [0, 1, 29])
def test_a_chosen_number_of_validation_examples(save, validation):
    data = load(save(train=BINARY[:30], test=BINARY[30:]), validation=validation)
    np.testing.assert_array_equal(data.train, BINARY[: 30 - validation])
    np.testing.assert_array_equal(data.validation, BINARY[30 - validation : 30])
    assert data.split("validation").shape == (validation, 4, 4)


def test_a_single_array_is_divided_once_and_for_all(save):
    rows = np.arange(95 * 2).reshape(95, 2) - 0.5
    from_npy, from_npz = load(save(rows)), load(save(anything=rows))
    assert [len(from_npy.split(s)) for s in ("train", "validation", "test")] == [77, 9, 9]
    assert from_npy.fingerprint == from_npz.fingerprint
    parts = np.concatenate([from_npy.train, from_npy.validation, from_npy.test])
    np.testing.assert_array_equal(np.sort(parts[:, 0]), rows[:, 0])
    assert not np.array_equal(np.sort(from_npy.test[:, 0]), rows[-9:, 0])  # it is shuffled
    fewer = load(save(rows), validation=3)
    assert len(fewer.validation) == 3
    np.testing.assert_array_equal(fewer.test, from_npy.test)


def test_missing_file(tmp_path):
    line = refusal(str(tmp_path / "absent.npz"))
    assert "absent.npz" in line
    assert "expected an existing .npz or .npy file" in line
    (tmp_path / "folder.npz").mkdir()
    assert "expected an existing" in refusal(str(tmp_path / "folder.npz"))


@pytest.mark.parametrize("name", ["mnits", "data.csv", ""])
def test_wrong_name(name):
    line = refusal(name)
    assert repr(name) in line
    assert f"expected {', '.join(SOURCES)}, or a .npz or .npy file" in line


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite(save, bad):
    values = REAL.astype(np.float64)
    values[7, 1] = values[9, 0] = bad
    line = refusal(save(train=REAL, test=values))
    assert "[test]: expected finite values; 2 of 40 examples have NaN or values infinite" in line
    assert "the first at index 7: remove or correct them" in line


def test_labels_where_images_should_be(save):
    line = refusal(save(train=np.arange(30) % 10, test=BINARY))
    assert "own.npz[train]" in line
    assert "got shape (30,); it looks like labels: give images or feature vectors" in line
    assert "got shape ()" in refusal(save(train=np.array(3), test=BINARY))


class Trap:
    """Unpickled, it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("how", ["object array", "bare pickle"])
def test_nothing_in_a_file_is_executed(tmp_path, suffix, how):
    sprung, path = tmp_path / "sprung", tmp_path / f"trap{suffix}"
    trap = np.array([[Trap(sprung)] * 2] * 20, dtype=object)
    if how == "bare pickle":
        path.write_bytes(trap.dumps())
    elif suffix == ".npz":
        np.savez(path, train=BINARY, test=trap)
    else:
        np.save(path, trap)
    line = refusal(str(path))
    assert "Python objects are not loaded; save plain numeric arrays with numpy.savez" in line
    assert not sprung.exists()
    trusting = np.load(path, allow_pickle=True)  # the trap is one
    if isinstance(trusting, np.lib.npyio.NpzFile):
        trusting["test"]
    assert sprung.exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_truncated_npz(tmp_path, write, kept):
    path = tmp_path / "own.npz"
    write(path, train=REAL, test=REAL)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    line = refusal(str(path))
    assert f"cannot read {path}" in line
    assert "save plain numeric arrays with numpy.savez" in line


def test_damaged_content(tmp_path, save):
    path = tmp_path / "own.npz"
    np.savez_compressed(path, train=REAL, test=REAL)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    assert f"cannot read {path}" in refusal(str(path))
    path = tmp_path / "own.npy"
    np.save(path, REAL)
    path.write_bytes(path.read_bytes()[:-5])
    assert f"cannot read {path}" in refusal(str(path))


def test_a_header_that_asks_for_more_than_there_is(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50, 8)}
    )
    path = tmp_path / "own.npy"
    path.write_bytes(buffer.getvalue())
    assert f"cannot read {path}" in refusal(str(path))


def test_the_other_kind_of_file_under_a_name(tmp_path, save):
    os.rename(save(BINARY), tmp_path / "one.npz")
    os.rename(save(train=BINARY, test=BINARY), tmp_path / "three.npy")
    assert load(str(tmp_path / "one.npz")).binarization == "static"
    assert load(str(tmp_path / "three.npy")).binarization == "static"


def test_an_entry_that_is_no_array(tmp_path, save):
    path = save(train=BINARY)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("test", "some text")
    assert "own.npz[test]: expected real numbers; got dtype bytes" in refusal(path)


@pytest.mark.parametrize(
    "values", [np.full((40, 3), "7"), np.full((40, 3), 1j), np.full((40, 3), np.datetime64("2020"))]
)
def test_values_that_are_no_real_numbers(save, values):
    line = refusal(save(train=values, test=values))
    assert f"own.npz[train]: expected real numbers; got dtype {values.dtype}" in line


@pytest.mark.parametrize("shape", [(0, 3), (40, 0)])
def test_empty(save, shape):
    line = refusal(save(train=REAL, test=np.zeros(shape)))
    assert "own.npz[test]: expected at least one example" in line
    assert f"got shape {shape}" in line


def test_too_few_to_divide(save):
    assert "expected at least 10 examples to split; got 9" in refusal(save(REAL[:9]))


def test_shapes_that_disagree(save):
    line = refusal(save(train=GREY, test=GREY[:, :3]))
    assert "train has examples of shape (4, 4), test of (3, 4): give all splits" in line
    line = refusal(save(train=GREY, validation=GREY[:, :2], test=GREY))
    assert "validation of (2, 4)" in line


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train", "tset"], "train, tset"),
        (["train", "test", "labels"], "labels, test, train"),
        (["train"], "train"),
        (["test", "validation"], "test, validation"),
        ([], "none"),
    ],
)
def test_names_of_arrays(save, names, found):
    line = refusal(save(**dict.fromkeys(names, BINARY)))
    assert "expected arrays train, test and perhaps validation, or one array" in line
    assert line.endswith(f"found {found}: rename or add arrays")


def test_labels_follow_their_examples(save):
    """Through the shuffle and the splits; x and its fingerprint are as without them."""
    rows = np.arange(40 * 3).reshape(40, 3) + 0.5
    label = rows[:, 0].astype(int) % 7
    for given in (label, label.astype(float), np.array([f"class {c}" for c in label])):
        data = load(save(x=rows, label=given))
        for split in ("train", "validation", "test"):
            np.testing.assert_array_equal(data.labels[split], getattr(data, split)[:, 0] // 1 % 7)
        assert data.fingerprint == load(save(x=rows)).fingerprint
        assert data.note.endswith("with labels of 7 classes, which no model is given")
    assert data.label_names == tuple(f"class {c}" for c in range(7))
    data = load(
        save(train=rows[:30], train_label=label[:30], test=rows[30:], test_label=label[30:])
    )
    np.testing.assert_array_equal(data.labels["validation"], label[27:30])
    np.testing.assert_array_equal(data.labels["test"], label[30:])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            {"x": REAL, "label": np.arange(39)},
            "own.npz[label]: expected one label for each of the 40",
        ),
        ({"x": REAL, "label": REAL[:, 0]}, "expected whole numbers or names as labels"),
        ({"x": REAL, "train_label": np.arange(40)}, "for all of them or for none"),
        ({"train": REAL, "test": REAL, "test_label": np.arange(40)}, "for all of them or for none"),
        ({"train": REAL, "test": REAL, "label": np.arange(40)}, "for all of them or for none"),
        (
            {
                "train": REAL,
                "test": REAL,
                "train_label": np.arange(40),
                "test_label": np.arange(40).astype(str),
            },
            "labels are numbers in one split and names in another",
        ),
    ],
)
def test_labels_that_do_not_fit(save, entries, said):
    assert said in refusal(save(**entries))


@pytest.mark.parametrize("values", [np.arange(17).repeat(10).reshape(-1, 5), GREY, BINARY, REAL])
def test_numbers_that_are_taken_as_real(save, values):
    data = load(save(values), standardize=True)
    assert (data.support, data.levels, data.train.dtype) == ("real", None, np.float32)
    assert "log p(x) is given for x in its own units" in data.note


def test_real_numbers_are_of_own_data_and_not_binarized(save):
    assert "standardize is for your own data" in refusal("digits", standardize=True)
    line = refusal(save(GREY), standardize=True, binarization="dynamic")
    assert "binarization dynamic makes them 0 or 1: give only one" in line


@pytest.mark.parametrize("validation", [-1, 40, 1000])
def test_validation_out_of_range(save, validation):
    line = refusal(save(train=BINARY, test=BINARY), validation=validation)
    assert "validation must be from 0 to 39 (there are 40 training examples)" in line
    assert f"got {validation}" in line


def test_validation_against_an_own_split(save):
    line = refusal(save(train=BINARY, validation=BINARY, test=BINARY), validation=10)
    assert "holds out 40 examples itself; got validation 10" in line


def test_binarization_that_does_not_fit(save):
    grey, real, binary = ({"train": x, "test": x} for x in (GREY, REAL, BINARY))
    assert "dynamic or threshold" in refusal(save(**grey), binarization="static")
    assert "binarization none" in refusal(save(**real), binarization="dynamic")
    assert "use binarization static" in refusal(save(**binary), binarization="dynamic")


def test_whole_numbers_of_an_unknown_scale_are_not_guessed(tmp_path):
    """scikit-learn's digits, 0..16, would become at most 6 % ink as eight-bit intensities."""
    path = tmp_path / "sixteen.npy"
    np.save(path, np.arange(17).repeat(10).reshape(-1, 5))
    with pytest.raises(UserError, match=r"whole numbers from 0 to 16 have no known scale"):
        load(str(path))


COLOUR = RNG.randint(0, 256, (40, 4, 4, 3)).astype(np.uint8)
SCALED = RNG.uniform(size=(40, 12)).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (COLOUR, ("(4, 4, 3)", "not images of one channel", "whole numbers 0..255")),
        (COLOUR / 255, ("(4, 4, 3)", "fractions in [0, 1]", "model.likelihood gaussian")),
        (SCALED, ("(12,)", "features", "fractions in [0, 1]", "model.likelihood gaussian")),
        (GREY.reshape(40, 16), ("(16,)", "features", "model.likelihood discretized_logistic")),
    ],
)
def test_what_is_no_image_of_one_channel_is_not_binarized_unasked(save, values, words):
    """Refused with both ways out; each of them works."""
    path = save(train=values, test=values)
    with pytest.raises(SettingError) as caught:
        load(path)
    assert caught.value.fields == ("binarization", "model.likelihood")
    for word in (*words, "binarization none", "binarization dynamic"):
        assert word in str(caught.value)
    assert load(path, binarization="dynamic").support == "binary"
    assert load(path, binarize=False).binarization == "none"


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (1, 4, 4)])
def test_images_of_one_channel_are_binarized(save, shape):
    data = load(save(train=GREY.reshape(40, *shape), test=GREY.reshape(40, *shape)))
    assert data.binarization == "dynamic"


@pytest.mark.parametrize(
    ("values", "binarization", "note"),
    [
        (GREY, None, "whole numbers 0..255 of shape (4, 4), x drawn as 1 with probability value"),
        (GREY, "threshold", "x = 1 where value / 255 is above 1/2, else 0"),
        (GREY, "none", "whole numbers 0..255 of shape (4, 4), x = value / 255"),
        (GREY / 255, "none", "fractions in [0, 1] of shape (4, 4), taken as they are"),
        (BINARY, None, "0 and 1 of shape (4, 4), taken as they are"),
        (REAL, None, "real numbers of shape (3,), taken as they are"),
    ],
)
def test_a_sentence_says_what_was_made_of_the_values(save, values, binarization, note):
    data = load(save(train=values, test=values), binarization=binarization)
    assert data.note.startswith("own: ")
    assert note in data.note
    assert data.protocol()["note"] == data.note
    assert load("digits").note == ""


def test_examples_that_repeat_are_counted_where_a_density_has_no_bound_there(save):
    data = load(save(train=np.concatenate([REAL[:3], REAL[:1], REAL]), test=REAL))
    assert "; 4 of 40 training examples repeat an earlier one" in data.note
    assert "repeat" not in load(save(train=REAL, test=REAL)).note
    assert "repeat" not in load(save(train=np.tile(BINARY, (2, 1, 1)), test=BINARY)).note
