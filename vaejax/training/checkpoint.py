"""Checkpoints: the state to go on from and the best parameters so far, written atomically."""

import contextlib
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from vaejax.errors import UserError
from vaejax.training.loop import Best
from vaejax.training.state import TrainState

_OVERHEAD = 2**18  # bytes of a checkpoint that are not its arrays: metadata, empty databases


class Checkpoints:
    """The folder of one seed's run: `<folder>/<step>`, of which the two newest are kept.

    A checkpoint is written beside and renamed, so a crash at any moment leaves the last one whole.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()

    def _manager(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=2, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        return ocp.CheckpointManager(
            self.folder, item_handlers=ocp.StandardCheckpointHandler(), options=options
        )

    def save(self, state: TrainState, best: Best) -> None:
        """Raises UserError when the disk takes no more; what was saved before stays."""
        # Host arrays: what is saved does not depend on the devices that hold it.
        tree = jax.tree.map(np.asarray, _tree(state, best))
        try:
            self._reserve(sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
            with _quiet(), self._manager() as manager:
                manager.save(int(state.step), args=ocp.args.StandardSave(tree))
        except (OSError, ValueError) as error:
            for unfinished in self.folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(unfinished, ignore_errors=True)
            if _no_space(error):
                raise UserError(
                    f"no space left to save a checkpoint in {self.folder}; earlier ones are "
                    "whole: free some space and run the same command to go on"
                ) from error
            raise

    def _reserve(self, size: int) -> None:
        """Raises OSError where the disk has no room for `size` bytes: asked before Orbax begins,
        which in the middle of a file leaves threads and a partial folder behind."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < size + _OVERHEAD:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile(dir=self.folder) as file:
            file.truncate(size)  # a process may be allowed no file of that size

    def latest_step(self) -> int | None:
        return max(self._steps(), default=None)

    def restore(self, state: TrainState, best: Best) -> tuple[TrainState, Best]:
        """The newest checkpoint; `state` and `best` say what is expected (arrays or shapes).

        Raises:
          UserError: it is damaged, or of another model.
        """
        step = self.latest_step()
        if step is None:
            raise UserError(f"no checkpoint in {self.folder}: train first")
        here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        expected = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
            _tree(state, best),
        )
        try:
            with _quiet(), self._manager() as manager:
                found = manager.item_metadata(step)
                shapes = [tuple(leaf.shape) for leaf in jax.tree.leaves(found)]
                wanted = [leaf.shape for leaf in jax.tree.leaves(expected)]
                if sorted(shapes) != sorted(wanted):
                    raise UserError(
                        f"the checkpoint {self.folder / str(step)} is of another model or "
                        "optimizer: its arrays have other shapes; give the configuration that "
                        "made it, or another --out"
                    )
                tree = manager.restore(step, args=ocp.args.StandardRestore(expected))
        except UserError:
            raise
        except Exception as error:
            earlier = [s for s in self._steps() if s < step]
            advice = (
                f"if its files are damaged, delete that folder to go on from step {max(earlier)}"
                if earlier
                else "if its files are damaged, delete it to start again"
            )
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise UserError(
                f"cannot read the checkpoint {self.folder / str(step)}: {reason}; {advice}"
            ) from error
        restored = TrainState(**tree["state"])
        key = jax.random.wrap_key_data(restored.key, impl="threefry2x32")
        return restored._replace(key=key), Best(*(tree["best"][name] for name in Best._fields))

    def _steps(self) -> list[int]:
        return [int(p.name) for p in self.folder.glob("*") if p.is_dir() and p.name.isdigit()]


def _tree(state: TrainState, best: Best) -> dict[str, Any]:
    key = state.key
    data = (
        jax.random.key_data(key)
        if isinstance(key, jax.Array)
        else jax.eval_shape(jax.random.key_data, key)
    )
    fields = state._replace(key=data)._asdict()
    # What a state does not have is not written: most train without encoder-only updates.
    held = {name: value for name, value in fields.items() if value is not None}
    return {"state": held, "best": best._asdict()}


def _no_space(error: BaseException) -> bool:
    # Orbax's writers say it in words only.
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in full or any(os.strerror(n) in str(error) for n in full)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs what it then raises; a person needs it once."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
