"""The section on training, from metrics.jsonl: the objective and the latents by step."""

from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.section import BLUE, ORANGE, Figure, Section

_OBJECTIVE = {
    "latent variable": "one draw of z for each example",
    "point mass": "not a bound on log p(x)",
    "no latent variable": "log p(x); of an ensemble, that of a random member for each example",
}


def training_section(metrics: list[dict[str, Any]], kind: str) -> Section:
    """The section on training, from the lines of metrics.jsonl."""
    figures = []
    if any("value" in line for line in metrics):
        figures.append(Figure("training", lambda: _training(metrics, kind)))
    if sum("information_lower" in line for line in metrics) > 1:
        figures.append(Figure("latents", lambda: _latents(metrics)))
    return Section("Training", "", [], [], figures)


def _training(metrics, kind):
    figure, axes = plt.subplots(figsize=(7, 4))
    epochs = [line for line in metrics if "value" in line]
    steps = [line["step"] for line in epochs]
    axes.plot(steps, [-line["value"] for line in epochs], color=BLUE, label="training")
    held = [line for line in metrics if line.get("validation") is not None]
    if held:
        axes.plot(
            [line["step"] for line in held],
            [-line["validation"] for line in held],
            "o-",
            ms=3,
            color=ORANGE,
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
    caption = (
        f"Minus the objective by step: mean over the batches of an epoch ({_OBJECTIVE[kind]})."
    )
    return figure, caption


def _latents(metrics):
    lines = [line for line in metrics if "information_lower" in line]
    steps = [line["step"] for line in lines]
    both = "kl_per_dimension" in lines[-1]
    figure, grid = plt.subplots(1, 1 + both, figsize=(5.5 + 5 * both, 3.8), squeeze=False)
    axes = grid[0, 0]
    for name, colour, label in (
        ("information", BLUE, "I(x; z)"),
        ("aggregate_kl", ORANGE, "KL(q(z) || p(z))"),
    ):
        # Older metrics do not have all of these numbers.
        if all(f"{name}_upper" in line for line in lines):
            low, high = (
                [max(line[f"{name}_{side}"], 0.0) for line in lines] for side in ("lower", "upper")
            )
            axes.fill_between(steps, low, high, color=colour, alpha=0.4, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("nats; bands from lower to upper bound")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    if both:
        kept = [line for line in lines if "kl_per_dimension" in line]
        kl = np.asarray([line["kl_per_dimension"] for line in kept])
        axes = grid[0, 1]
        steps = [line["step"] for line in kept]
        axes.plot(steps, kl, color=BLUE, lw=0.8, alpha=0.6)
        axes.set_yscale("log")
        axes.set_ylim(max(kl.min(), 1e-4), None)
        axes.set_xlabel("step")
        axes.set_ylabel("KL(q(z_j | x) || p(z_j)), nats")
        axes.grid(alpha=0.3)
    if "active_units" in lines[-1]:
        active = f"{lines[-1]['active_units']} active units at the end, on these examples"
        axes.set_title(active, fontsize=10)
    figure.tight_layout()
    return figure, (
        "The latents by step, on the first training examples: the mutual information I(x; z) under "
        "q, and the KL of the aggregate posterior q(z) from p(z). Bands lie between a lower and an "
        "upper bound in expectation; the lower bound on I(x; z) is at most log n"
        + (". Right: the mean KL of each dimension of z." if both else ".")
    )
