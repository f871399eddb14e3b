"""Piano rolls: from the published files over HTTP to padded sequences, with nothing lost."""

import numpy as np
import pytest
from scipy.io import loadmat

from tests.loopback import server
from vaejax.data import available, catalogue, load, polyphonic, repeats_of_training

SPLITS = {"train": "traindata", "validation": "validdata", "test": "testdata"}
FACTS = {  # sequences and frames of train, validation and test; the longest
    "jsb": ([229, 76, 77], [13_807, 4_602, 4_725], 160),
    "nottingham": ([694, 173, 170], [176_561, 45_513, 44_463], 1793),
    "piano_midi": ([87, 12, 25], [75_911, 8_540, 19_036], 3857),
    "musedata": ([524, 135, 124], [245_202, 82_755, 64_339], 4273),
}


@pytest.fixture
def rolls(real_data):
    """The folder of the published files."""
    folder = real_data / "raw" / "polyphonic"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: tests on the real piano rolls are NOT run")
    return folder


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine on which nothing is prepared or cached."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "tfds"


@pytest.mark.parametrize("name", FACTS)
def test_the_published_files_are_prepared_and_read(name, rolls, bare, monkeypatch, capfd):
    published = polyphonic.PUBLISHED[name]
    (file,) = published.checksums
    assert "would download 1 file from https" in catalogue.whereabouts(published)
    with server(rolls) as url:
        monkeypatch.setitem(polyphonic.PUBLISHED, name, published._replace(url=url))
        data = load(name)
    assert capfd.readouterr() == ("", f"preparing {name} (once)…\n")
    where = {source.name: place for source, place in available()}
    assert where[name] == f"prepared in {bare / f'vaejax_{name}' / '1.0.0'}"
    counts, frames, longest = FACTS[name]
    assert (data.support, data.binarization, data.shape) == ("binary", "static", (longest, 88))
    assert [len(data.lengths(split)) for split in SPLITS] == counts
    assert [data.lengths(split).sum() for split in SPLITS] == frames
    assert data.summary.protocol()["frames"] == frames
    content = loadmat(rolls / file)
    for split, cells in SPLITS.items():
        expected = sorted(roll.tobytes() for roll in content[cells][0])
        rows = zip(getattr(data, split), data.lengths(split), strict=True)
        assert sorted(roll[:length].tobytes() for roll, length in rows) == expected
    np.testing.assert_allclose(
        data.summary.mean, np.concatenate(content["traindata"][0]).mean(axis=0), rtol=1e-12
    )
    fingerprint = data.fingerprint
    del data
    monkeypatch.setattr(catalogue, "_decode", None)
    again = load(name)  # neither the network nor the prepared files
    assert again.fingerprint == fingerprint
    assert capfd.readouterr() == ("", "")
    if name in ("jsb", "nottingham"):
        training = {roll.tobytes() for roll in content["traindata"][0]}
        found = repeats_of_training(again, "test")
        assert found.shape == (counts[2],)
        assert found.sum() == sum(roll.tobytes() in training for roll in content["testdata"][0])
        assert found.any() == (name == "nottingham")
        assert repeats_of_training(again, "train").all()
