"""Named data sets with their protocol: splits, binarization, fingerprint."""

from vaejax.data.binarize import binarize
from vaejax.data.dataset import Binarization, Dataset
from vaejax.data.load import available, load

__all__ = ["Binarization", "Dataset", "available", "binarize", "load"]
