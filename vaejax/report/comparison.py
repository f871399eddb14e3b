"""A comparison of trained models: tables, and sentences that say what the numbers show."""

import math
from collections import Counter
from typing import Any

import numpy as np

from vaejax.evaluation.compared import training_cost
from vaejax.evaluation.section import Table, cells, with_errors
from vaejax.evaluation.statistics import of_trainings, paired_by_seed, paired_difference, verdict
from vaejax.text_table import text_table

QUALITY = ("precision", "recall", "density", "coverage", "mmd")
OWN = "prior", "in order"  # the ways to draw x that belong to a trained model
LOOSE = 1.0  # nats: where importance sampling is looser by more, the row says so
MODEL_HEADER = ["model", "p(x, z)", "p(z)", "p(x|z)", "q(z|x)", "how x is drawn"]
LOG_P_HEADER = [
    "model",
    "-log p(x), nats",
    "+- MC",
    "+- data",
    "+- seeds",
    "bits/dim",
    "what it is",
]
QUALITY_HEADER = ["model", *QUALITY, "drawn by"]
CODE_HEADER = ["model", "||x - E[x|z]||^2", "-log p(x|z)", "probe", "parameters", "training"]


def model_rows(models: list[dict[str, Any]]) -> list[list[str]]:
    """Rows under `MODEL_HEADER`: the p(x, z), p(z), p(x|z), q(z|x) of each model, and how x is
    drawn."""
    rows = []
    for model in models:
        first = [model["label"], *model["parts"].values()]
        for name, found in model["generators"].items():
            rows.append([*first, f"{name}: {found['how']}"])
            first = [""] * 5
    return rows


def log_p_rows(models: list[dict[str, Any]], dimensions: int | None) -> list[list[str]]:
    """Rows under `LOG_P_HEADER`: -log p(x) of each model, also with each density fitted to its
    codes, or why there is none. `dimensions`: that of a discrete x, for bits/dim; None for other
    x."""
    rows = []
    for model in models:
        for name, generator in model["generators"].items():
            found, label = generator["log_p"], label_of(model, name)
            if found["kind"] == "not defined":
                rows.append([label, "not defined", "", "", "", "", found["reason"]])
                continue
            bits = -found["mean"] / (math.log(2) * dimensions) if dimensions else None
            meaning = "exact" if found["kind"] == "exact" else "AIS"
            rows.append(
                [
                    label,
                    *cells(found, ("monte_carlo", "data", "seeds"), -1),
                    "-" if bits is None else f"{bits:.4f}",
                    meaning + _doubts(found),
                ]
            )
    return rows


def log_p_notes(models: list[dict[str, Any]]) -> list[str]:
    """Notes below `log_p_rows`: the meaning of AIS, and rows whose fits stopped early."""
    found = {
        label_of(model, name): generator["log_p"]
        for model in models
        for name, generator in model["generators"].items()
    }
    if all(entry["kind"] != "estimated" for entry in found.values()):
        return []
    cut = {
        label: sum(seed.get("not_converged", 0) for seed in entry.get("each_seed", []))
        for label, entry in found.items()
    }
    notes = ["AIS (annealed importance sampling): an upper bound on -log p(x) in expectation."]
    if any(cut.values()):
        counts = ", ".join(f"{label} {count:,}" for label, count in cut.items() if count)
        notes.append(f"Fits of q that stopped at max_steps (AIS corrects for this): {counts}.")
    return notes


