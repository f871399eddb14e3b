"""The user's cache folder: compiled programs, decoded data sets. Safe to delete."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/vaejax`, by default `~/.cache/vaejax`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "vaejax"
