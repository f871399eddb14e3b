"""Sequences of different lengths: what is stored, observed, summarized and identified."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data import SequenceDataset, load, load_summary
from vaejax.data.sequences import padded
from vaejax.errors import SettingError, UserError
from vaejax.experiment.likelihoods import LIKELIHOODS, check_data
from vaejax.experiment.sequences import check_sequences
from vaejax.types import Conditions, missing_frames

SPLITS = ("train", "validation", "test")
SIZES = {"train": 7, "validation": 2, "test": 3}
KINDS = {
    "binary": (lambda rng, shape: rng.randint(0, 2, shape).astype(np.uint8), 1, None),
    "real": (lambda rng, shape: rng.normal(2.0, 3.0, shape).astype(np.float32), None, None),
    "categories": (lambda rng, shape: rng.randint(0, 5, shape).astype(np.int32), None, 5),
}


def dataset(kind="binary", actions=True, frame=(3,)):
    """Twelve short sequences, and the lists that they were made of."""
    rng = np.random.RandomState(0)
    draw, levels, num_categories = KINDS[kind]
    lists, x, given = {}, {}, {}
    for split, n in SIZES.items():
        lengths = rng.randint(2, 9, n)
        sequences = [draw(rng, (length, *frame)) for length in lengths]
        acting = [rng.normal(size=(length, 2)) for length in lengths] if actions else None
        lists[split] = sequences, acting
        x[split], given[split] = padded(sequences, 9)
        if acting is not None:
            acted = padded(acting, 9)[0].astype(np.float32)
            given[split] = given[split]._replace(actions=acted)
    protocol = "static" if levels else "none"
    made = SequenceDataset(
        kind, *x.values(), levels, protocol, given=given, num_categories=num_categories
    )
    return made, lists


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frame", [(), (3,), (2, 2)])
def test_an_example_is_a_padded_sequence_and_its_conditions(kind, frame):
    data, lists = dataset(kind, frame=frame)
    for split in SPLITS:
        sequences, actions = lists[split]
        examples = data.examples(split)
        assert examples.x.dtype == (np.int32 if kind == "categories" else np.float32)
        np.testing.assert_array_equal(data.lengths(split), [len(s) for s in sequences])
        for i, sequence in enumerate(sequences):
            one = jax.tree.map(lambda leaf, i=i: leaf[i], examples)
            assert isinstance(one.given, Conditions)
            length = int(one.given.length)
            assert one.x.shape == (9, *frame)
            np.testing.assert_array_equal(one.x[:length], sequence)
            np.testing.assert_array_equal(one.given.exists, np.arange(9) < len(sequence))
            np.testing.assert_allclose(one.given.actions[:length], actions[i], rtol=1e-6)
            assert not one.x[length:].any() and not one.given.actions[length:].any()
        observed = jax.jit(data.observe)(jax.random.key(0), data.stored(split))
        assert jax.tree.structure(observed) == jax.tree.structure(examples)
        for a, b in zip(jax.tree.leaves(observed), jax.tree.leaves(examples), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    few = data.examples("train", 2)
    assert [len(leaf) for leaf in jax.tree.leaves(few)] == [2, 2, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_of_the_frames_that_there_are(kind):
    data, lists = dataset(kind)
    frames = np.concatenate(lists["train"][0]).astype(np.float64)
    if kind == "categories":
        frames = np.eye(5)[frames.astype(int)]
    summary = data.summary
    np.testing.assert_allclose(summary.mean, frames.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(summary.std, frames.std(axis=0), rtol=1e-9)
    assert summary.support == kind
    assert summary.shape == (9, 3)
    assert summary.sequence.frames["train"] == len(frames)
    assert summary.sequence.num_actions == 2
    assert summary.protocol()["frames"] == [sum(map(len, lists[s][0])) for s in SPLITS]
    assert summary.protocol()["missing"] == [0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_missing_frames_are_in_no_moment(kind):
    """With every other training frame missing, the moments are those of the rest."""
    data, lists = dataset(kind)
    exists = data.given["train"].exists
    gone = exists & (np.arange(9) % 2 == 0)
    hole = -1 if kind == "categories" else np.nan
    x = data.train.astype(np.int32 if kind == "categories" else np.float32)
    x[gone] = hole
    holed = dataclasses.replace(data, train=x)
    np.testing.assert_array_equal(missing_frames(x, axes=2), gone)
    assert holed.summary.sequence.missing == {"train": gone.sum(), "validation": 0, "test": 0}
    assert holed.summary.sequence.frames["train"] == exists.sum() - gone.sum()
    rest = np.concatenate([s[1::2] for s in lists["train"][0]]).astype(np.float64)
    if kind == "categories":
        rest = np.eye(5)[rest.astype(int)]
    np.testing.assert_allclose(holed.summary.mean, rest.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(holed.split("train"), x)
    assert holed.split("train").dtype == x.dtype
    x = x.copy()
    x[exists] = hole
    with pytest.raises(UserError, match="expected at least one training frame that is not missing"):
        dataclasses.replace(data, train=x)
    for name in ("validation", "test"):
        gone = np.full(getattr(data, name).shape, hole, x.dtype)
        with pytest.raises(UserError, match=f"at least one {name} frame that is not missing"):
            dataclasses.replace(data, **{name: gone})


def test_the_fingerprint_covers_lengths_and_actions():
    data, _ = dataset()
    fingerprints = {data.fingerprint, dataset()[0].fingerprint}
    assert len(fingerprints) == 1
    train = data.given["train"]
    shorter = train.exists.copy()
    shorter[0, int(data.lengths("train")[0]) - 1] = False
    pushed = train.actions.copy()
    pushed[0, 0, 0] += 1
    for changed in (train._replace(exists=shorter), train._replace(actions=pushed)):
        given = data.given | {"train": changed}
        fingerprints.add(dataclasses.replace(data, given=given).fingerprint)
    fingerprints.add(dataset(actions=False)[0].fingerprint)
    x = data.train.copy()
    x[0, 0] ^= 1
    fingerprints.add(dataclasses.replace(data, train=x).fingerprint)
    assert len(fingerprints) == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("actions", [True, False])
def test_a_summary_is_saved_read_and_traced_with(kind, actions, tmp_path):
    data, _ = dataset(kind, actions)
    path = tmp_path / "data.json"
    path.write_text(json.dumps(data.summary.to_json()))
    again = load_summary(path)
    for field in dataclasses.fields(again):
        expected = getattr(data.summary, field.name)
        np.testing.assert_array_equal(getattr(again, field.name), expected)
    zeros, first = again.example(), jax.tree.map(lambda leaf: leaf[0], data.examples("train"))
    assert jax.tree.structure(zeros) == jax.tree.structure(first)
    for a, b in zip(jax.tree.leaves(zeros), jax.tree.leaves(first), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert zeros.given.exists.all() and not zeros.x.any()


def test_a_summary_from_before_there_were_sequences_is_read(tmp_path):
    content = load("digits").summary.to_json()
    for added in ("sequence", "num_categories"):
        assert content.pop(added) is None
    (tmp_path / "data.json").write_text(json.dumps(content))
    summary = load_summary(tmp_path / "data.json")
    assert not summary.is_sequence
    assert summary.protocol() == load("digits").protocol()
    assert summary.example().x.shape == (8, 8)
    assert summary.example().x.dtype == np.float32
    assert summary.example().given == ()
    with pytest.raises(ValueError, match="expected sequences; digits has none"):
        summary.frame()


@pytest.mark.parametrize(
    ("kind", "likelihood"),
    [("binary", "bernoulli"), ("real", "gaussian"), ("categories", "categorical")],
)
def test_likelihoods_are_those_of_one_frame(kind, likelihood):
    """Shapes and starting bias of a frame; at that bias of the categories, log p is the sum of the
    log training frequencies."""
    data, _ = dataset(kind)
    frame = data.summary.frame()
    assert frame.shape == (3,) and not frame.is_sequence
    check_data(likelihood, frame)
    table = LIKELIHOODS[likelihood]
    outputs = jnp.zeros(table.output_shape(frame)) + table.output_bias(frame)
    p = table.distribution(frame)(outputs)
    x = data.split("train")[0, 0]
    assert p.log_prob(x).shape == ()
    assert p.sample(seed=jax.random.key(0)).shape == x.shape
    if kind == "categories":
        each = data.summary.mean[np.arange(3), x]
        np.testing.assert_allclose(p.log_prob(x), np.log(each).sum(), rtol=1e-5)
    others = [name for name in LIKELIHOODS if kind not in LIKELIHOODS[name].support]
    for other in others:
        with pytest.raises(SettingError, match=f"use model.likelihood {likelihood}$"):
            check_data(other, frame)
        with pytest.raises(SettingError, match=r"use an experiment that has model\.likelihood"):
            check_data(other, frame, fixed=True)


def test_a_model_of_single_examples_refuses_sequences():
    """Padding would count as data."""
    with pytest.raises(SettingError, match=r"data.name binary has sequences") as caught:
        check_data("bernoulli", dataset()[0].summary)
    assert caught.value.fields == ("data.name",)


def test_sequences_are_not_binarized():
    for kind, wrong in (("binary", "dynamic"), ("real", "threshold"), ("categories", "static")):
        with pytest.raises(SettingError, match="sequences are not binarized") as caught:
            dataclasses.replace(dataset(kind)[0], binarization=wrong)
        assert caught.value.fields[0] == "binarization"


def test_sequences_without_their_lengths_are_known_by_their_shape(tmp_path):
    for shape, words in (((20, 4, 3), r"up to 4 steps.* length \(n,\)"), ((20, 4), "no sequences")):
        np.savez(tmp_path / "mine.npz", x=np.random.RandomState(0).randn(*shape))
        with pytest.raises(UserError, match=words):
            check_sequences(load(str(tmp_path / "mine.npz")).summary)