def _doubts(found: dict[str, Any]) -> str:
    doubts = []
    if found.get("importance_looser_by", 0.0) < -3 * (found["std_error_monte_carlo"] or 0.0) - 0.01:
        doubts.append(
            f"importance sampling from the same q is {-found['importance_looser_by']:.2f} nats "
            "tighter: give annealing more temperatures"
        )
    if found.get("importance_looser_by", 0.0) > LOOSE:
        doubts.append(
            f"importance sampling from the same q is {found['importance_looser_by']:.1f} nats "
            "looser: this row is less reliable than others; give annealing more temperatures"
        )
    seeds = found.get("each_seed", [])
    flagged: Counter[str] = Counter()
    for seed in seeds:
        flagged.update({why: len(examples) for why, examples in seed.get("flags", {}).items()})
    estimates = sum(seed.get("n", 0) for seed in seeds)
    doubts += [f"{count} of {estimates} unreliable ({why})" for why, count in flagged.items()]
    broken = sorted({i for seed in seeds for i in seed.get("not_finite", [])})
    if broken:
        doubts.append(f"not finite for examples {broken[:5]}, so there is no mean")
    return "".join(f"; {doubt}" for doubt in doubts)


def quality_rows(models: list[dict[str, Any]], reference: dict[str, Any]) -> list[list[str]]:
    """Rows under `QUALITY_HEADER`: precision, recall, density, coverage and MMD^2 of the draws of
    each model; in the first row, of training examples in place of draws."""
    rows = [_quality_row("training examples", reference, "not drawn; the classifier knows them")]
    for model in models:
        for name, generator in model["generators"].items():
            rows.append(_quality_row(label_of(model, name), generator["quality"], name))
    return rows


def _quality_row(label: str, quality: dict[str, Any], name: str) -> list[str]:
    cells = []
    for measure in QUALITY:
        digits = 4 if measure == "mmd" else 3
        found = quality[measure]
        value = found["mean"] if "mean" in found else found["value"]
        entry = found if "mean" in found else {"std_error_data": found["std_error"]}
        cells.append(with_errors(value, entry, digits))
    return [label, *cells, name]


def code_rows(models: list[dict[str, Any]]) -> list[list[str]]:
    """Rows under `CODE_HEADER`: reconstruction, accuracy of a linear probe, size, training cost."""
    rows = []
    for model in models:
        cells = [
            with_errors(sign * model[name]["mean"], model[name]) if name in model else "no z"
            for name, sign in (("squared_error", 1), ("reconstruction", -1))
        ]
        probe = model.get("probe")
        rows.append(
            [
                model["label"],
                *cells,
                _percent(probe) if probe else "-",
                f"{sum(model['parameters'].values()):,}",
                training_cost(model["training"]),
            ]
        )
    return rows


def _percent(probe: dict[str, Any]) -> str:
    errors = {
        name: probe[name] and 100 * probe[name] for name in ("std_error_data", "std_error_seeds")
    }
    return f"{with_errors(100 * probe['mean'], errors, 1)} %"


def label_of(model: dict[str, Any], generator: str) -> str:
    """The label of a row: the model, and its way to draw x if it has several."""
    return model["label"] if len(model["generators"]) == 1 else f"{model['label']}, {generator}"


def findings(models: list[dict[str, Any]], log_p: dict[tuple[str, str], list]) -> list[str]:
    """The findings as sentences, each with a difference and its error, or "cannot be told apart".

    Args:
      log_p: (label, generator) -> log p(x) of the same examples in nats, an array for each seed.
    """
    ranked = sorted(log_p, key=lambda name: -float(np.mean(log_p[name])))
    sentences = []
    own = [name for name in ranked if name[1] in OWN]
    if len(own) > 1:
        of = "Of the models as they were trained, each with its own p(x)"
        if len(own) > 2:
            of += ", the two best on these examples"
        sentences.append(_likelihood(of, own[0], own[1], log_p))
    points = {model["label"] for model in models if model["kind"] == "point mass"}
    ex_post = [name for name in ranked if name[1].startswith("ex-post")]
    fitted = [name for name in ex_post if name[0] in points]
    others = [name for name in fitted if name[0] != fitted[0][0]]
    if others and not own:
        of = (
            "An autoencoder with a density fitted to its codes has a p(x, z). Of the autoencoders, "
            "each with the density that is best for it, the two best on these examples"
        )
        sentences.append(_likelihood(of, fitted[0], others[0], log_p))
    if own and fitted:
        of = (
            "An autoencoder with a density fitted to its codes has a p(x, z) too. Of the best of "
            "these and the best model that was trained with a p(x), on these examples"
        )
        sentences.append(_likelihood(of, own[0], fitted[0], log_p))
    for label, way in [name for name in ex_post if name[0] not in points][:1]:
        of = (
            "The control is a density fitted to the codes of a model that has a p(z). Of the best "
            "control and the same model with its own p(z), on these examples"
        )
        sentences.append(_likelihood(of, (label, way), (label, "prior"), log_p))
        same_density = [name for name in fitted if name[1] == way]
        if same_density:
            of = "Of that control and the best autoencoder with the same density, on these examples"
            sentences.append(_likelihood(of, (label, way), same_density[0], log_p))
    for model in models:
        ways = model["generators"]
        if "chain" in ways and "N(0, I)" in ways:
            sentences.append(_chain(model))
    sentences += _reconstruction(models)
    return sentences


