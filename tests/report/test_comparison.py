"""The numbers of a comparison against the same computed by hand, and what its sentences say."""

import numpy as np
import pytest
from scipy import stats

from vaejax.evaluation.statistics import (
    over_seeds,
    paired_by_seed,
    paired_difference,
    ratio_over_seeds,
    student_interval,
)
from vaejax.report.comparison import (
    difference_table,
    differences,
    findings,
    log_p_notes,
    log_p_rows,
)
from vaejax.report.comparison_page import _log_p_figure


def test_over_seeds_is_the_mean_and_the_error_of_the_mean():
    """The trainings' spread, and the test examples' that all of them share: replicates of both."""
    found = over_seeds([{"mean": 1.0, "std_error_data": 2.0}, {"mean": 4.0, "std_error_data": 2.0}])
    assert found["mean"] == 2.5 and found["std_error"] == pytest.approx(np.hypot(1.5, 2.0))
    one = over_seeds([{"value": 1.0, "std_error": 0.25}], "value")
    errors = {"std_error": 0.25, "std_error_data": 0.25, "std_error_seeds": None}
    assert one == {"mean": 1.0, "each_seed": [1.0], **errors}
    rng = np.random.default_rng(3)
    means, errors = [], []
    for _ in range(2000):
        shared, trainings = rng.normal(0, 0.3), rng.normal(0, 0.5, 4)
        found = over_seeds([{"mean": shared + own, "std_error": 0.3} for own in trainings])
        means.append(found["mean"])
        errors.append(found["std_error"] ** 2)
    assert np.mean(errors) == pytest.approx(np.var(means), rel=0.1)


def test_the_monte_carlo_error_of_log_p_is_that_of_all_estimates():
    """Of 3 seeds and 40 images: the standard deviation of the grand mean over replicates."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-80, 5, (3, 40))
    errors = rng.uniform(0.1, 0.5, (3, 40))
    grand = [np.mean(truth + errors * rng.normal(size=errors.shape)) for _ in range(4000)]
    found = ratio_over_seeds(list(truth), np.ones(40), list(errors))
    assert found["mean"] == pytest.approx(truth.mean())
    assert found["std_error_monte_carlo"] == pytest.approx(np.std(grand), rel=0.05)
    assert found["std_error_seeds"] == pytest.approx(np.std(truth.mean(1), ddof=1) / 3**0.5)
    assert ratio_over_seeds(list(truth[:1]), np.ones(40))["std_error_seeds"] is None


def test_the_paired_difference_takes_the_images_own_spread_out():
    """Two models over the same 50 images and 4 seeds: the error is the spread over replicates of
    images and trainings, which is far below that of either mean."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(500):
        images = rng.normal(-80, 10, 50)
        pair = [
            [images + shift + rng.normal(0, 0.3) + rng.normal(0, 1, 50) for _ in range(4)]
            for shift in (0.7, 0.0)
        ]
        pair_found = paired_difference(*pair)
        found.append([pair_found[name] for name in ("mean", "std_error", "half_width")])
    means, errors, halves = np.array(found).T
    assert 0.95 < np.mean(abs(means - 0.7) < halves) < 1  # a 95 % interval, a little too wide
    assert np.all(halves / errors < stats.t.ppf(0.975, 3))  # more freedom than 4 seeds'
    assert abs(means.mean() - 0.7) < 4 * means.std() / 500**0.5
    # The spread of images within a seed is counted in that of the seeds too: a little too wide.
    assert means.std() < np.sqrt(np.mean(errors**2)) < 1.3 * means.std()


def test_an_interval_of_several_errors_is_welchs():
    rng = np.random.default_rng(8)
    one, other = rng.normal(0, 1, 5), rng.normal(0, 3, 3)
    parts = [(v.std(ddof=1) / len(v) ** 0.5, len(v) - 1) for v in (one, other)]
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    width = (interval.high - interval.low) / 2
    assert student_interval(parts)[1] == pytest.approx(width)
    exact = [over_seeds([{"mean": m, "std_error": 0.0} for m in v]) for v in (one, other)]
    assert paired_by_seed(*exact)[2] == pytest.approx(width)
    pair = [over_seeds([{"mean": m, "std_error": 9.0} for m in v]) for v in (one[:3], other)]
    found = stats.ttest_rel(one[:3], other).confidence_interval()
    assert paired_by_seed(*pair)[2] == pytest.approx((found.high - found.low) / 2)


def test_an_error_over_seeds_is_unknown_where_one_model_has_but_one():
    rng = np.random.default_rng(9)
    images = rng.normal(-80, 5, 100)
    seeds = [images + shift + rng.normal(0, 0.1, 100) for shift in (1.0, 3.0, 5.0)]
    alone = [images]
    for pair, words in (
        (seeds, "for these trainings only"),
        (seeds[2:], "for these two trainings only"),
    ):
        found = paired_difference(pair, alone)
        assert found["std_error_seeds"] is None
        assert found["std_error"] == found["std_error_data"]
        log_p = {("A", "prior"): pair, ("B", "prior"): alone}
        (row,) = difference_table(differences(log_p, "B")).rows
        assert row[-2:] == ["-", f"yes: A (prior) is ahead, {words}"]
        assert f"on the same examples, {words};" in findings([], log_p)[0]
    assert paired_difference(seeds, alone * 2)["std_error_seeds"] > 0


