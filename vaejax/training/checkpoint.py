"""Checkpoints: the state from which training resumes, and the best parameters so far."""

import contextlib
import errno
import functools
import gc
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.training.loop import Best
from vaejax.training.named_arrays import NamedArrays, by_name, described, in_structure, stored
from vaejax.training.state import TrainState
from vaejax.types import Params

_OVERHEAD = 2**18  # bytes of a checkpoint besides its arrays: metadata, empty databases
_KEPT = 2  # checkpoints that are kept, the newest ones


class DamagedCheckpoint(Exception):
    """A checkpoint cannot be read, or its arrays differ from those that were written."""


class Checkpoints:
    """The checkpoints of one run, `<folder>/<step>`; the two newest are kept.

    A checkpoint is written under another name and then renamed, so after a crash at any moment the
    last one is intact. It contains a SHA-256 digest of its arrays, which is checked at every read.
    If a checkpoint is damaged, a line on stderr names it, and the newest intact one is read
    instead. A save that needs the name of a damaged one renames that to `damaged-<step>`.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()

    def save(self, state: TrainState, best: Best) -> None:
        """Write the checkpoint of `state.step`, unless there is an intact one.

        Raises:
          UserError: the disk is full; earlier checkpoints stay intact.
        """
        import orbax.checkpoint as ocp

        step = int(state.step)
        tree = jax.tree.map(_stored, {"state": state._asdict(), "best": best._asdict()})
        tree["digest"] = _digest(by_name(tree))
        try:
            self._reserve(sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
            self._set_damaged_aside(step)
            if step in self._steps():
                return
            with _quiet(), _checkpointer() as checkpointer:
                checkpointer.save(self._path(step), args=ocp.args.StandardSave(tree))
            for old in self._steps()[_KEPT:]:
                shutil.rmtree(self._path(old))
        except (OSError, ValueError) as error:
            if _no_space(error):
                raise UserError(
                    f"no space left to save a checkpoint in {self.folder}; earlier ones are "
                    "intact: free some space and run the same command again to resume"
                ) from error
            raise
        finally:
            for unfinished in self.folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(unfinished, ignore_errors=True)

    def _reserve(self, size: int) -> None:
        """Raise OSError if the disk has no space for `size` bytes. This is checked before Orbax
        starts, which would leave threads and a partial folder behind if it failed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < size + _OVERHEAD:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile(dir=self.folder) as file:
            file.truncate(size)  # a quota may forbid a file of that size

    def _set_damaged_aside(self, step: int) -> None:
        """Rename damaged checkpoints of `step` and later, which would count as newer."""
        for later in [s for s in self._steps() if s >= step]:
            try:
                self._read(later)
            except DamagedCheckpoint:
                aside = self.folder / f"damaged-{later}"
                shutil.rmtree(aside, ignore_errors=True)
                self._path(later).rename(aside)

    def latest_step(self) -> int | None:
        """The step of the newest intact checkpoint; None if there are no checkpoints.

        Raises:
          UserError: all checkpoints are damaged.
        """
        return self._newest_intact()[0] if self._steps() else None

    def restore(self, state: TrainState, best: Best) -> tuple[TrainState, Best]:
        """Read the newest intact checkpoint. `state` and `best` have the expected structure, as
        arrays or shapes.

        Raises:
          UserError: no checkpoint is intact, or it belongs to another model.
        """
        step, arrays = self._newest_intact()
        expected = {"state": state._asdict(), "best": best._asdict()}
        tree = in_structure(expected, arrays, self._what(step))
        return TrainState(**tree["state"]), Best(**tree["best"])

    def restore_params(self, shapes: Params) -> tuple[Params, int, str]:
        """Read the parameters to use from the newest intact checkpoint, without the optimizer's
        state.

        Args:
          shapes: the expected parameters, as arrays or shapes.

        Returns:
          (parameters, their step, "best by validation"; or "last" if there was no validation).

        Raises:
          UserError: no checkpoint is intact, or it belongs to another model.
        """
        step, arrays = self._newest_intact()
        if np.isfinite(arrays["best/value"]):
            part, which = "best", "best by validation"
        else:
            part, which = "state", "last"
        within = {n: array for n, array in arrays.items() if n.startswith(f"{part}/params/")}
        tree = in_structure({part: {"params": shapes}}, within, self._what(step))
        return tree[part]["params"], int(arrays[f"{part}/step"]), which

    def _newest_intact(self) -> tuple[int, NamedArrays]:
        steps, damaged = self._steps(), []
        if not steps:
            raise UserError(f"there is no checkpoint in {self.folder}: train the model first")
        for step in steps:
            try:
                arrays = self._read(step)
            except DamagedCheckpoint as error:
                damaged.append(f"{self._what(step)} is damaged ({error})")
                continue
            if damaged:
                _print_once(f"vaejax: {'; '.join(damaged)}; using the one of step {step}")
            return step, arrays
        raise UserError(
            f"no intact checkpoint: {'; '.join(damaged)}; delete {self.folder} to train from the "
            "start"
        )

    def _read(self, step: int) -> NamedArrays:
        """The arrays of one checkpoint.

        Raises:
          DamagedCheckpoint: they cannot be read, or do not have their digest.
        """
        reason = None
        with _quiet():
            try:
                with _checkpointer() as checkpointer:
                    arrays = by_name(checkpointer.restore(self._path(step)))
                written = arrays.pop("digest", None)
            except Exception as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            if reason is not None:
                # Other reads of Orbax still run; each complains when it is garbage-collected.
                time.sleep(0.1)
                gc.collect()
        if reason is not None:
            raise DamagedCheckpoint(reason)
        if written is None:
            raise DamagedCheckpoint(
                "it has no digest: it is incomplete, or older than vaejax 0.2.0"
            )
        if not np.array_equal(written, _digest(arrays)):
            raise DamagedCheckpoint("its arrays do not have the digest that was written with them")
        return arrays

    def _what(self, step: int) -> str:
        return f"the checkpoint {self._path(step)}"

    def _path(self, step: int) -> Path:
        return self.folder / str(step)

    def _steps(self) -> list[int]:
        """The steps of all checkpoints, newest first."""
        names = [path.name for path in self.folder.glob("*") if path.is_dir()]
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)


@functools.cache
def _print_once(line: str) -> None:
    print(line, file=sys.stderr)


def _checkpointer() -> Any:
    import orbax.checkpoint as ocp  # imported late: it takes half a second

    return ocp.Checkpointer(ocp.StandardCheckpointHandler())


def _stored(leaf: Any) -> np.ndarray | None:
    """A leaf as it is written; None if it is empty, since Orbax refuses empty arrays."""
    array = stored(leaf)
    return array if array.size else None


def _digest(arrays: NamedArrays) -> np.ndarray:
    """SHA-256 over the name, shape, dtype and bytes of every array: 32 bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}\0{described(arrays[name])}\0".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _no_space(error: BaseException) -> bool:
    # Some errors of Orbax say it in words only.
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in full or any(os.strerror(n) in str(error) for n in full)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logs and threads of Orbax, which repeat the errors that it raises."""
    before, hook = logging.root.manager.disable, sys.unraisablehook
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda unraisable: None
    try:
        yield
    finally:
        logging.disable(before)
        sys.unraisablehook = hook
