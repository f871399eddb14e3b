"""Figures of an evaluation, drawn from its arrays."""

from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.marginals import marginals_figure
from vaejax.evaluation.plane import plane_figures
from vaejax.evaluation.section import BLUE, GREY, Figure, is_binary, is_image, show

_MOST_NAMED, _LABEL = 20, "label (not used in training)"


def evaluation_figures(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[Figure]:
    """Every figure that the arrays allow."""
    split, point_mass = about["settings"]["split"], about["kind"] == "point mass"
    figures = []
    if "originals" not in arrays:  # stopped before the pictures were made
        pass
    elif is_image(arrays["originals"]):
        if "reconstructions" in arrays:
            figures.append(Figure("reconstructions", lambda: _reconstructions(arrays, split)))
        if "samples" in arrays:
            figures.append(Figure("samples", lambda: samples_figure(arrays)))
        if "completions" in arrays:
            figures.append(Figure("completions", lambda: _completions(arrays, split)))
        if "manifold" in arrays:
            figures.append(Figure("manifold", lambda: _manifold(arrays, point_mass)))
    elif arrays["originals"].ndim == 2 and "samples" in arrays:
        pair = arrays["originals"], arrays["samples"]
        figures.append(Figure("marginals", lambda: marginals_figure(*pair, split)))
    if "kl_per_dimension" in arrays:
        figures.append(Figure("kl_per_dimension", lambda: _kl(arrays["kl_per_dimension"])))
    if "code" in arrays and arrays["code"].shape[1:] == (2,):
        figures.append(Figure("codes", lambda: _codes(arrays, split)))
    return figures + plane_figures(arrays, split)


def _reconstructions(arrays, split):
    originals, means = arrays["originals"][:40], arrays["reconstructions"][:40]
    figure, axes = plt.subplots(1, 2, figsize=(9, 5))
    ink = is_binary(originals)
    show(axes[0], originals, 8, f"{split} examples x", ink=ink)
    show(axes[1], means, 8, "reconstructions E[x | z], z ~ q(z | x)", ink=ink)
    return (
        figure,
        f"{split.title()} examples x, and their reconstructions: E[x | z] for one draw z ~ q(z | "
        "x).",
    )


def samples_figure(arrays, source="z ~ p(z)"):
    """Samples of x, with their means E[x | z] if the model has them. `source` says how z is
    drawn."""
    samples = arrays["samples"][:64]
    ink = is_binary(samples)
    if "sample_means" not in arrays:
        figure, axis = plt.subplots(figsize=(4.8, 4.8))
        show(axis, samples, 8, "x ~ p(x)", ink=ink)
        return figure, "Samples of the model: exact draws x ~ p(x)."
    means = arrays["sample_means"][:64]
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.8))
    show(axes[0], means, 8, f"E[x | z],  {source}", ink=ink)
    show(axes[1], samples, 8, f"x ~ p(x | z),  {source}", ink=ink)
    return figure, f"Samples of the model: E[x | z] and x ~ p(x | z) for the same z; {source}."


def _completions(arrays, split):
    originals, completions = arrays["originals"][:40], arrays["completions"][:40]
    known = np.where(arrays["completions_known"], originals, 0.5)
    figure, axes = plt.subplots(1, 3, figsize=(12, 5))
    ink = is_binary(originals)
    show(axes[0], originals, 8, f"{split} examples x", ink=ink)
    show(axes[1], known, 8, "the given half", ink=ink)
    show(axes[2], completions, 8, "the rest ~ p(rest | given)", ink=ink)
    return figure, (
        f"{split.title()} examples; the first half of each, in the order of the model; and one "
        "exact draw of the second half given the first."
    )


def _manifold(arrays, point_mass):
    images = arrays["manifold"]
    side = round(len(images) ** 0.5)
    grid = images.reshape(side, side, *images.shape[1:])[::-1].reshape(images.shape)
    figure, axes = plt.subplots(figsize=(7, 7))
    where = "over 98 % of the codes" if point_mass else "at normal quantiles 0.01 to 0.99"
    title = f"E[x | z] on a grid of z {where}: $z_1$ to the right, $z_2$ upwards"
    show(axes, grid, side, title, ink=is_binary(arrays["originals"]))
    return figure, f"The two-dimensional latent space: E[x | z] on a grid {where}."


def _codes(arrays, split):
    code, labels = arrays["code"], arrays.get("labels")
    figure, axes = plt.subplots(figsize=(6, 5))
    present = [] if labels is None else np.unique(labels)
    if labels is None:
        axes.scatter(code[:, 0], code[:, 1], s=5, color=BLUE)
    elif len(present) > _MOST_NAMED:
        points = axes.scatter(code[:, 0], code[:, 1], s=5, c=labels)
        figure.colorbar(points, label=_LABEL)
    else:
        colours = plt.get_cmap("tab10" if len(present) <= 10 else "tab20").colors
        for label, colour in zip(present, colours, strict=False):
            name = arrays["label_names"][label] if "label_names" in arrays else label
            axes.scatter(*code[labels == label].T, s=5, color=colour, label=name)
        axes.legend(title=_LABEL, bbox_to_anchor=(1, 1), loc="upper left", fontsize=8)
    axes.set_xlabel("$z_1$")
    axes.set_ylabel("$z_2$")
    axes.set_aspect("equal")
    axes.set_title(f"mean of q(z | x), {split} examples", fontsize=10)
    return figure, f"The codes of the {split} examples: the mean of q(z | x)."


def _kl(kl):
    means = np.sort(kl.reshape(len(kl), -1).mean(axis=0))[::-1]
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.bar(np.arange(len(means)), means, color=BLUE)
    axes.axhline(0, color=GREY, lw=0.5)
    axes.set_xlabel("latent dimension, sorted")
    axes.set_ylabel("nats")
    axes.set_title("KL(q(z_j | x) || p(z_j)), mean over examples", fontsize=10)
    return figure, "Mean KL of each latent dimension, in nats; dimensions near 0 are not used."
