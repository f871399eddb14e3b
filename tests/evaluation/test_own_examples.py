"""A person's own file of examples: its values are prepared as those of training were."""

import numpy as np
import PIL.Image
import pytest

from tests.evaluation.test_evaluated_sequences import dataset as sequences
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation.own_examples import own_examples

WHOLE = np.random.RandomState(0).randint(0, 17, (40, 3, 3))


def summary_of(binarization, levels=16, dtype=np.uint8):
    stored = WHOLE.astype(dtype)
    return Dataset("whole", stored, stored, stored, levels, binarization).summary


def prepared(folder, values, summary):
    np.save(folder / "x.npy", values)
    example, done, _ = own_examples(folder / "x.npy", summary)
    return example.x, done


@pytest.mark.parametrize("full", [16, 1])
def test_intensities_are_prepared_as_in_training(tmp_path, full):
    """Whole numbers as they are stored, or as fractions."""
    values = WHOLE * (full / 16)
    x, done = prepared(tmp_path, values, summary_of("threshold"))
    np.testing.assert_array_equal(x, WHOLE > 8)
    assert "above 1/2" in done
    x, done = prepared(tmp_path, values, summary_of("none"))
    np.testing.assert_allclose(x, WHOLE / 16)
    x, done = prepared(tmp_path, values, summary_of("dynamic"))
    assert set(np.unique(x)) == {0, 1} and "probability" in done
    assert (x[WHOLE == 16] == 1).all() and (x[WHOLE == 0] == 0).all()
    assert abs((x - WHOLE / 16).mean()) < 5 * 0.5 / x.size**0.5


def test_binary_and_real_values_are_taken_as_they_are(tmp_path):
    binary, real = WHOLE > 8, WHOLE - 20.5
    for values, summary in (
        (binary, summary_of("dynamic")),
        (real, summary_of("none", None, np.float32)),
    ):
        x, done = prepared(tmp_path, values, summary)
        np.testing.assert_array_equal(x, values)
        assert "taken as they are" in done
    x, done = prepared(tmp_path, binary.astype(float), summary_of("dynamic"))
    np.testing.assert_array_equal(x, binary)
    assert "taken as they are" in done


def test_an_image_of_whole_numbers_is_the_same_alone_and_beside_a_brighter_one(tmp_path):
    dark, bright = np.zeros((1, 3, 3), np.uint8), np.full((1, 3, 3), 16, np.uint8)
    dark[0, 1] = 1
    alone, done = prepared(tmp_path, dark, summary_of("none"))
    both, _ = prepared(tmp_path, np.concatenate([dark, bright]), summary_of("none"))
    np.testing.assert_array_equal(alone[0], both[0])
    np.testing.assert_allclose(alone, dark / 16)
    assert done == "x = value / 16"
    with pytest.raises(
        UserError, match=r"whole numbers 0\.\.16, .*got only 0 and 1: .* as booleans"
    ):
        prepared(tmp_path, dark, summary_of("dynamic"))


@pytest.mark.parametrize("parts", [("b", "a"), ("train", "test"), ("",)])
def test_a_folder_of_images_is_read_in_the_order_of_its_file_names(tmp_path, parts):
    """With folders of classes or of splits too; `files` says which image is which."""
    images = np.random.RandomState(1).randint(0, 256, (4, 3, 3)).astype(np.uint8)
    for part in parts:
        (tmp_path / part).mkdir(exist_ok=True)
        for i in (2, 0, 3, 1):
            PIL.Image.fromarray(images[i]).save(tmp_path / part / f"{i}.png")
    stored = images[:, :1]
    summary = Dataset("mine", stored, stored, stored, 255, "none").summary
    x, done, files = own_examples(tmp_path, summary)
    whole = parts == ("b", "a")
    np.testing.assert_allclose(x.x, np.concatenate([images, images] if whole else [images]) / 255)
    names = [f"{i}.png" for i in range(4)]
    assert files == ([f"{part}/{name}" for part in "ab" for name in names] if whole else names)
    assert done == "x = value / 255"
    if "train" in parts:
        with pytest.raises(UserError, match="expected a folder validation; found test, train"):
            own_examples(tmp_path, summary, "validation")


def test_of_a_file_with_splits_and_labels_one_array_is_taken(tmp_path):
    path, summary = tmp_path / "x.npz", summary_of("none")
    np.savez(path, train=WHOLE, test=WHOLE[:7], train_label=np.ones(40), test_label=np.ones(7))
    for split, count in (("train", 40), ("test", 7)):
        np.testing.assert_allclose(own_examples(path, summary, split)[0].x, WHOLE[:count] / 16)
    with pytest.raises(UserError, match="or one named validation; found test, test_label, train"):
        own_examples(path, summary, "validation")
    np.savez(path, x=WHOLE, label=np.ones(40))
    np.testing.assert_allclose(own_examples(path, summary)[0].x, WHOLE / 16)


def test_sequences_come_with_their_lengths(tmp_path):
    path, summary = tmp_path / "x.npz", sequences().summary
    arrays = {"x": np.ones((2, 5, 3)), "length": np.array([5, 2]), "actions": np.ones((2, 5))}
    np.savez(path, **arrays)
    example, *_ = own_examples(path, summary)
    np.testing.assert_array_equal(example.given.exists.sum(axis=1), [5, 2])
    assert example.given.actions.shape == (2, 5, 1)
    named = {"test" if name == "x" else f"test_{name}": array for name, array in arrays.items()}
    np.savez(path, **named, train=np.zeros((3, 5, 3)))
    np.testing.assert_array_equal(own_examples(path, summary)[0].x, arrays["x"])
    np.savez(path, **arrays | {"length": np.array([5, 6])})
    with pytest.raises(UserError, match=r"lengths from 1 to 5.*got 5 to 6"):
        own_examples(path, summary)
    np.savez(path, x=arrays["x"])
    with pytest.raises(UserError, match="expected arrays actions, length, x; found x"):
        own_examples(path, summary)


def test_what_cannot_be_used_is_refused(tmp_path):
    for values, words in (
        (WHOLE * 2, "0..16, or from 0 to 1, as in .*; got values from 0 to 32"),
        (WHOLE - 1, "got values from -1 to 15"),
        (np.full((2, 3, 3), np.nan), "got values from nan"),
        (np.array(["a"]), "numbers; got dtype <U1"),
    ):
        with pytest.raises(UserError, match=words):
            prepared(tmp_path, values, summary_of("dynamic"))
    (tmp_path / "x.npz").write_text("no arrays")
    with pytest.raises(UserError, match="cannot read"):
        own_examples(tmp_path / "x.npz", summary_of("dynamic"))
    np.savez(tmp_path / "x.npz", a=WHOLE, b=WHOLE)
    with pytest.raises(
        UserError, match="expected one array of examples, or one named test; found a, b"
    ):
        own_examples(tmp_path / "x.npz", summary_of("dynamic"))
