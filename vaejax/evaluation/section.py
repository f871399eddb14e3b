"""The output of a measurement: tables, notes and figures, before they become text or HTML."""

import dataclasses
import functools
import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vaejax.data import image_axes
from vaejax.evaluation import pyplot as plt

BLUE, ORANGE, GREY = "#1f5fa8", "#d9822b", "#666666"
HEADER = ["", "mean", "+- MC", "+- data", "unit, meaning"]


class Table(NamedTuple):
    """Rows of text under a header."""

    header: list[str]
    rows: list[list[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class Figure:
    """A figure: `name` is the name of its file; `draw` returns (matplotlib figure, caption)."""

    name: str
    draw: Callable[[], tuple[Any, str]]

    @functools.cached_property
    def drawn(self) -> tuple[bytes, str]:
        """(PNG, caption), drawn at the first use."""
        figure, caption = self.draw()
        file = io.BytesIO()
        figure.savefig(file, dpi=130, bbox_inches="tight", format="png")
        plt.close(figure)
        return file.getvalue(), caption


class Section(NamedTuple):
    """One measurement, ready to be rendered. `protocol` says how the numbers were made; `notes` say
    what they mean, and which are unreliable."""

    title: str
    protocol: str
    tables: list[Table]
    notes: list[str]
    figures: list[Figure]


def format_error(value: float | None, digits: int = 3) -> str:
    """An error with `digits` decimals, or with one significant digit if it is smaller; - if
    None."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    return f"{value:.{digits}f}" if value >= 0.5 * 10**-digits else f"{value:.0e}"


def format_rounding(value: float | None, digits: int = 3) -> str:
    """The rounding error of an exact number; `-` if it is too small for `digits` decimals."""
    return format_error(value, digits) if value and value >= 0.5 * 10**-digits else "-"


def mean_row(
    label: str, entry: dict[str, Any], meaning: str, unit: float = 1.0, digits: int = 3
) -> list[str]:
    """A row under `HEADER` from the result of `mean_and_errors`, divided by `unit` (-1 flips the
    sign)."""
    if entry["mean"] is None:
        return [label, "-", "-", "-", meaning]
    if entry.get("median") is not None:
        meaning = f"{meaning}; median {entry['median'] / unit:.{digits}f}"
    errors = [entry.get("std_error_monte_carlo"), entry["std_error_data"]]
    return [
        label,
        f"{entry['mean'] / unit:.{digits}f}",
        *(format_error(error and error / abs(unit), digits) for error in errors),
        meaning,
    ]


def cells(entry: dict[str, Any], errors: tuple[str, ...], sign: int = 1) -> list[str]:
    """The mean of an entry times `sign`, then its standard errors of these kinds: `monte_carlo`,
    `data`, `seeds`. `-` for what is not known."""
    return [
        "-" if entry["mean"] is None else f"{sign * entry['mean']:.3f}",
        *(format_error(entry[f"std_error_{error}"]) for error in errors),
    ]


def with_errors(value: float, entry: dict[str, Any], digits: int = 3) -> str:
    """`value +- error over examples`, and, for several seeds, `(seeds: error over seeds)`."""
    words = f"{value:.{digits}f} +- {format_error(entry['std_error_data'], digits)}"
    seeds = entry.get("std_error_seeds")
    return words if seeds is None else f"{words} (seeds: {format_error(seeds, digits)})"


def listed(indices: list[int]) -> str:
    """The number of examples and the first ten indices, in words."""
    if not indices:
        return "0"
    more = ", ..." if len(indices) > 10 else ""
    return f"{len(indices):,} (examples {', '.join(map(str, indices[:10]))}{more})"


def data_line(about: dict[str, Any]) -> str:
    """A line with the data, the parameters and the precision."""
    p = about["protocol"]
    return (
        f"{p['data']} [{p['fingerprint']}], binarization {p['binarization']}; "
        f"{about['parameters']} parameters, step {about['step']:,}; highest matmul precision"
    )


def is_image(x: np.ndarray) -> bool:
    """Whether x is a batch of images: (n, h, w), perhaps with 1 or 3 channels, first or last."""
    return image_axes(x.shape[1:]) is not None


def is_binary(x: np.ndarray) -> bool:
    """Whether all values are 0 or 1."""
    return bool(np.all((x == 0) | (x == 1)))


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """One image of (n, h, w) or (n, h, w, 3) images in a grid with thin white gaps, values in [0,
    1]."""
    rows = -(-len(images) // columns)
    height, width = images.shape[1:3]
    gap = max(1, height // 14)
    size = rows * (height + gap) - gap, columns * (width + gap) - gap
    canvas = np.ones((*size, *images.shape[3:]))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = np.clip(image, 0, 1)
    return canvas


def show(
    axes: Any, images: np.ndarray, columns: int, title: str, *, ink: bool = False, **font: Any
) -> None:
    """Draw images (for which `is_image` holds) as a mosaic. With `ink`, images of one channel are
    drawn black on white, 1 is black: for binary images."""
    if image_axes(images.shape[1:]) == (1, 2):
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    low, high = images.min(), images.max()
    if low < 0 or high > 1:  # real values: scale their range to [0, 1]
        images, title = (images - low) / (high - low), f"{title}, {low:.3g} to {high:.3g}"
    canvas = mosaic(1.0 - images if ink and images.ndim == 3 else images, columns)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, **({"fontsize": 10} | font))
    axes.axis("off")
