"""MNIST and binarized MNIST: read where prepared, fetched and prepared where not, never half."""

import gzip
import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.loopback import Files, server
from vaejax.data import binarized_mnist, builders, catalogue, download, load, mnist
from vaejax.errors import UserError

PREPARING = "preparing {} (once)…\n"


class Cut(Files):
    """Promises a thousand bytes, sends ten."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"ten bytes.")


class Silent(Files):
    """Takes the question and does not answer."""

    def do_GET(self):
        time.sleep(1)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine on which nothing is prepared or cached: where it would be."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "tfds"


@pytest.fixture
def served(bare, tmp_path, monkeypatch):
    """Such a machine, and a folder that is served to it: a small MNIST and binarized MNIST."""
    folder, rng = tmp_path / "served", np.random.RandomState(0)
    folder.mkdir()
    idx, amat = {}, {}
    for stem, n in (("train", 300), ("t10k", 100)):
        idx[f"{stem}-images-idx3-ubyte.gz"] = bytes(16) + rng.bytes(n * 784)
        idx[f"{stem}-labels-idx1-ubyte.gz"] = bytes(8) + rng.randint(0, 10, n, np.uint8).tobytes()
    for stem, n in (("train", 50), ("valid", 20), ("test", 10)):
        text = "\n".join(" ".join(map(str, row)) for row in rng.randint(0, 2, (n, 784)))
        amat[f"binarized_mnist_{stem}.amat"] = f"{text}\n".encode()
    for name, content in (idx | amat).items():
        (folder / name).write_bytes(gzip.compress(content) if name in idx else content)
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in idx.items()}
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in amat.items()}
    with server(folder) as url:
        for module, checksums in ((mnist, md5), (binarized_mnist, sha256)):
            changed = module.PUBLISHED._replace(url=url, checksums=checksums)
            monkeypatch.setattr(module, "PUBLISHED", changed)
        yield folder


def published(folder, stem):
    """Images and labels of the IDX files, in their order."""
    images, labels = (
        np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=offset)
        for name, offset in (
            (f"{stem}-images-idx3-ubyte.gz", 16),
            (f"{stem}-labels-idx1-ubyte.gz", 8),
        )
    )
    return images.reshape(-1, 28, 28), labels


def assert_same_examples(arrays, folder):
    """The labelled images are those of the IDX files: TFDS shuffles, so in any order."""
    for split, stem in (("train", "train"), ("test", "t10k")):
        both = []
        for images, labels in (
            (arrays[split], arrays[f"{split}_labels"]),
            published(folder, stem),
        ):
            assert images.dtype == np.uint8
            assert images.shape == (len(labels), 28, 28)
            rows = np.column_stack([images.reshape(-1, 784), labels.astype(np.uint8)])
            both.append(sorted(row.tobytes() for row in rows))
        assert both[0] == both[1]


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def refusal(module=mnist):
    """The one line that a person sees."""
    with pytest.raises(UserError) as caught:
        catalogue.load(module.PUBLISHED)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


def refuse_to_decode(*_):
    raise AssertionError("decoded though cached")


# Real files


@pytest.fixture(scope="module")
def prepared(real_data, tmp_path_factory):
    """MNIST as TFDS has prepared it, read the first time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield catalogue.load(mnist.PUBLISHED)


def test_prepared_mnist_holds_the_published_files(prepared, real_data, monkeypatch, capfd):
    assert_same_examples(prepared, real_data / "raw" / "mnist")
    monkeypatch.setattr(catalogue, "_decode", refuse_to_decode)
    assert_equal(catalogue.load(mnist.PUBLISHED), prepared)
    data = load("mnist")
    assert [len(x) for x in (data.train, data.validation, data.test)] == [50000, 10000, 10000]
    assert data.fingerprint == "8440d7cfd6e78f75"
    np.testing.assert_array_equal(data.validation, prepared["train"][50000:])
    np.testing.assert_array_equal(data.labels["validation"], prepared["train_labels"][50000:])
    assert capfd.readouterr() == ("", "")


def test_own_preparation_of_mnist_is_that_of_tfds(prepared, real_data, bare, monkeypatch, capfd):
    """From the published files over HTTP: the same images in the same order, so that the
    validation split and the fingerprint do not depend on who prepared them."""
    with server(real_data / "raw" / "mnist") as url:
        monkeypatch.setattr(mnist, "PUBLISHED", mnist.PUBLISHED._replace(url=url))
        assert_equal(catalogue.load(mnist.PUBLISHED), prepared)
    assert capfd.readouterr() == ("", PREPARING.format("mnist"))
    assert (
        catalogue.whereabouts(mnist.PUBLISHED) == f"prepared in {bare / 'vaejax_mnist' / '1.0.0'}"
    )


