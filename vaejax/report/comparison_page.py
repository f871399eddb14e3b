"""One self-contained page that puts models side by side, to be read from top to bottom."""

import base64
import html
import io
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from vaejax.report.comparison import (
    CODE_HEADER,
    LOG_P_HEADER,
    MODEL_HEADER,
    QUALITY_HEADER,
    code_rows,
    label_of,
    log_p_rows,
    model_rows,
    protocol_lines,
    quality_rows,
)
from vaejax.report.figures import is_image, mosaic
from vaejax.report.page import STYLE, html_table
from vaejax.report.table import format_error

_COLUMNS = 16
Pictures = dict[str, dict[str, np.ndarray]]  # label -> arrays of `measure_model`, of one seed

QUESTION = """<p>A <b>generative model</b> says how probable every x is: it is a p(x), or a p(x,
z) = p(z) p(x | z) from which p(x) = &int; p(z) p(x | z) dz follows. From it one can draw new x,
and ask how well it predicts x that it has not seen, in nats. An <b>autoencoder</b> is trained
to give back what it was shown: an encoder turns x into a code z, a decoder gives p(x | z).
Nothing in that training says how codes are distributed, so there is no p(z) to draw a z from,
and no p(x). A <b>variational autoencoder</b> has the same two networks. Its code is a
distribution q(z | x), and it is trained on a bound on log p(x), which pays for each nat that
q(z | x) carries beyond p(z). Below is what that payment costs, what it buys, and what can be
done without it. (+- is one standard error throughout; how each is made is said at the end.)</p>"""

WHICH = """<p>p(x | z) is what the decoder puts out. q(z | x) is what the encoder puts out: a
distribution, or a point mass where it is a plain code. "N(0, I)" feeds an autoencoder's decoder
with noise that its codes need not follow. "ex-post" fits a density to the training codes after
training and calls it p(z): with it the autoencoder <i>is</i> a p(x, z), and can be asked for
log p(x) like any other. "chain" alternates corrupting x and denoising it; where it settles is a
distribution over x, with no formula. An autoregressive model has no z at all: p(x) = &prod;
p(x<sub>i</sub> | x<sub>&lt;i</sub>), exactly.</p>"""

LIKELY = """<p>How many nats each test example costs: lower is better. A model with a z is
<i>estimated</i>: annealed importance sampling gives a log p(x) that is too low in expectation,
so the number is an upper bound in expectation, and the line says where importance sampling
disagrees. A model without a z is exact. Where no p(x) is defined there is no number, and the
reason stands in its place.</p>"""

LOOKS = """<p>Precision and density: do the draws lie where real examples lie? Recall and
coverage: are real examples found among the draws? MMD<sup>2</sup>: how far the first three
moments are apart. All are in the features of a small classifier trained on the same data, so
they are blind to what it is blind to. The first line is of the training examples themselves,
which that classifier knows: unseen real ones would do a little otherwise. None of these is a
likelihood: they may disagree with it.</p>"""

CODE = """<p>A code that nobody charges for keeps more of x. Whether it is worth more to a
linear classifier is another question.</p>"""

MODES = """<p>x' drawn for a given x: through its code, or, where there is no code, from its
first half. Interpolation: the decoder's mean along the straight line between two codes; where
codes have no distribution, the points between them need not mean anything.</p>"""


def comparison_page(about: dict[str, Any], pictures: Pictures) -> str:
    """The page. `about` is what comparison.json holds."""
    models = about["models"]
    sections = [
        f"<h1>{html.escape(about['title'])}</h1>",
        "<h2>The question</h2>",
        QUESTION,
        "<h3>What was found</h3><ul>",
        *(f"<li>{html.escape(sentence)}</li>" for sentence in about["findings"]),
        "</ul>",
        "<h2>What each of them is</h2>",
        WHICH,
        html_table(MODEL_HEADER, model_rows(models)),
        "<h2>How likely is an image that it has not seen?</h2>",
        LIKELY,
        html_table(LOG_P_HEADER, log_p_rows(models, about["dimensions"])),
        *(
            [_figure(_log_p_figure(models), "-log p(x) of the models that define it, in nats.")]
            if any(
                g["log_p"]["kind"] != "not defined"
                for m in models
                for g in m["generators"].values()
            )
            else []
        ),
        "<h2>What does it draw?</h2>",
        LOOKS,
        html_table(QUALITY_HEADER, quality_rows(models, about["reference"])),
    ]
    drawn = any(is_image(p["predictive/originals"]) for p in pictures.values())
    if drawn:
        sections.append(
            _figure(
                _samples_figure(pictures),
                "Left: the mean of p(x | z); right: x itself, of the same z. Each model's first "
                "seed, not chosen.",
            )
        )
    sections += [
        "<h2>What does its code keep?</h2>",
        CODE,
        html_table(CODE_HEADER, code_rows(models)),
    ]
    if drawn:
        sections += ["<h2>Other ways to use it</h2>", MODES]
        sections += [_figure(*found) for found in _mode_figures(pictures)]
    mixing = _mixing_lines(models)
    if mixing:
        sections += ["<h3>How fast a chain forgets where it began</h3>", _list(mixing)]
    sections += [
        "<h2>What the numbers rest on</h2>",
        _list([*protocol_lines(about), *about["fairness"]]),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(about['title'])}</title><style>{STYLE}"
        "body { max-width: 75rem; } table { font-size: .85rem; } td, th { text-align: left; }"
        f"</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _list(lines: list[str]) -> str:
    return f'<ul class="note">{"".join(f"<li>{html.escape(line)}</li>" for line in lines)}</ul>'


