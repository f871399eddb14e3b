"""What a model needs of its data, without the data; and what adding a data set takes."""

import dataclasses
import json

import numpy as np
import pytest

from vaejax.data import Dataset, load, load_summary
from vaejax.data.source import Source, Stored
from vaejax.data.sources import SOURCES
from vaejax.errors import UserError

RNG = np.random.RandomState(0)
REAL = (1e3 + RNG.normal(size=(5000, 3)) * [1e-2, 1.0, 1e3]).astype(np.float32)


def test_moments_are_those_of_x():
    """Of real values with a large offset, of grey values, of binary ones."""
    real = Dataset("real", REAL, REAL[:5], REAL[:5], None, "none").summary
    np.testing.assert_allclose(real.mean, REAL.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(real.std, REAL.astype(np.float64).std(axis=0), rtol=1e-9)
    grey = load("digits", binarization="none")
    assert grey.summary.std.shape == grey.summary.shape == (8, 8)
    np.testing.assert_allclose(grey.summary.std, (grey.train / 16).std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(grey.summary.mean, (grey.train / 16).mean(axis=0), rtol=1e-12)
    binary = load("digits", binarization="threshold")
    expected = binary.split("train").std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(binary.summary.std, expected, rtol=1e-12)


@pytest.mark.parametrize("binarization", ["dynamic", "none"])
def test_a_summary_is_saved_and_read_without_loss(tmp_path, binarization):
    data = dataclasses.replace(load("digits", binarization=binarization), note="a sentence")
    (tmp_path / "data.json").write_text(json.dumps(data.summary.to_json()))
    again = load_summary(tmp_path / "data.json")
    for field in dataclasses.fields(again):
        expected = getattr(data.summary, field.name)
        np.testing.assert_array_equal(getattr(again, field.name), expected)
    assert again.protocol() == data.protocol()
    assert again.num_train == len(data.train)


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"mean": 1, "std": 1, "shape": 3}', "cut"])
def test_a_damaged_summary_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(load("digits").summary.to_json()))
    path.write_text(path.read_text()[:300] if damage == "cut" else damage)
    with pytest.raises(UserError, match=r"data\.json is damaged.*train the model again"):
        load_summary(path)
    path.unlink()
    with pytest.raises(UserError, match="the summary of the data"):
        load_summary(path)


def test_a_new_data_set_is_a_source_and_an_entry(monkeypatch):
    """Nothing else: it is listed, loaded, divided and binarized like the others."""
    images = RNG.randint(0, 5, (30, 3, 3)).astype(np.uint8)
    stored = Stored(images[:20], images[20:], 4, labels={"train": np.arange(20)})
    source = Source("squares", "3x3 squares", "dynamic", 5, lambda: stored, lambda: "in memory")
    monkeypatch.setitem(SOURCES, "squares", source)
    data = load("squares")
    assert [len(data.train), len(data.validation), len(data.test)] == [15, 5, 10]
    assert data.binarization == "dynamic"
    np.testing.assert_array_equal(data.labels["validation"], np.arange(15, 20))
    assert load("squares", binarize=False).support == "grey"
    with pytest.raises(UserError, match=r"expected digits, mnist, .*, squares, or"):
        load("squire")
