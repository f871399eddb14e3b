"""What `vaejax posterior` found: the gaps of one example, and the picture of its densities."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from vaejax.report.figures import is_image
from vaejax.report.table import format_table
from vaejax.run_directory import RunDirectory

# Contours of the regions that hold these shares of each density.
_SHARES = (0.5, 0.9, 0.99)


def print_posterior(about: dict[str, Any]) -> None:
    """log p(x) by quadrature, and each q's gap to it."""
    p, settings, found = about["protocol"], about["settings"], about["summary"]
    print(
        f"{p['data']} [{p['fingerprint']}], {settings['split']} example {settings['example']}, "
        f"binarization {p['binarization']}; {about['parameters']} parameters, step "
        f"{about['step']:,}; log p(x) = {found['log_p']:.3f} nats, quadrature on a grid"
    )
    rows = []
    for name, q in found["qs"].items():
        remarks = [] if abs(q["mass"] - 1) < 0.01 else [f"the grid holds {q['mass']:.1%} of it"]
        if q.get("diverged"):
            remarks.append("diverged")
        elif not q.get("converged", True):
            remarks.append("not converged")
        label = "encoder's q" if name == "amortized" else f"best {name} q"
        bound = found["log_p"] - q["gap"]
        rows.append([label, f"{-bound:.3f}", f"{q['gap']:.3f}", "; ".join(remarks)])
    print(format_table(["", "-bound", "KL(q || p(z|x)), nats", ""], rows))


def draw_posterior(
    run: RunDirectory,
    stem: str,
    about: dict[str, Any],
    arrays: dict[str, np.ndarray],
    x: np.ndarray,
) -> Path:
    """The true posterior in grey, the contours of each q on it, a panel each; and x."""
    names = list(about["summary"]["qs"])
    columns = len(names) + is_image(x[None])
    figure, grid = plt.subplots(1, columns, figsize=(3.4 * columns, 3.7), squeeze=False)
    panels = list(grid[0])
    if is_image(x[None]):
        axes = panels.pop(0)
        axes.imshow(np.squeeze(x), cmap="gray")
        axes.set_title(f"x: {stem.removeprefix('posterior-').replace('-', ' ')}", fontsize=10)
        axes.axis("off")
    first, second = arrays["first"], arrays["second"]
    for axes, name in zip(panels, names, strict=True):
        axes.pcolormesh(
            first, second, np.exp(arrays["posterior"]).T, cmap="Greys", shading="nearest"
        )
        axes.contour(
            first,
            second,
            np.exp(arrays[name]).T,
            levels=_levels(np.exp(arrays[name])),
            colors="#d9822b" if name == "amortized" else "#1f5fa8",
            linewidths=1.0,
        )
        title = "encoder's q" if name == "amortized" else f"best {name} q"
        gap = about["summary"]["qs"][name]["gap"]
        axes.set_title(f"{title}: {gap:.2f} nats from p(z|x)", fontsize=10)
        axes.set_xlabel("first dimension of z")
    panels[0].set_ylabel("second dimension of z")
    figure.suptitle("grey: the true posterior; lines hold 50, 90 and 99 % of q", fontsize=9)
    figure.tight_layout()
    figure.savefig(run.file(f"{stem}.png"), dpi=130)
    plt.close(figure)
    return run.file(f"{stem}.png")


def _levels(density: np.ndarray) -> list[float]:
    """Heights above which the density holds each share of its mass, rising."""
    ordered = np.sort(density.ravel())[::-1]
    cumulative = np.cumsum(ordered) / ordered.sum()
    heights = [float(ordered[np.searchsorted(cumulative, share)]) for share in _SHARES]
    return sorted(set(heights))