def differences(log_p: dict[tuple[str, str], list], against: str) -> dict[str, Any] | None:
    """Differences of log p(x), in nats, paired over the same examples: each model, also with each
    density fitted to its codes, minus the model with the label `against`, or else the first one.
    Models as they were trained come first. None unless at least two have a log p(x).

    Args:
      log_p: as in `findings`.
    """
    names = sorted(log_p, key=lambda name: name[1] not in OWN)
    base = next((name for name in names if name[0] == against), next(iter(names), None))
    if base is None or len(names) < 2:
        return None
    return {
        "against": _name(base),
        "models": [
            {"first": _name(name), "second": _name(base)}
            | paired_difference(log_p[name], log_p[base])
            for name in names
            if name != base
        ],
    }


def _name(name: tuple[str, str]) -> str:
    return f"{name[0]} ({name[1]})"


def _likelihood(of: str, first, second, log_p) -> str:
    found = paired_difference(log_p[first], log_p[second])
    mean, error = found["mean"], found["std_error"]
    trainings = of_trainings(found)
    if not abs(mean) > found["half_width"]:  # or NaN
        return (
            f"{of}, {_name(first)} and {_name(second)} cannot be told apart: {abs(mean):.2f} +- "
            f"{error:.2f} nats of difference on the same examples{trainings}."
        )
    better, worse = (first, second) if mean > 0 else (second, first)
    return (
        f"{of}, {_name(better)} is ahead of {_name(worse)} by {abs(mean):.2f} +- {error:.2f} nats "
        f"per example, on the same examples{trainings}; an estimated log p(x) is a lower bound in "
        "expectation, which is tight where importance sampling agrees."
    )


def _chain(model: dict[str, Any]) -> str:
    chain, normal = (model["generators"][name]["quality"] for name in ("chain", "N(0, I)"))
    verdicts = []
    for measure, sign in (("coverage", 1), ("mmd", -1)):
        digits = 4 if measure == "mmd" else 3
        difference, error, half = paired_by_seed(chain[measure], normal[measure])
        verdict = "cannot be told apart from it"
        if abs(difference) > half:
            verdict = "is better" if sign * difference > 0 else "is worse"
        verdicts.append(
            f"{verdict} in {measure} ({chain[measure]['mean']:.{digits}f} against "
            f"{normal[measure]['mean']:.{digits}f}, +- {error:.{digits}f})"
        )
    mixing = model["generators"]["chain"].get("mixing", {"reliable": True})
    late = "" if mixing["reliable"] else f" How fast it mixes is not known: {mixing['reason']}."
    return (
        f"{model['label']}: its chain, compared with N(0, I) through the same decoder, "
        f"{' and '.join(verdicts)}.{late}"
    )