def test_prepared_binarized_mnist(real_data, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = load("binarized_mnist")
    assert (data.binarization, data.levels, data.support) == ("static", 1, "binary")
    for x, n, mean in (
        (data.train, 50_000, 0.13056),
        (data.validation, 10_000, 0.13113),
        (data.test, 10_000, 0.13251),
    ):
        assert (x.shape, x.dtype, x.max()) == ((n, 28, 28), np.uint8, 1)
        assert abs(x.mean() - mean) < 5e-6
    monkeypatch.setattr(catalogue, "_decode", refuse_to_decode)
    assert load("binarized_mnist").fingerprint == data.fingerprint
    assert capfd.readouterr() == ("", PREPARING.format("binarized_mnist"))


# Preparation


def test_prepares_and_caches(served, monkeypatch, capfd):
    """One line on stderr; afterwards neither the network nor the prepared files are read."""
    assert "not here: would download 4 files from http://127.0.0.1" in catalogue.whereabouts(
        mnist.PUBLISHED
    )
    first = catalogue.load(mnist.PUBLISHED)
    assert capfd.readouterr() == ("", PREPARING.format("mnist"))
    assert_same_examples(first, served)
    monkeypatch.setattr(catalogue, "_decode", refuse_to_decode)
    monkeypatch.setattr(catalogue, "_prepare", refuse_to_decode)
    assert_equal(catalogue.load(mnist.PUBLISHED), first)
    assert capfd.readouterr() == ("", "")
    assert len(load("mnist", validation=40).train) == 260
    with pytest.raises(
        UserError, match=r"from 0 to 299 \(there are 300 training examples\); got 10000"
    ):
        load("mnist")


def test_binarized_mnist_from_its_text_files(served, capfd):
    data = load("binarized_mnist", validation=20)
    assert capfd.readouterr() == ("", PREPARING.format("binarized_mnist"))
    for stem, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        rows = np.loadtxt(served / f"binarized_mnist_{stem}.amat", dtype=np.uint8)
        assert data.split(split).shape == (len(rows), 28, 28)
        assert sorted(x.astype(np.uint8).tobytes() for x in data.split(split)) == sorted(
            x.tobytes() for x in rows
        )
    with pytest.raises(UserError, match="holds out the 20 examples that were published"):
        load("binarized_mnist", validation=10)
    with pytest.raises(UserError, match="binary already"):
        load("binarized_mnist", validation=20, binarization="dynamic")


@pytest.mark.parametrize("cache", ["damaged", "not writable"])
def test_without_a_cache_it_is_only_slower(served, tmp_path, cache):
    if cache == "not writable":
        (tmp_path / "cache").write_text("a file where the folder would be")
    first = catalogue.load(mnist.PUBLISHED)
    for file in (tmp_path / "cache").rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:1000])
    assert_equal(catalogue.load(mnist.PUBLISHED), first)


def test_another_process_prepares_meanwhile(served, monkeypatch):
    fetch = builders.fetch

    def first_in_another_process(url, checksum):
        monkeypatch.setattr(builders, "fetch", fetch)
        catalogue._prepare(mnist.PUBLISHED)
        return fetch(url, checksum)

    monkeypatch.setattr(builders, "fetch", first_in_another_process)
    assert_same_examples(catalogue.load(mnist.PUBLISHED), served)


# Answers that are not the files


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("train-images-idx3-ubyte.gz", "damaged"),
        ("t10k-labels-idx1-ubyte.gz", "truncated"),
        ("train-images-idx3-ubyte.gz", "another file"),
        ("train-labels-idx1-ubyte.gz", "a page of a proxy"),
        ("binarized_mnist_valid.amat", "damaged"),
    ],
)
def test_a_wrong_file_is_refused_and_not_kept(served, bare, name, wrong, capfd):
    module = binarized_mnist if name.endswith(".amat") else mnist
    right = (served / name).read_bytes()
    content = {
        "damaged": right[:2000] + bytes(100) + right[2100:],
        "truncated": right[:-20],
        "another file": gzip.compress(b"another"),
        "a page of a proxy": b"<html>Please log in</html>",
    }[wrong]
    (served / name).write_bytes(content)
    line = refusal(module)
    assert f"/{name} has the wrong checksum: expected " in line
    assert "try again, or check whether a proxy" in line
    assert capfd.readouterr() == ("", PREPARING.format(module.PUBLISHED.name))
    assert [f for f in bare.rglob("*") if f.is_file()] == []
    assert "not here" in catalogue.whereabouts(module.PUBLISHED)
    (served / name).write_bytes(right)
    assert len(catalogue.load(module.PUBLISHED)["train"]) in (50, 300)


