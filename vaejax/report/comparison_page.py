"""One self-contained HTML page that compares models, to be read from top to bottom."""

from functools import partial
from typing import Any

import numpy as np

from vaejax.evaluation import pyplot as plt
from vaejax.evaluation.comparison_figures import Bar, log_p_figure
from vaejax.evaluation.section import Figure, format_error, is_binary, is_image, show
from vaejax.report.comparison import comparison_tables, label_of, log_p_notes, protocol_lines
from vaejax.report.render import html

_COLUMNS = 16
Pictures = dict[str, dict[str, np.ndarray]]  # label -> arrays of `measure_model`, of one seed


def comparison_page(about: dict[str, Any], pictures: Pictures) -> str:
    """The page as HTML. `about` is the content of comparison.json."""
    models = about["models"]
    figures: dict[str, list[Figure]] = {"log_p": [], "samples": [], "modes": []}
    if any(g["log_p"]["kind"] != "not defined" for m in models for g in m["generators"].values()):
        figures["log_p"] = [Figure("log_p", lambda: _log_p_figure(models))]
    if any(is_image(p["predictive/originals"]) for p in pictures.values()):
        figures["samples"] = [Figure("samples", lambda: _samples_figure(pictures))]
        figures["modes"] = _mode_figures(pictures)
    return html(
        "comparison",
        title=about["title"],
        findings=about["findings"],
        autoencoder=any(model["kind"] == "point mass" for model in models),
        tables=comparison_tables(about),
        log_p_notes=log_p_notes(models),
        figures=figures,
        mixing=_mixing_lines(models),
        protocol=[*protocol_lines(about), *about["fairness"]],
    )


def _log_p_figure(models: list[dict[str, Any]]):
    bars = [
        Bar(label_of(model, name), found, found["kind"] == "exact")
        for model in models
        for name, generator in model["generators"].items()
        if (found := generator["log_p"])["kind"] != "not defined"
    ]
    bars.sort(key=lambda bar: -bar.found["mean"])
    return log_p_figure(bars, "nats", "AIS, an upper bound in expectation"), (
        "-log p(x) of the models that have one, in nats. The models share their examples, so a "
        "difference between two is known better than the bars suggest; see the table above."
    )


def _strip(axes, images: np.ndarray, title: str, ink: bool, columns: int = _COLUMNS) -> None:
    show(axes, images, columns, title, ink=ink, fontsize=8, loc="left")


def _binary(pictures: Pictures) -> bool:
    """Whether the data are binary: such images are drawn black on white."""
    return all(is_binary(arrays["predictive/originals"]) for arrays in pictures.values())


def _grid(rows: int, columns: int, width: float, height: float):
    return plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False)


def _samples_figure(pictures: Pictures):
    found = [
        (label, name.removesuffix("/samples"), arrays)
        for label, arrays in pictures.items()
        for name in arrays
        if name.endswith("/samples")
    ]
    figure, grid = _grid(len(found), 2, 11, 1.1)
    ink = _binary(pictures)
    for (left, right), (label, way, arrays) in zip(grid, found, strict=True):
        means = arrays.get(f"{way}/means")
        if means is None:
            left.axis("off")
            left.set_title(f"{label}, {way}: no z, so no E[x | z]", fontsize=8, loc="left")
        else:
            _strip(left, means[: 2 * _COLUMNS], f"{label}, {way}: E[x | z]", ink)
        _strip(right, arrays[f"{way}/samples"][: 2 * _COLUMNS], "x", ink)
    figure.tight_layout()
    return figure, (
        "Left: E[x | z]; right: x drawn from p(x | z) with the same z. Of each model the first "
        "seed; nothing is selected."
    )


def _mode_figures(pictures: Pictures) -> list[Figure]:
    """A figure for each mode of generation, with all models that have it, in one layout."""
    drawn, coded, chains = {}, {}, {}
    for label, arrays in pictures.items():
        if "predictive/draws" in arrays:
            xs, draws = arrays["predictive/originals"], arrays["predictive/draws"]
            drawn[label] = np.concatenate([xs[:, None], draws[:, :5]], axis=1)
        if "interpolation" in arrays:
            coded[label] = arrays["interpolation"]
        if "chain/along" in arrays:
            chains[label] = arrays["chain/along"].swapaxes(0, 1)
    modes = (
        (drawn, 2.1, 2.4, "In each row: a test example x, then five draws x' given x."),
        (
            coded,
            2.6,
            1.5,
            "E[x | z] along the line from the code of one test image to the code of another.",
        ),
        (chains, 5, 2.6, "Each row is a chain: a training image, then x after each of 15 steps."),
    )
    ink = _binary(pictures)
    return [Figure("modes", partial(_rows_figure, ink, *mode)) for mode in modes if mode[0]]


def _rows_figure(
    ink: bool, found: dict[str, np.ndarray], width: float, height: float, caption: str
):
    """The images of each model, (rows, columns, *shape), next to each other."""
    figure, grid = _grid(1, len(found), width * len(found), height)
    for axes, (label, rows) in zip(grid[0], found.items(), strict=True):
        _strip(axes, rows.reshape(-1, *rows.shape[2:]), label, ink, rows.shape[1])
    return figure, caption


def _mixing_lines(models: list[dict[str, Any]]) -> list[str]:
    lines = []
    for model in models:
        found = model["generators"].get("chain", {}).get("mixing")
        if found:
            time, error = found["time"], format_error(found["time_std_error"], 1)
            told = "not known" if time is None else f"{time:.1f} +- {error} steps"
            doubt = "" if found["reliable"] else f"; not reliable: {found['reason']}"
            changes = (
                f"; the predicted class changes at {100 * found['label_changes']:.1f} % of the "
                f"steps ({100 * found['label_changes_independent']:.1f} % for independent draws)"
            )
            seen = changes if found["label_changes_independent"] > 0 else ""
            lines.append(
                f"{model['label']}, first seed: integrated autocorrelation time of the features "
                f"{told}{doubt}{seen}"
            )
    return lines