def of_seeds(means, error=0.01):
    return over_seeds([{"mean": mean, "std_error": error} for mean in means])


def _model(label, kind, log_p=None, **ways):
    quality = {m: of_seeds([0.5], 0.01) for m in ("coverage", "mmd")}
    undefined = {"kind": "not defined", "reason": "no p(z)"}
    mean = 4.0 if kind == "point mass" else 5.0
    return {
        "label": label,
        "kind": kind,
        "squared_error": of_seeds([mean], 0.1),
        "generators": {
            name: {"quality": quality | better, "log_p": log_p or undefined}
            for name, better in ways.items()
        },
    }


def test_sentences_say_who_wins_and_when_it_cannot_be_told():
    rng = np.random.default_rng(2)
    images = rng.normal(-80, 5, 100)
    far = {
        ("VAE", "prior"): [images + rng.normal(0, 0.1, 100)],
        ("AE", "ex-post mixture"): [images - 3 + rng.normal(0, 0.1, 100)],
    }
    models = [
        _model("AE", "point mass", **{"N(0, I)": {}}),
        _model("VAE", "latent variable", prior={}),
    ]
    sentences = findings(models, far)
    assert "VAE (prior) is ahead of AE (ex-post mixture) by 3.0" in sentences[0]
    assert "reconstructs better than VAE" in sentences[-1]
    assert "squared error of 4.000 against 5.000, +- 0.141" in sentences[-1]
    models[1]["squared_error"] = of_seeds([4.2], 0.1)
    assert (
        "VAE, the best of those whose q has a density, cannot be told apart"
        in findings(models, far)[-1]
    )
    near = far | {("AE", "ex-post mixture"): [far["VAE", "prior"][0] + rng.normal(0, 1, 100)]}
    assert "cannot be told apart" in findings(models, near)[0]


def test_the_control_is_held_against_its_own_prior_and_an_autoencoder_with_the_same_density():
    rng = np.random.default_rng(5)
    images = rng.normal(-80, 5, 100)
    shifts = {
        ("VAE", "prior"): 0,
        ("VAE", "ex-post mixture"): 2,
        ("AE", "ex-post mixture"): -1,
        ("AE", "ex-post flow"): 1,
    }
    log_p = {name: [images + s + rng.normal(0, 0.01, 100)] for name, s in shifts.items()}
    models = [_model("AE", "point mass"), _model("VAE", "latent variable")]
    fitted, control, alike, _ = findings(models, log_p)
    assert "AE (ex-post flow) is ahead of VAE (prior) by 1.0" in fitted
    assert "VAE (ex-post mixture) is ahead of VAE (prior) by 2.0" in control
    assert "VAE (ex-post mixture) is ahead of AE (ex-post mixture) by 3.0" in alike


def test_models_as_they_were_trained_come_before_densities_fitted_to_their_codes():
    """The control of the worst is the best row of all, and the first model has no p(z)."""
    rng = np.random.default_rng(7)
    images = rng.normal(-80, 5, 100)
    shifts = {
        ("AE", "ex-post flow"): 1,
        ("A", "prior"): 0,
        ("A", "ex-post flow"): 9,
        ("B", "in order"): 3,
        ("C", "prior"): 2,
    }
    log_p = {name: [images + s + rng.normal(0, 0.01, 100)] for name, s in shifts.items()}
    models = [_model("AE", "point mass"), _model("A", "latent variable")]
    first, *others = findings(models, log_p)
    assert "the two best" in first and "B (in order) is ahead of C (prior) by 1.0" in first
    assert "A (ex-post flow) is ahead of A (prior) by 9.0" in others[1]
    found = differences(log_p, "")
    assert found["against"] == "A (prior)"
    order = ["B (in order)", "C (prior)", "AE (ex-post flow)", "A (ex-post flow)"]
    assert [pair["first"] for pair in found["models"]] == order
    two = {name: log_p[name] for name in [("A", "prior"), ("C", "prior")]}
    assert "two best" not in findings(models[1:], two)[0]
    alone = {("AE", "ex-post flow"): [images], ("DAE", "ex-post flow"): [images - 1.0]}
    models = [_model(label, "point mass") for label in ("AE", "DAE")]
    assert "Of the autoencoders" in findings(models, alone)[0]


def test_a_chain_is_held_against_noise_through_the_same_decoder():
    better = {"coverage": of_seeds([0.9], 0.01)}
    worse = {"mmd": of_seeds([0.7], 0.01)}
    models = [_model("DAE", "point mass", **{"chain": better | worse, "N(0, I)": {}})]
    (sentence,) = findings(models, {})
    assert "is better in coverage (0.900 against 0.500" in sentence
    assert "is worse in mmd" in sentence
    models = [_model("DAE", "point mass", **{"chain": {}, "N(0, I)": {}})]
    assert findings(models, {})[0].count("cannot be told apart from it") == 2


