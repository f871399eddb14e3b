"""PNG figures of one run, drawn from its files."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from vaejax.report.table import is_explicit
from vaejax.run_directory import RunDirectory

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9822b", "#666666"


def draw(run: RunDirectory) -> list[tuple[Path, str]]:
    """Draw every figure that the run's files allow; returns each with its caption."""
    evaluation = run.read_json("evaluation.json", "split", "point_mass", "summary", "protocol")
    arrays = run.read_arrays("evaluation.npz")
    folder = run.file("figures")
    folder.mkdir(exist_ok=True)
    figures: list[tuple[Path, str]] = []

    def save(name, figure, caption):
        path = folder / f"{name}.png"
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=130, bbox_inches="tight", format="png")
        plt.close(figure)
        run.write_bytes(f"figures/{name}.png", drawn.getvalue())
        figures.append((path, caption))

    if is_image(arrays["originals"]):
        if "reconstructions" in arrays:
            save("reconstructions", *_reconstructions(arrays, evaluation["split"]))
        if "samples" in arrays:
            save("samples", *_samples(arrays))
        if "completions" in arrays:
            save("completions", *_completions(arrays, evaluation["split"]))
        if "manifold" in arrays:
            save("manifold", *_manifold(arrays, evaluation["point_mass"]))
    if any("value" in line for line in run.metrics()):
        save("training", *_training(run.metrics(), evaluation))
    if sum("information_lower" in line for line in run.metrics()) > 1:
        save("latents", *_latents(run.metrics()))
    if "kl_per_dimension" in arrays:
        save("kl_per_dimension", *_kl_per_dimension(arrays["kl_per_dimension"]))
    if "code" in arrays and arrays["code"].shape[1:] == (2,):
        save("codes", *_codes(arrays, evaluation["split"]))
    for stale in set(folder.glob("*.png")) - {path for path, _ in figures}:
        stale.unlink()  # of an earlier drawing
    return figures


def draw_samples(
    path: Path, means: np.ndarray | None, samples: np.ndarray, source: str = "z ~ p(z)"
) -> None:
    """Samples as one PNG, beside their means E[x | z] where the model has them; `source` says
    where their z is from."""
    arrays = {"samples": samples} if means is None else {"sample_means": means, "samples": samples}
    figure, _ = _samples(arrays, source)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)


def is_image(x: np.ndarray) -> bool:
    return x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3))


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """(n, h, w) or (n, h, w, c) images side by side with a thin gap, values in [0, 1]."""
    images = images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images
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


def _show(axes, images, columns, title):
    low, high = images.min(), images.max()
    if low < 0 or high > 1:  # real values: their range is what is shown
        images, title = (images - low) / (high - low), f"{title}, {low:.3g} to {high:.3g}"
    colour = images.ndim == 4 and images.shape[-1] == 3
    # Ink on paper: 1 is black, and the gaps stay white.
    canvas = mosaic(images if colour else 1.0 - images, columns)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.axis("off")


def _reconstructions(arrays, split):
    originals, means = arrays["originals"][:40], arrays["reconstructions"][:40]
    figure, axes = plt.subplots(1, 2, figsize=(9, 5))
    _show(axes[0], originals, 8, f"{split} examples x")
    _show(axes[1], means, 8, "reconstructions E[x | z], z ~ q(z | x)")
    return (
        figure,
        f"{split.title()} examples, and the decoder's mean at a draw of the code of each.",
    )


def _samples(arrays, source="z ~ p(z)"):
    samples = arrays["samples"][:64]
    if "sample_means" not in arrays:
        figure, axis = plt.subplots(figsize=(4.8, 4.8))
        _show(axis, samples, 8, "x ~ p(x)")
        return figure, "Samples of the model: exact draws x ~ p(x)."
    means = arrays["sample_means"][:64]
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.8))
    _show(axes[0], means, 8, f"E[x | z],  {source}")
    _show(axes[1], samples, 8, f"x ~ p(x | z),  {source}")
    return figure, "Samples of the model: the mean of p(x | z), and x itself, for z from the prior."


def _completions(arrays, split):
    originals, completions = arrays["originals"][:40], arrays["completions"][:40]
    known = np.where(arrays["completions_known"], originals, 0.5)
    figure, axes = plt.subplots(1, 3, figsize=(12, 5))
    _show(axes[0], originals, 8, f"{split} examples x")
    _show(axes[1], known, 8, "what is given")
    _show(axes[2], completions, 8, "the rest ~ p(rest | given)")
    return figure, (
        f"{split.title()} examples, the first half of each in the model's order, and one exact "
        "draw of the second half given the first."
    )


