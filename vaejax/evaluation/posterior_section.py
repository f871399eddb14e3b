"""The output of `vaejax posterior`: the gaps of one example, and a picture of the densities."""

from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import Figure, Section, Table, data_line, is_binary, is_image, show

# Contours enclose these shares of each density.
_SHARES = (0.5, 0.9, 0.99)


def posterior_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """The section: log p(x) by quadrature, and the gap of each q."""
    settings, found = about["settings"], about["summary"]
    protocol = (
        f"{data_line(about)}; {settings['split']} example {settings['example']}; log p(x) = "
        f"{found['log_p']:.3f} nats, by quadrature on a grid"
    )
    rows = []
    for name, q in found["qs"].items():
        remarks = [] if abs(q["mass"] - 1) < 0.01 else [f"the grid covers {q['mass']:.1%} of it"]
        if q.get("diverged"):
            remarks.append("diverged")
        elif not q.get("converged", True):
            remarks.append("not converged")
        label = "encoder's q" if name == "amortized" else f"best {name} q"
        bound = found["log_p"] - q["gap"]
        rows.append([label, f"{-bound:.3f}", f"{q['gap']:.3f}", "; ".join(remarks)])
    table = Table(["", "-bound, nats", "KL(q || p(z|x)), nats", ""], rows)
    name = f"posterior-{settings['split']}-{settings['example']}"
    figure = Figure(name, lambda: _figure(about, arrays["posterior"]))
    return Section("One posterior", protocol, [table], [], [figure])


def _figure(about: dict[str, Any], arrays: dict[str, np.ndarray]):
    """x, and a panel for each q: its contours on the true posterior in grey."""
    x, settings = arrays["x"], about["settings"]
    names = list(about["summary"]["qs"])
    columns = len(names) + is_image(x[None])
    figure, grid = plt.subplots(1, columns, figsize=(3.4 * columns, 3.7), squeeze=False)
    panels = list(grid[0])
    if is_image(x[None]):
        axes = panels.pop(0)
        title = f"x: {settings['split']} {settings['example']}"
        show(axes, x[None], 1, title, ink=is_binary(x))
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
    figure.suptitle("grey: the true posterior; lines enclose 50, 90 and 99 % of q", fontsize=9)
    figure.tight_layout()
    return figure, "The true posterior p(z | x), and each q."


def _levels(density: np.ndarray) -> list[float]:
    """The heights above which the density has each share of its mass, in rising order."""
    ordered = np.sort(density.ravel())[::-1]
    cumulative = np.cumsum(ordered) / ordered.sum()
    heights = [float(ordered[np.searchsorted(cumulative, share)]) for share in _SHARES]
    return sorted(set(heights))
