"""Data sets, named ones and a person's own: splits, binarization, fingerprint."""

from vaejax.data.binarize import binarize
from vaejax.data.dataset import Dataset
from vaejax.data.layout import image_axes
from vaejax.data.load import available, is_own_file, load
from vaejax.data.sequences import SequenceDataset, repeats_of_training
from vaejax.data.summary import Binarization, DataSummary, SequenceSummary, load_summary

__all__ = [
    "Binarization",
    "DataSummary",
    "Dataset",
    "SequenceDataset",
    "SequenceSummary",
    "available",
    "binarize",
    "image_axes",
    "is_own_file",
    "load",
    "load_summary",
    "repeats_of_training",
]
