"""A person's own folder of images: what is made of a good one, what is said of a bad one."""

import numpy as np
import PIL.Image
import pytest

from vaejax.data import is_own_file, load
from vaejax.errors import UserError

RNG = np.random.RandomState(0)
GREY = RNG.randint(0, 256, (12, 9, 8)).astype(np.uint8)
COLOUR = RNG.randint(0, 256, (12, 9, 8, 3)).astype(np.uint8)


def write(folder, images, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        PIL.Image.fromarray(image).save(folder / f"{i:02}.{suffix}")


def refusal(path):
    """The one line that a person sees."""
    with pytest.raises(UserError) as caught:
        load(str(path), binarize=False)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("images", [GREY, COLOUR])
def test_images_are_divided_as_an_array_is(tmp_path, images):
    """In the order of their names; what the same array gives, with the same fingerprint."""
    write(tmp_path / "mine", images)
    (tmp_path / "mine" / ".DS_Store").write_bytes(b"hidden")
    np.save(tmp_path / "mine.npy", images)
    data = load(str(tmp_path / "mine"), binarize=False)
    assert (data.name, data.levels, data.support) == ("mine", 255, "grey")
    assert data.fingerprint == load(str(tmp_path / "mine.npy"), binarize=False).fingerprint
    assert data.labels == {}


def test_folders_of_splits_and_of_classes(tmp_path):
    """Each image has the name of its sub-folder, in a fixed shuffle."""
    for split in ("train", "test"):
        for c in ("cat", "dog"):
            write(tmp_path / split / c, [np.full((9, 8), c == "dog", np.uint8) + 200] * 4)
    data = load(str(tmp_path), validation=2)
    assert [len(data.train), len(data.validation), len(data.test)] == [6, 2, 8]
    assert data.label_names == ("cat", "dog")
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(data.labels[split], getattr(data, split)[:, 0, 0] - 200)
    assert not np.all(np.diff(data.labels["test"]) >= 0)
    assert "with labels of 2 classes" in data.note
    for split in ("train", "test"):
        for c in ("cat", "dog"):
            (tmp_path / split / c).rename(tmp_path / split / f"{c}s")
    again = load(str(tmp_path), validation=2)
    assert again.fingerprint == data.fingerprint  # labels are no part of x


def test_dark_images_have_their_scale(tmp_path):
    """They have 8 bits, whatever the brightest pixel is."""
    write(tmp_path, GREY // 4)
    assert load(str(tmp_path)).levels == 255


def test_other_files_are_converted_or_refused(tmp_path):
    write(tmp_path, COLOUR)
    PIL.Image.fromarray(COLOUR[0]).quantize(16).save(tmp_path / "00.png")
    opaque = np.concatenate([COLOUR[1], np.full((9, 8, 1), 255, np.uint8)], axis=-1)
    PIL.Image.fromarray(opaque).save(tmp_path / "01.png")
    data = load(str(tmp_path), binarize=False)
    assert "1 with a palette converted to RGB, 1 with an opaque alpha channel removed" in data.note
    opaque[0, 0, 3] = 254
    PIL.Image.fromarray(opaque).save(tmp_path / "01.png")
    assert "01.png has transparent pixels" in refusal(tmp_path)
    PIL.Image.fromarray(GREY[0].astype(np.uint16)).save(tmp_path / "01.png")
    assert "01.png: expected 8-bit grey or RGB pixels" in refusal(tmp_path)


def test_jpeg_images(tmp_path):
    write(tmp_path, np.full((12, 9, 8), 200, np.uint8), "jpeg")
    np.testing.assert_allclose(load(str(tmp_path)).train, 200, atol=2)


def test_one_size_and_one_kind(tmp_path):
    write(tmp_path, GREY)
    PIL.Image.fromarray(GREY[3, :7]).save(tmp_path / "03.png")
    line = refusal(tmp_path)
    assert "00.png is 9 pixels high and 8 wide," in line
    assert "03.png 7 pixels high and 8 wide: resize" in line
    PIL.Image.fromarray(COLOUR[3]).save(tmp_path / "03.png")
    line = refusal(tmp_path)
    assert "00.png is grey and" in line and "03.png is colour" in line


def test_what_is_no_image(tmp_path):
    write(tmp_path, GREY)
    (tmp_path / "notes.txt").write_text("words")
    assert "notes.txt cannot be read as a PNG or JPEG image" in refusal(tmp_path)
    (tmp_path / "notes.txt").unlink()
    whole = (tmp_path / "04.png").read_bytes()
    (tmp_path / "04.png").write_bytes(whole[:-30])
    assert "04.png cannot be read as a PNG or JPEG image" in refusal(tmp_path)


def test_folders_that_are_not_understood(tmp_path):
    assert "is empty: expected PNG or JPEG images" in refusal(tmp_path)
    assert "there is no folder" in refusal(tmp_path / "absent")
    write(tmp_path / "train", GREY)
    assert "expected folders train, test and perhaps validation" in refusal(tmp_path)
    write(tmp_path / "test" / "cat", GREY)
    assert "test has sub-folders, whose names are labels, and train has none" in refusal(tmp_path)
    write(tmp_path / "test", GREY)
    assert "found both, 00.png and cat" in refusal(tmp_path)
    write(tmp_path / "test2" / "cat" / "more", GREY)
    assert "of one class; found the folder more" in refusal(tmp_path / "test2")
    (tmp_path / "test3" / "cat").mkdir(parents=True)
    assert "of one class; found none" in refusal(tmp_path / "test3")


def test_what_is_a_path(tmp_path, monkeypatch):
    """A name of the table stays one, also where a folder has it."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.txt").write_text("words")
    named = {
        "digits": False,
        "mine": True,
        "a.txt": True,
        "absent": False,
        "./absent": True,
        "a.npy": True,
    }
    assert {name: is_own_file(name) for name in named} == named
    assert not is_own_file("")
    for name in ("a.txt", tmp_path / "a.txt"):
        assert "a.txt is not of a kind that is read: expected a .npz" in refusal(name)
