"""Sending metrics to TensorBoard or Weights & Biases; metrics.jsonl is written in any case."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from vaejax.errors import UserError

Track = Literal["none", "tensorboard", "wandb"]


def check_installed(kind: Track) -> None:
    """Raise UserError if the tracker's package is not installed."""
    package = {"none": None, "tensorboard": "tensorboardX", "wandb": "wandb"}[kind]
    if package is not None and importlib.util.find_spec(package) is None:
        raise UserError(
            f"--track {kind} needs {package}, which is not installed: "
            "pip install 'vaejax[tracking]'"
        )


class Tracker:
    """Sends the metrics of a run to TensorBoard, to Weights & Biases, or nowhere."""

    def __init__(self, kind: Track, folder: Path, name: str, config: dict[str, Any]):
        self._send: Callable[[int, dict[str, float]], object] = lambda step, values: None
        self.close: Callable[[], object] = lambda: None
        if kind == "tensorboard":
            from tensorboardX import SummaryWriter

            writer = SummaryWriter(str(folder / "tensorboard"))
            self._send = lambda step, values: [
                writer.add_scalar(key, value, step) for key, value in values.items()
            ]
            self.close = writer.close
        elif kind == "wandb":
            import wandb

            # The same id on every start: a resumed run continues the same record.
            run = wandb.init(
                project="vaejax",
                id=name.replace("/", "-"),
                resume="allow",
                name=name,
                dir=str(folder),
                config=config,
                reinit="create_new",  # several seeds, several records
            )
            self._send = lambda step, values: run.log(values, step=step)
            self.close = run.finish

    def log(self, line: dict[str, Any]) -> None:
        """Send one line of metrics."""
        numbers = numbers_of(line)
        self._send(int(numbers.pop("step")), numbers)


def numbers_of(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by name; element i of a list is <name>/<i>."""
    numbers: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, list):
            numbers |= {f"{name}/{i}": number for i, number in enumerate(value)}
        elif value is not None:
            numbers[name] = value
    return numbers
