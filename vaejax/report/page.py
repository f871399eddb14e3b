"""One self-contained HTML page of a run, from its files."""

import base64
import html
import json
from pathlib import Path

from vaejax.report.cost import COST_HEADER, cost_lines, cost_rows
from vaejax.report.gaps import gap_lines, gap_rows, gap_sections
from vaejax.report.gradients import GRADIENT_HEADER, gradient_lines, gradient_rows
from vaejax.report.log_likelihood import about_lines, log_likelihood_rows
from vaejax.report.table import HEADER, evaluation_rows, is_explicit, protocol_line
from vaejax.run_directory import RunDirectory

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; }
td:first-child, td:last-child, th:first-child, th:last-child { text-align: left; }
td:first-child { white-space: pre-wrap; }
tr { border-bottom: 1px solid #ddd; } figure { margin: 1.5rem 0; } img { max-width: 100%; }
figcaption, .note { color: #555; } pre { background: #f5f5f5; padding: 1rem; overflow: auto; }
.missing { border-left: 4px solid #d9822b; padding-left: 1rem; }
"""

_NOTE = """<p class="note">+- MC: Monte Carlo standard error of the mean, from the sampling alone.
+- data: standard error over examples, as an estimate for the population. A bound is not log p(x):
how far it is from it is not known from this table.</p>"""

_NOTE_EXACT = """<p class="note">No Monte Carlo error: nothing was sampled to measure log p(x).
+- data: standard error over examples, as an estimate for the population.</p>"""

_NO_PRIOR = """<div class="missing"><h2>What this model has no answer to</h2>
<p>It is an autoencoder: its q(z | x) is a point mass, and training never asked for a p(z).
So there is nothing to draw z from, hence <b>no samples</b>; and without p(z) there is no
p(x) = &int; p(z) p(x | z) dz, hence <b>no log p(x)</b>, no bound on it and no KL. What it has is
p(x | z) at the code of each x: reconstructions. The same two networks trained on the ELBO
(<code>digits_vae</code>, <code>mnist_vae</code>) have both.</p></div>"""

_NO_LATENT = """<div class="missing"><h2>What this model has no answer to</h2>
<p>It is p(x) itself, a product of p(x<sub>i</sub> | what precedes), with <b>no z</b>: log p(x) is
computed, not estimated, and samples are exact. But there is no code of an x: nothing to
reconstruct, to interpolate or to classify by.</p></div>"""
_CHAIN = """<div class="missing"><h2>What this model has no answer to, and what it has instead</h2>
<p>It is a denoising autoencoder: its q(z | x) is a point mass, and training never asked for a
p(z). So there is no p(x) = &int; p(z) p(x | z) dz, hence <b>no log p(x)</b>, no bound on it and no
KL. But it was trained to undo a corruption, so it can be walked: corrupt x, encode, draw a new x
from p(x | z), again and again. Where the model of x given its corruption is right, that chain
comes to draw from the data's distribution (Bengio et al. 2013, theorem 1); here, with independent
elements given a code, it is right only nearly. <code>vaejax sample</code> draws by this chain: its
<b>samples</b> come without a density.</p></div>"""


def write_page(run: RunDirectory, figures: list[tuple[Path, str]]) -> Path:
    """Write report.html with its pictures inside; returns its path."""
    evaluation = run.read_json("evaluation.json")
    config, manifest = run.read_json("config.json"), run.read_json("manifest.json")
    # How it was measured is in the line above the table: a run may be measured in several ways.
    trained = {name: value for name, value in config["config"].items() if name != "evaluate"}
    parts = [
        f"<h1>{html.escape(config['experiment'])}, seed {config['seed']}</h1>",
        f'<p class="note">{html.escape(protocol_line(evaluation))}</p>',
        html_table(HEADER, evaluation_rows(evaluation)),
        _NOTE_EXACT if is_explicit(evaluation) else _NOTE,
    ]
    if evaluation["point_mass"]:
        parts.append(_CHAIN if evaluation.get("denoising") else _NO_PRIOR)
    if is_explicit(evaluation):
        parts.append(_NO_LATENT)
    parts += [_picture(path, caption) for path, caption in figures]
    parts += _log_likelihood(run) + _gaps(run) + _cost(run) + _gradients(run)
    parts += [
        "<h2>Configuration</h2>",
        f"<pre>{html.escape(json.dumps(trained, indent=2))}</pre>",
        "<h2>What produced it</h2>",
        f"<pre>{html.escape(json.dumps(manifest, indent=2))}</pre>",
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(run.name)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    run.write_text("report.html", page)
    return run.file("report.html")


def _log_likelihood(run: RunDirectory) -> list[str]:
    """What `vaejax log-likelihood` has found so far, the oldest first; its last figure."""
    files = sorted(run.file("log_likelihood").glob("*.json"), key=lambda file: file.stat().st_mtime)
    found = [
        run.read_json(f"log_likelihood/{f.name}", "settings", "summary", "target_missed")
        for f in files
    ]
    if not found:
        return []
    parts = ["<h2>log p(x)</h2>"]
    for about in found:
        parts += [html_table(HEADER, log_likelihood_rows(about)), _note(about_lines(about))]
    caption = "The last call of vaejax log-likelihood."
    return [*parts, _picture(run.file("log_likelihood/figure.png"), caption)]


def _gaps(run: RunDirectory) -> list[str]:
    """What `vaejax gaps` has found so far, the oldest first."""
    parts = []
    for about, figures in gap_sections(run):
        parts += [html_table(HEADER, gap_rows(about)), _note(gap_lines(about))]
        parts += [
            _picture(path, f"{caption}, of the table above.") for path, caption in figures.items()
        ]
    return ["<h2>What the encoder costs</h2>", *parts] if parts else []


def _cost(run: RunDirectory) -> list[str]:
    """What `vaejax cost` found last."""
    if not run.file("cost.json").exists():
        return []
    about = run.read_json("cost.json", "settings", "summary", "protocol")
    return [
        "<h2>What an optimization of q for each x costs</h2>",
        html_table(COST_HEADER, cost_rows(about)),
        _note(cost_lines(about)),
        _picture(run.file("cost.png"), "The bound against time; vaejax cost."),
    ]


def _gradients(run: RunDirectory) -> list[str]:
    """What `vaejax gradients` found last."""
    if not run.file("gradients.json").exists():
        return []
    about = run.read_json("gradients.json", "settings", "rows", "protocol")
    return [
        "<h2>Gradient estimators</h2>",
        html_table(GRADIENT_HEADER, gradient_rows(about)),
        _note(gradient_lines(about)),
    ]


def _note(lines: list[str]) -> str:
    return f'<p class="note">{"<br>".join(map(html.escape, lines))}</p>'


def _picture(path: Path, caption: str) -> str:
    if not path.exists():
        return f'<p class="missing">{path.name} is not there: run the command again.</p>'
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def html_table(header: list[str], rows: list[list[str]]) -> str:
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(header, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