def _figure(figure, caption: str) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, bbox_inches="tight", format="png")
    plt.close(figure)
    data = base64.b64encode(drawn.getvalue()).decode()
    return (
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _log_p_figure(models: list[dict[str, Any]]):
    bars = [
        (label_of(model, name), found)
        for model in models
        for name, generator in model["generators"].items()
        if (found := generator["log_p"])["kind"] != "not defined"
    ]
    bars.sort(key=lambda bar: -bar[1]["mean"])
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.32 * len(bars)))
    for place, (_, found) in enumerate(bars):
        error = found["std_error_seeds"] or found["std_error_monte_carlo"] or 0.0
        colour = "#1f5fa8" if found["kind"] == "exact" else "#d9822b"
        axes.errorbar(-found["mean"], place, xerr=error, fmt="o", color=colour, capsize=3)
    axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(
        "-log p(x), nats, +- over seeds; blue: exact; orange: AIS, an upper bound in expectation",
        fontsize=8,
    )
    return figure


def _strip(axes, images: np.ndarray, title: str, columns: int = _COLUMNS) -> None:
    low, high = images.min(), images.max()
    if low < 0 or high > 1:
        images = (images - low) / (high - low)
    colour = images.ndim == 4 and images.shape[-1] == 3
    canvas = mosaic(images if colour else 1.0 - images, columns)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=8, loc="left")
    axes.axis("off")


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
    for (left, right), (label, way, arrays) in zip(grid, found, strict=True):
        means = arrays.get(f"{way}/means")
        if means is None:
            left.axis("off")
            left.set_title(f"{label}, {way}: no z, so no mean given z", fontsize=8, loc="left")
        else:
            _strip(left, means[: 2 * _COLUMNS], f"{label}, {way}: E[x | z]")
        _strip(right, arrays[f"{way}/samples"][: 2 * _COLUMNS], "x")
    figure.tight_layout()
    return figure


def _mode_figures(pictures: Pictures):
    """(figure, caption) of each mode that some model has, all models in the same layout."""
    drawn = {label: a for label, a in pictures.items() if "predictive/draws" in a}
    if drawn:
        figure, grid = _grid(1, len(drawn), 2.1 * len(drawn), 2.4)
        for axes, (label, arrays) in zip(grid[0], drawn.items(), strict=True):
            xs, draws = arrays["predictive/originals"], arrays["predictive/draws"]
            rows = np.concatenate([xs[:, None], draws[:, :5]], axis=1)
            _strip(axes, rows.reshape(-1, *xs.shape[1:]), label, 6)
        yield figure, "In each row: x, then five x' drawn for it."
    coded = {label: a["interpolation"] for label, a in pictures.items() if "interpolation" in a}
    if coded:
        figure, grid = _grid(1, len(coded), 2.6 * len(coded), 1.5)
        for axes, (label, rows) in zip(grid[0], coded.items(), strict=True):
            _strip(axes, rows.reshape(-1, *rows.shape[2:]), label, rows.shape[1])
        yield figure, "E[x | z] from the code of one test image to that of another."
    chains = {label: a["chain/along"] for label, a in pictures.items() if "chain/along" in a}
    if chains:
        figure, grid = _grid(1, len(chains), 5 * len(chains), 2.6)
        for axes, (label, along) in zip(grid[0], chains.items(), strict=True):
            rows = along.swapaxes(0, 1)
            _strip(axes, rows.reshape(-1, *rows.shape[2:]), label, rows.shape[1])
        yield figure, "Chains, one a row: a training image, then x after each of 15 steps."


def _mixing_lines(models: list[dict[str, Any]]) -> list[str]:
    lines = []
    for model in models:
        found = model["generators"].get("chain", {}).get("mixing")
        if found:
            time, error = found["time"], format_error(found["time_std_error"], 1)
            told = "no autocorrelation time" if time is None else f"{time:.1f} +- {error} steps"
            doubt = "" if found["reliable"] else f"; not to be believed: {found['reason']}"
            changes = (
                f"; the classifier sees another class after {100 * found['label_changes']:.1f} % "
                f"of the steps ({100 * found['label_changes_independent']:.1f} % if independent)"
            )
            seen = changes if found["label_changes_independent"] > 0 else ""
            lines.append(
                f"{model['label']}, first seed: {told} of integrated autocorrelation in the "
                f"features{doubt}{seen}"
            )
    return lines
