"""Protocols: what is refused, what evaluation sees, what training sees, what identifies data."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from vaejax.data import Dataset, available, load
from vaejax.errors import SettingError, UserError

GREY = np.random.RandomState(0).randint(0, 256, (60, 5, 5)).astype(np.uint8)
STORED = {  # what can be stored: values, levels
    "binary": ((GREY > 127).astype(np.uint8), 1),
    "grey": (GREY, 255),
    "unit": ((GREY / 255).astype(np.float32), 1.0),
    "real": (np.random.RandomState(1).normal(size=(60, 3)).astype(np.float32), None),
}


def dataset(kind, binarization):
    values, levels = STORED[kind]
    return Dataset(kind, values[:40], values[40:50], values[50:], levels, binarization)


@pytest.mark.parametrize(
    ("kind", "binarization", "support"),
    [
        ("binary", "static", "binary"),
        ("grey", "dynamic", "binary"),
        ("grey", "threshold", "binary"),
        ("grey", "none", "grey"),
        ("unit", "dynamic", "binary"),
        ("unit", "threshold", "binary"),
        ("unit", "none", "unit"),
        ("real", "none", "real"),
    ],
)
def test_what_observations_are(kind, binarization, support):
    """Their support, shape and type; and the mean that `summary` has of training images."""
    data = dataset(kind, binarization)
    values, levels = STORED[kind]
    assert data.support == support
    assert data.shape == values.shape[1:]
    train, test = data.split("train"), data.split("test")
    assert test.shape == data.test.shape
    assert test.dtype == np.float32
    if support == "binary":
        assert set(np.unique(train)) == {0, 1}
    if binarization == "threshold":
        np.testing.assert_array_equal(train, data.train > levels / 2)
    if binarization in ("none", "static"):
        np.testing.assert_allclose(train, data.train / (levels or 1), rtol=1e-6)
    mean = data.summary.mean
    assert mean.dtype == np.float64
    if binarization == "dynamic":
        np.testing.assert_allclose(mean, data.train.astype(float).mean(axis=0) / levels)
        assert np.all(np.abs(train.mean(axis=0) - mean) < 5 * 0.5 / np.sqrt(len(train)))
    else:
        np.testing.assert_allclose(mean, train.astype(float).mean(axis=0), rtol=1e-6)
    observed = jax.jit(data.observe)(jax.random.key(0), data.stored("train")).x
    assert observed.dtype == np.float32
    if binarization != "dynamic":
        np.testing.assert_array_equal(observed, train)


@pytest.mark.parametrize(
    ("kind", "binarization", "advice"),
    [
        ("grey", "static", "use binarization dynamic or threshold"),
        ("unit", "static", "use binarization dynamic or threshold"),
        ("real", "static", "use binarization dynamic or threshold"),
        ("binary", "dynamic", "use binarization static"),
        ("binary", "threshold", "use binarization static"),
        ("binary", "none", "use binarization static"),
        ("real", "dynamic", "use binarization none and a gaussian likelihood"),
        ("real", "threshold", "use binarization none and a gaussian likelihood"),
        ("grey", "stochastic", "one of dynamic, static, threshold, none; got 'stochastic'"),
    ],
)
def test_protocols_that_are_refused(kind, binarization, advice):
    with pytest.raises(SettingError) as caught:
        dataset(kind, binarization)
    assert caught.value.fields[0] == "binarization"
    line = str(caught.value)
    assert advice in line
    assert "\n" not in line


def test_training_images_are_drawn_anew_by_their_key():
    data = dataset("grey", "dynamic")
    a, b, c = (
        np.asarray(data.observe(jax.random.key(s), data.stored("train")).x) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).mean() > 0.2


def test_evaluation_images_are_drawn_once():
    """The same at every call and for every data set of the same values; the splits differ."""
    data = dataset("grey", "dynamic")
    np.testing.assert_array_equal(data.split("test"), data.split("test"))
    np.testing.assert_array_equal(data.split("test"), dataset("grey", "dynamic").split("test"))
    same = dataclasses.replace(data, validation=data.test)
    assert (same.split("validation") != same.split("test")).mean() > 0.2


HASH = """
import hashlib, vaejax.data
print(hashlib.sha256(vaejax.data.load("digits").split("test").astype("uint8").tobytes()).hexdigest()[:16])
"""


def test_evaluation_images_are_the_same_in_every_process():
    """Whatever JAX's defaults in force, and its version: the hash is written here, for were it to
    change, numbers from before and after would not be comparable."""
    here = hashlib.sha256(load("digits").split("test").astype("uint8").tobytes()).hexdigest()[:16]
    settings = {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    elsewhere = subprocess.run(
        [sys.executable, "-c", HASH], env=os.environ | settings, capture_output=True, text=True
    )
    assert here == "87977d647e75bc8a"
    assert elsewhere.stdout.strip() == "87977d647e75bc8a", elsewhere.stderr


def test_an_empty_validation_split():
    for kind, binarization in (("grey", "dynamic"), ("grey", "none"), ("binary", "static")):
        data = dataclasses.replace(dataset(kind, binarization), validation=STORED[kind][0][:0])
        empty = data.split("validation")
        assert empty.shape == (0, 5, 5)
        assert empty.dtype == data.split("test").dtype


def test_fingerprint():
    """One pixel, the division, the shape and the type count; the protocol has its own words."""
    data = dataset("grey", "dynamic")
    assert data.fingerprint == dataset("grey", "dynamic").fingerprint
    assert data.fingerprint == dataset("grey", "threshold").fingerprint
    assert len(data.fingerprint) == 16
    fingerprints = {data.fingerprint}
    for split in ("train", "validation", "test"):
        changed = getattr(data, split).copy()
        changed[-1, -1, -1] ^= 1
        fingerprints.add(dataclasses.replace(data, **{split: changed}).fingerprint)
    flat = {s: getattr(data, s).reshape(-1, 25) for s in ("train", "validation", "test")}
    wider = {s: getattr(data, s).astype(np.uint16) for s in ("train", "validation", "test")}
    moved = {"train": data.train[:-1], "validation": np.r_[data.train[-1:], data.validation]}
    for other in (flat, wider, moved):
        fingerprints.add(dataclasses.replace(data, **other).fingerprint)
    assert len(fingerprints) == 7


def test_protocol_is_what_numbers_are_compared_by():
    assert dataset("grey", "dynamic").protocol() == {
        "data": "grey",
        "train": 40,
        "validation": 10,
        "test": 10,
        "shape": [5, 5],
        "levels": 255,
        "binarization": "dynamic",
        "fingerprint": dataset("grey", "dynamic").fingerprint,
    }


def test_digits():
    data = load("digits")
    sizes = {"train": 1300, "validation": 200, "test": 297}
    assert {s: data.split(s).shape for s in sizes} == {s: (n, 8, 8) for s, n in sizes.items()}
    assert {s: len(v) for s, v in data.labels.items()} == sizes
    assert (data.levels, data.train.dtype, data.train.max()) == (16, np.uint8, 16)
    assert data.binarization == "dynamic"
    assert data.fingerprint == "97909d894c2afa1a"
    assert load("digits", binarization="none").support == "grey"
    assert len(load("digits", validation=0).train) == 1500
    with pytest.raises(
        UserError, match=r"from 0 to 1499 \(there are 1500 training examples\); got 1500"
    ):
        load("digits", validation=1500)


def test_available_names_every_data_set(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    where = {source.name: place for source, place in available()}
    assert list(where)[:3] == ["digits", "mnist", "binarized_mnist"]
    assert where["digits"] == "inside scikit-learn"
    assert "would download 4 files from https" in where["mnist"]
    assert str(tmp_path) in where["binarized_mnist"]