def _manifold(arrays, point_mass):
    images = arrays["manifold"]
    side = round(len(images) ** 0.5)
    grid = images.reshape(side, side, *images.shape[1:])[::-1].reshape(images.shape)
    figure, axes = plt.subplots(figsize=(7, 7))
    where = "over 98 % of the codes" if point_mass else "at the prior's quantiles 0.01 to 0.99"
    _show(axes, grid, side, f"E[x | z] on a grid of z {where}: $z_1$ rightwards, $z_2$ upwards")
    return figure, f"The two-dimensional latent space, decoded on a grid {where}."


def _codes(arrays, split):
    code, labels = arrays["code"], arrays.get("labels")
    figure, axes = plt.subplots(figsize=(6, 5))
    colour = {"c": labels, "cmap": "tab10"} if labels is not None else {"color": _BLUE}
    points = axes.scatter(code[:, 0], code[:, 1], s=5, **colour)
    if labels is not None:
        figure.colorbar(points, ticks=np.unique(labels), label="label (never trained on)")
    axes.set_xlabel("$z_1$")
    axes.set_ylabel("$z_2$")
    axes.set_aspect("equal")
    axes.set_title(f"mean of q(z | x), {split} examples", fontsize=10)
    return figure, f"The {split} examples, encoded."


def _training(metrics, evaluation):
    figure, axes = plt.subplots(figsize=(7, 4))
    epochs = [line for line in metrics if "value" in line]
    steps = [line["step"] for line in epochs]
    axes.plot(steps, [-line["value"] for line in epochs], color=_BLUE, label="training")
    held = [line for line in metrics if line.get("validation") is not None]
    if held:
        axes.plot(
            [line["step"] for line in held],
            [-line["validation"] for line in held],
            "o-",
            ms=3,
            color=_ORANGE,
            label="validation",
        )
    late = [-line["value"] for line in epochs[len(epochs) // 20 :]]
    late += [-line["validation"] for line in held[len(held) // 20 :]]
    axes.set_ylim(min(late) - 0.05 * (max(late) - min(late)) - 1e-3, max(late) + 1e-3)
    axes.set_xlabel("step")
    axes.set_ylabel("minus the objective, nats")
    axes.set_title("training", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    bound = "one draw of the noise an example"
    if evaluation["point_mass"]:
        bound = "not a bound on log p(x)"
    elif is_explicit(evaluation):
        bound = "log p(x), or of an ensemble that of a member drawn for each example"
    return figure, f"The objective along training: mean over an epoch's batches ({bound})."


def _latents(metrics):
    lines = [line for line in metrics if "information_lower" in line]
    steps = [line["step"] for line in lines]
    both = "kl_per_dimension" in lines[-1]
    figure, grid = plt.subplots(1, 1 + both, figsize=(5.5 + 5 * both, 3.8), squeeze=False)
    axes = grid[0, 0]
    for name, colour, label in (
        ("information", _BLUE, "I(x; z)"),
        ("aggregate_kl", _ORANGE, "KL(q(z) || p(z))"),
    ):
        # Metrics of before these were kept have not all of them.
        if all(f"{name}_upper" in line for line in lines):
            low, high = ([line[f"{name}_{side}"] for line in lines] for side in ("lower", "upper"))
            axes.fill_between(steps, low, high, color=colour, alpha=0.4, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("nats, between its bounds")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    if both:
        kept = [line for line in lines if "kl_per_dimension" in line]
        kl = np.asarray([line["kl_per_dimension"] for line in kept])
        axes = grid[0, 1]
        steps = [line["step"] for line in kept]
        axes.plot(steps, kl, color=_BLUE, lw=0.8, alpha=0.6)
        axes.set_yscale("log")
        axes.set_ylim(max(kl.min(), 1e-4), None)
        axes.set_xlabel("step")
        axes.set_ylabel("KL(q(z_j | x) || p(z_j)), nats")
        axes.grid(alpha=0.3)
    if "active_units" in lines[-1]:
        axes.set_title(f"{lines[-1]['active_units']} active units at the end", fontsize=10)
    figure.tight_layout()
    return figure, (
        "The latents along training, of the first training examples: the mutual information of x "
        "and z under q and the distance of the aggregate posterior from p(z), each between its "
        "bounds in expectation (the lower bound on I is at most log n)"
        + ("; and the mean KL of each dimension." if both else ".")
    )


def _kl_per_dimension(kl):
    means = np.sort(kl.reshape(len(kl), -1).mean(axis=0))[::-1]
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.bar(np.arange(len(means)), means, color=_BLUE)
    axes.axhline(0, color=_GREY, lw=0.5)
    axes.set_xlabel("latent dimension, sorted")
    axes.set_ylabel("nats")
    axes.set_title("KL(q(z_j | x) || p(z_j)), mean over examples", fontsize=10)
    return figure, "What each latent dimension costs; those near 0 are not used."