def _reconstruction(models: list[dict[str, Any]]) -> list[str]:
    coded = [model for model in models if "squared_error" in model]
    points = [m for m in coded if m["kind"] == "point mass"]
    latent = [m for m in coded if m["kind"] == "latent variable"]
    if not points or not latent:
        return []
    best = [min(group, key=lambda m: m["squared_error"]["mean"]) for group in (points, latent)]
    first, second = (m["squared_error"] for m in best)
    difference, error, half = paired_by_seed(first, second)
    names = f"{best[0]['label']}, the best of the autoencoders,", best[1]["label"]
    errors = f"{first['mean']:.3f} against {second['mean']:.3f}, +- {error:.3f}"
    if abs(difference) > half:
        verdict = "better" if difference < 0 else "worse"
        sentence = (
            f"{names[0]} reconstructs {verdict} than {names[1]}, the best of those whose q has a "
            "density"
        )
    else:
        sentence = (
            f"{names[0]} and {names[1]}, the best of those whose q has a density, cannot be told "
            "apart by their reconstructions"
        )
    return [f"{sentence}: a squared error of {errors}."]


def protocol_lines(about: dict[str, Any]) -> list[str]:
    """How the numbers were made: data, estimators, features, seeds."""
    p, settings = about["protocol"], about["settings"]
    return [
        f"{p['data']} [{p['fingerprint']}], binarization {p['binarization']} (train "
        f"{p['train']:,}, validation {p['validation']:,}, test {p['test']:,}); seeds "
        f"{', '.join(map(str, about['seeds']))}",
        f"-log p(x), in nats: {about['examples']} test examples, the same for all models; for a "
        f"model with a z, AIS ({settings['num_chains']} chains, {settings['num_temperatures']} "
        "temperatures) from a Gaussian q fitted to each x; +- MC: standard error of the estimate; "
        "+- data: over examples; +- seeds: over trainings; differences are paired over the same "
        "examples; two models are told apart if Student's 95 % interval, from both errors as far "
        "as they are known, excludes 0",
        f"sample quality: {about['samples']:,} draws of x (not of E[x|z]) against as many test "
        f"examples, 5 nearest neighbours, in this feature space: {about['features']}; +-: standard "
        "error from the choice of draws and test examples, then over seeds; mmd: unbiased estimate "
        "of MMD^2, which may be negative",
        "codes: the mean of q is the code, for ||x - E[x|z]||^2, -log p(x|z) in nats, and the "
        "probe (accuracy of logistic regression on the test split); +-: standard error over "
        "examples, then over seeds",
    ]


def comparison_tables(about: dict[str, Any]) -> dict[str, Table]:
    """The tables: models, log p(x) and its differences, sample quality, codes."""
    models, found = about["models"], about["differences"]
    optional = {} if found is None else {"differences": difference_table(found)}
    return {
        "models": Table(MODEL_HEADER, model_rows(models)),
        "log_p": Table(LOG_P_HEADER, log_p_rows(models, about["dimensions"])),
        **optional,
        "quality": Table(QUALITY_HEADER, quality_rows(models, about["reference"])),
        "codes": Table(CODE_HEADER, code_rows(models)),
    }


def difference_table(found: dict[str, Any]) -> Table:
    """The result of `differences` as a table of -log p(x): below 0, the first model is better."""
    header = ["difference of -log p(x), nats", "mean", "+- data", "+- seeds", "told apart?"]
    rows = [
        [
            f"{pair['first']} minus {pair['second']}",
            *cells(pair, ("data", "seeds"), -1),
            verdict(pair, 1),
        ]
        for pair in found["models"]
    ]
    return Table(header, rows)


def print_comparison(about: dict[str, Any]) -> None:
    """Print the tables, the findings and how the numbers were made."""
    for name, table in comparison_tables(about).items():
        print(f"\n{text_table(*table)}")
        if name == "log_p":
            print("\n".join(log_p_notes(about["models"])))
    print()
    print("\n".join([*about["findings"], *protocol_lines(about)]))