def test_the_table_says_exact_estimated_or_why_not():
    exact = {"kind": "exact", "mean": -64 * np.log(2), "std_error_monte_carlo": None}
    exact |= {"std_error_data": 0.3, "std_error_seeds": None}
    rows = log_p_rows(
        [
            _model("MADE", "no latent variable", exact, **{"in order": {}}),
            _model("AE", "point mass", **{"N(0, I)": {}}),
        ],
        64,
    )
    assert rows[0][1:3] == [f"{64 * np.log(2):.3f}", "-"]
    assert rows[0][5:] == ["1.0000", "exact"]
    assert rows[1][1] == "not defined" and rows[1][-1] == "no p(z)"
    assert log_p_notes([_model("MADE", "no latent variable", exact, **{"in order": {}})]) == []
    seeds = [
        {"n": 9, "not_converged": 3, "flags": {"q misses a mode": [0, 7], "wide": [1]}},
        {"n": 9, "not_converged": 4, "flags": {"q misses a mode": [7]}},
    ]
    estimated = exact | {"kind": "estimated", "std_error_monte_carlo": 0.1, "each_seed": seeds}
    models = [_model("VAE", "latent variable", estimated, prior={})]
    doubt = "AIS; 3 of 18 unreliable (q misses a mode); 1 of 18 unreliable (wide)"
    assert log_p_rows(models, None)[0][-1] == doubt
    assert log_p_notes(models)[1].endswith("corrects for this): VAE 7.")


def test_a_sentence_states_the_error_that_it_decides_by():
    """Seeds in pairs: each autoencoder is 0.1 better than its partner, and seeds differ by more."""
    models = [_model("AE", "point mass"), _model("VAE", "latent variable")]
    for model, means in zip(models, ([4.0, 5.0, 6.01], [4.1, 5.1, 6.1]), strict=True):
        model["squared_error"] = of_seeds(means)
    differences = np.array([0.1, 0.1, 0.09])
    error = differences.std(ddof=1) / 3**0.5
    (sentence,) = findings(models, {})
    assert "reconstructs better than VAE" in sentence and f"+- {error:.3f}" in sentence
    # Without a partner for each seed the errors of both count, and nothing can be told.
    models[1]["squared_error"] = of_seeds([4.1, 5.1])
    (sentence,) = findings(models, {})
    both = np.hypot(*(model["squared_error"]["std_error"] for model in models))
    assert "cannot be told apart" in sentence and f"+- {both:.3f}" in sentence


def test_bars_are_the_errors_that_the_figure_names():
    rng = np.random.default_rng(4)
    log_p = rng.normal(-80, 5, (3, 40)) + np.array([[0.0], [1.0], [3.0]])
    found = ratio_over_seeds(list(log_p), np.ones(40), [np.full(40, 0.1)] * 3)
    found |= {"kind": "estimated"}
    over_examples = log_p.mean(axis=0).std(ddof=1) / 40**0.5
    seeds = log_p.mean(axis=1).std(ddof=1) / 3**0.5
    figure, _ = _log_p_figure([_model("VAE", "latent variable", found, prior={})])
    (axes,) = figure.axes
    bars = [c.get_segments()[0] for c in axes.collections]
    for bar, error in zip(bars, (over_examples, seeds), strict=True):
        assert bar[:, 0] == pytest.approx([-found["mean"] - error, -found["mean"] + error])
    assert bars[0][0, 1] < 0 < bars[1][0, 1]  # neither hides the other
    words = "circles: standard error over examples; squares: over seeds"
    assert words in axes.get_xlabel()


def test_every_model_is_held_against_a_chosen_one():
    rng = np.random.default_rng(6)
    images = rng.normal(-80, 5, 100)
    log_p = {
        ("A", "prior"): [images + rng.normal(0, 0.1, 100) + seed for seed in (0.0, 0.2)],
        ("B", "prior"): [images + shift + rng.normal(0, 0.1, 100) for shift in (-3.1, -2.9)],
        ("C", "prior"): [images - 3 + rng.normal(0, 0.1, 100)],
    }
    rows = {row[0]: row for row in difference_table(differences(log_p, "B")).rows}
    row = rows["A (prior) minus B (prior)"]
    assert row[-1] == "yes: A (prior) is ahead" and float(row[1]) == pytest.approx(-3.1, abs=0.1)
    each = np.mean(log_p["A", "prior"], axis=0) - np.mean(log_p["B", "prior"], axis=0)
    assert float(row[2]) == pytest.approx(each.std(ddof=1) / 10, abs=6e-4)
    spreads = [np.std(np.mean(log_p[name, "prior"], axis=1), ddof=1) / 2**0.5 for name in "AB"]
    assert float(row[3]) == pytest.approx(np.hypot(*spreads), abs=6e-4)
    assert rows["C (prior) minus B (prior)"][-2:] == ["-", "no"]
    assert differences(log_p, "")["against"] == "A (prior)"
    assert differences({}, "") is None