def test_not_found(served, bare, capfd):
    (served / "t10k-images-idx3-ubyte.gz").unlink()
    line = refusal()
    assert "could not download http://127.0.0.1" in line
    assert "t10k-images-idx3-ubyte.gz: HTTP Error 404" in line
    assert "check the network, or set TFDS_DATA_DIR to a folder" in line
    assert capfd.readouterr() == ("", PREPARING.format("mnist"))
    assert [f for f in bare.rglob("*") if f.is_file()] == []


@pytest.mark.parametrize(
    ("handler", "reason"), [(None, "refused"), (Cut, "more expected"), (Silent, "timed out")]
)
def test_no_answer(bare, tmp_path, monkeypatch, handler, reason, capfd):
    monkeypatch.setattr(download, "_TIMEOUT", 0.2)
    start = time.monotonic()
    with server(tmp_path, handler or Files) as url:
        monkeypatch.setattr(mnist, "PUBLISHED", mnist.PUBLISHED._replace(url=url))
        line = refusal() if handler else ""
    line = line or refusal()
    assert time.monotonic() - start < 10
    assert reason in line
    assert "could not download http://127.0.0.1" in line
    assert capfd.readouterr() == ("", PREPARING.format("mnist"))


# Folders that are not what they should be


def test_nothing_half_prepared_is_believed(served, bare):
    """What a killed process leaves: all but the last renaming."""
    left = bare / "vaejax_mnist" / "incomplete.ABCDEF_1.0.0"
    left.mkdir(parents=True)
    (left / "dataset_info.json").write_text(json.dumps({"fileFormat": "array_record"}))
    assert "not here" in catalogue.whereabouts(mnist.PUBLISHED)
    assert_same_examples(catalogue.load(mnist.PUBLISHED), served)


@pytest.mark.parametrize("content", ['{"fileFormat": "tfrecord"}', "{}", "not JSON"])
def test_what_is_not_array_record_is_ignored(served, bare, content):
    other = bare / "mnist" / "3.0.1"
    other.mkdir(parents=True)
    (other / "dataset_info.json").write_text(content)
    assert "not here" in catalogue.whereabouts(mnist.PUBLISHED)
    assert_same_examples(catalogue.load(mnist.PUBLISHED), served)


def test_a_folder_without_its_description(served, bare):
    catalogue.load(mnist.PUBLISHED)
    folder = bare / "vaejax_mnist" / "1.0.0"
    (folder / "dataset_info.json").unlink()
    line = refusal()
    assert f"cannot read the data set prepared in {folder}" in line
    assert "delete that folder, and it is prepared again" in line
    shutil.rmtree(folder)
    assert_same_examples(catalogue.load(mnist.PUBLISHED), served)


@pytest.mark.parametrize("damage", ["emptied", "truncated", "overwritten", "removed"])
def test_damaged_records(served, bare, damage, capfd):
    """Refused though the cache has the images: it belongs to the files as they were."""
    catalogue.load(mnist.PUBLISHED)
    folder = bare / "vaejax_mnist" / "1.0.0"
    (records,) = folder.glob("*train.array_record*")
    content = records.read_bytes()
    middle = len(content) // 2
    if damage == "removed":
        records.unlink()
    else:
        records.write_bytes(
            {
                "emptied": b"",
                "truncated": content[:middle],
                "overwritten": content[:middle] + bytes(200) + content[middle + 200 :],
            }[damage]
        )
    capfd.readouterr()
    line = refusal()
    assert f"cannot read the data set prepared in {folder}" in line
    assert "delete that folder, and it is prepared again" in line
    assert capfd.readouterr() == ("", PREPARING.format("mnist"))


def test_a_data_folder_that_cannot_be_written(served, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file"))
    line = refusal()
    assert f"cannot prepare mnist in {tmp_path / 'file'}" in line
    assert "check that the folder is writable and the disk has space" in line


def test_the_default_data_folder_is_that_of_tfds(monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert catalogue.data_dir() == Path.home() / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/elsewhere")
    assert catalogue.data_dir() == Path.home() / "elsewhere"
