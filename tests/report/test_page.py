"""The page of a run that has every measurement, from its files alone."""

import math
import re
import shutil
import subprocess

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.pairs import linear_gaussian
from tests.runs import a_run
from vaejax.evaluation import (
    MEASUREMENTS,
    Evaluate,
    Gaps,
    GradientQuality,
    LogLikelihood,
    Posterior,
    carry_out,
)
from vaejax.evaluation.cost import Cost
from vaejax.evaluation.evaluation_section import evaluation_rows, seeds_table
from vaejax.evaluation.expected import said_in
from vaejax.evaluation.runner import read
from vaejax.evaluation.section import Figure
from vaejax.inference import amortized, diagonal_gaussian
from vaejax.networks import MLP
from vaejax.report import save_figures, sections_of, write_page
from vaejax.report.opening import opening
from vaejax.types import Params

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SETTINGS = {
    "evaluate": Evaluate(num_samples=30),
    "log-likelihood": LogLikelihood(
        estimator="all", examples=3, num_samples=50, num_chains=4, num_temperatures=16
    ),
    "gaps": Gaps(examples=3, num_samples=50, num_chains=4, num_temperatures=4, max_steps=100),
    "cost": Cost(examples=3, max_steps=100, num_bound_samples=20),
    "gradients": GradientQuality(2, (1, 2), 20, 20),
    "posterior": Posterior(max_steps=100, families=("diagonal",)),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    model, _ = linear_gaussian([[1.0, 0.6], [0.5, -0.4], [-0.7, 0.9]], 0.8)
    q = amortized(diagonal_gaussian(2), MLP((), (4,)), (3,))
    params = Params(model.init(jax.random.key(0)), q.init(jax.random.key(1)))
    xs = np.random.RandomState(0).randn(6, 3).astype(np.float32)
    run = a_run(model, q, params, xs, folder=tmp_path_factory.mktemp("run") / "seed-0")
    run.directory.path.mkdir()
    config = {"data": {"name": "<given>"}, "evaluate": {"num_samples": 30}}
    run.directory.write_json("config.json", {"experiment": "toy", "seed": 0, "config": config})
    run.directory.write_json("manifest.json", {"versions": {"vaejax": "0.0.1"}})
    latents = {"information_lower": 0.1, "information_upper": 0.2, "active_units": 1}
    for step in (10, 20):
        run.directory.log({"step": step, "value": -step, "validation": -1.0} | latents)
    for name, settings in SETTINGS.items():
        carry_out(run, MEASUREMENTS[name], settings)
    return run.directory


@pytest.fixture(scope="module")
def page(directory):
    return write_page(directory).read_text()


def test_it_has_every_measurement(directory, page):
    titles = [section.title for section in sections_of(directory)]
    assert len(titles) == len(SETTINGS) == len(set(titles))
    assert set(MEASUREMENTS) - set(SETTINGS) == {"forecast"}  # of sequences
    places = [page.index(f"<h2>{title}</h2>") for title in ("Evaluation", "Training", *titles[1:])]
    assert places == sorted(places)
    for section in sections_of(directory):
        for label in (row[0] for table in section.tables for row in table.rows):
            assert label.replace(">", "&gt;").replace("'", "&#39;") in page
    assert "made by vaejax 0.0.1" in page
    assert "&lt;given&gt;" in page and "<given>" not in page
    assert "num_samples" not in page.split("<summary>Configuration</summary>")[1]


def test_its_first_sentences_say_what_was_trained_and_how_it_compares(directory):
    evaluation, config = directory.read_json("evaluation.json"), directory.read_json("config.json")
    own = config["config"] | {"evaluate": evaluation["settings"]}
    value = -evaluation["summary"]["log_p"]["mean"]

    def opened(above, own, evaluation=evaluation):
        expected = f"-log p(x) <= {value + above:.1f}"
        said = said_in(f'"""A toy.\n\nExpected: {expected}\nMeasured: nothing\n"""')
        return opening(said, config, evaluation, own), expected

    for above, verdict in ((1.0, "Reached"), (-1.0, "Not reached")):
        (title, first, details), expected = opened(above, own)
        trained, result = first.split(" -log p(x) of ", 1)
        assert title == "A toy." and trained.endswith("trained on given (6 examples).")
        assert result.startswith(f"6 test examples is {value:.3f} +- ")
        assert result.endswith(f"Expected: {expected}. {verdict}.")
        assert details.startswith("The parameters are those of step")
    # No verdict on what was trained or measured otherwise; other data are not what the file says.
    (_, changed, _), _ = opened(1.0, own | {"train": {"steps": 7}})
    assert "Reached" not in changed and "Expected with the settings of the file" in changed
    few = evaluation | {"settings": evaluation["settings"] | {"num_samples": 3}}
    (_, changed, _), _ = opened(1.0, own, few)
    assert "Settings that differ from the experiment file: evaluate.num_samples 3." in changed
    paragraphs, _ = opened(1.0, own | {"data": {"name": "others"}})
    assert len(paragraphs) == 2 and "toy" in paragraphs[0] and "A toy." not in paragraphs[0]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: pages are not looked at in a browser")
@pytest.mark.parametrize("width", [500, 1200])
def test_nothing_is_wider_than_the_window(page, width, tmp_path):
    """At 500 pixels, the least that a headless chromium has, the layout is that of a phone. A
    figure that is tapped has its full size, in a box of its own. What a table is of is seen."""
    script = """<script>onload = () => {
        const wide = () => document.documentElement.scrollWidth;
        const scaled = () => [...document.images].filter(i => i.clientWidth < i.naturalWidth);
        const before = [wide(), scaled().length];
        const named = [...document.querySelectorAll("th:first-child:not(:empty)")];
        const unseen = named.filter(name => !name.offsetHeight);
        document.querySelectorAll("figure summary").forEach(summary => summary.click());
        const found = [...before, wide(), scaled().length, innerWidth];
        document.title = ["seen", ...found, named.length, unseen.length].join(" ");
    }</script>"""
    looked_at = tmp_path / "page.html"
    looked_at.write_text(page.replace("</body>", f"{script}</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    command = [CHROMIUM, *options, f"--window-size={width},900", "--dump-dom", str(looked_at)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r"<title>seen ([\d ]+)</title>", shown)
    assert found is not None
    fitted, scaled, opened, still_scaled, window, named, unseen = map(int, found[1].split())
    assert max(fitted, opened) <= window <= width
    assert scaled > 0 and still_scaled == 0
    assert named > 0 and unseen == 0


def test_its_figures_are_inside_it_and_beside_it(directory, page):
    figures = {path.stem for path in directory.file("figures").glob("*.png")}
    assert figures >= {"log_likelihood", "decomposition", "cost", "posterior-test-0", "training"}
    assert page.count("data:image/png;base64") == len(figures)
    assert '"http' not in page  # an address, not a picture's letters


@pytest.mark.parametrize(
    ("names", "panels"), [(("importance",), 1), (("annealed",), 3), (("importance", "annealed"), 4)]
)
def test_of_log_p_what_no_estimator_has_is_not_drawn(names, panels, directory):
    (file,) = directory.file("log_likelihood").glob("*.json")
    about, arrays = read(directory, f"log_likelihood/{file.name}")
    summary = {name: about["summary"][name] for name in names}
    (figure,) = MEASUREMENTS["log-likelihood"].section(about | {"summary": summary}, arrays).figures
    drawn, _ = figure.draw()
    assert len(drawn.axes) == panels and all(axes.get_lines() for axes in drawn.axes)
    plt.close(drawn)


def test_nothing_is_drawn_before_a_picture_is_asked_for(directory, monkeypatch):
    monkeypatch.setattr(plt, "subplots", lambda *_, **__: pytest.fail("a figure was drawn"))
    names = [figure.name for section in sections_of(directory) for figure in section.figures]
    assert {"log_likelihood", "decomposition", "cost", "posterior-test-0"} <= set(names)


def test_a_figure_of_an_earlier_drawing_goes(directory):
    write_page(directory)
    stale = directory.file("figures") / "stale.png"
    stale.write_bytes(b"")
    sections = sections_of(directory)
    (older,) = [section for section in sections if section.title == "One posterior"]
    (figure,) = older.figures
    newest = Figure(figure.name, lambda: (plt.figure(figsize=(1, 1)), ""))
    save_figures(directory, [*sections, older._replace(figures=[newest])])
    assert not stale.exists()
    sizes = [
        (directory.file("figures") / f"posterior-test-0{end}.png").stat().st_size
        for end in ("", "-again")
    ]
    assert sizes[0] < sizes[1]  # the newest has the name


def test_what_another_version_measured_is_not_shown(directory):
    file = next(directory.file("gaps").glob("*.json"))
    name = f"gaps/{file.name}"
    about = directory.read_json(name)
    directory.write_json(name, about | {"version": about["version"] - 1})
    assert "What the encoder costs" not in [s.title for s in sections_of(directory)]
    directory.write_json(name, about)


def summary_of(value):
    """An evaluation whose every number is the same."""
    entry = {"mean": value, "std_error_monte_carlo": 0.1, "std_error_data": 0.2, "n": 5}
    names = ("kl", "information_lower", "information_upper")
    names += ("aggregate_kl_lower", "aggregate_kl_upper")
    return {
        "kind": "latent variable",
        "support": "real",
        "settings": {"num_samples": 30},
        "summary": dict.fromkeys(names, entry) | {"kl_form": "a sum"},
    }


@pytest.mark.parametrize("value", [-0.05, -1e-9, 0.3])
def test_a_lower_bound_on_what_cannot_be_negative_is_never_below_0(value):
    """An upper bound is printed as it was measured: it is no bound once it is moved."""
    about = summary_of(value)
    for rows, column in ((evaluation_rows(about), 1), (seeds_table([about, about]), 1)):
        shown = {row[0]: float(row[column]) for row in rows if row[column]}
        for label in ("I_q(x; z), at least", "KL(q(z) || p(z)), at least"):
            assert shown[label] == round(max(value, 0.0), 3)
            assert math.copysign(1, shown[label]) == 1
        assert shown["KL(q(z) || p(z)), at most"] == round(value, 3)
