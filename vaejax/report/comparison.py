"""Trained models side by side: averages over seeds, tables, and sentences that the numbers bear."""

import math
from typing import Any

import numpy as np

from vaejax.evaluation.section import Table, format_error, with_errors
from vaejax.evaluation.statistics import of_trainings, paired_by_seed, paired_difference, verdict
from vaejax.text_table import text_table

QUALITY = ("precision", "recall", "density", "coverage", "mmd")
OWN = "prior", "in order"  # ways to draw x that a model was trained with
LOOSE = 1.0  # nats between annealing and importance sampling, above which a line says so
MODEL_HEADER = ["model", "p(x, z)", "p(z)", "p(x|z)", "q(z|x)", "how x is drawn"]
LOG_P_HEADER = ["model", "-log p(x)", "+- MC", "+- data", "+- seeds", "bits/dim", "what it is"]
QUALITY_HEADER = ["model", *QUALITY, "drawn by"]
CODE_HEADER = ["model", "||x - E[x|z]||^2", "-log p(x|z)", "probe", "parameters", "training"]


def model_rows(models: list[dict[str, Any]]) -> list[list[str]]:
    """What of p(x, z), p(z), p(x|z), q(z|x) each model has, and how x is drawn from it."""
    rows = []
    for model in models:
        first = [model["label"], *model["parts"].values()]
        for name, found in model["generators"].items():
            rows.append([*first, f"{name}: {found['how']}"])
            first = [""] * 5
    return rows


def log_p_rows(models: list[dict[str, Any]], dimensions: int | None) -> list[list[str]]:
    """-log p(x) of each model and of each density that it was given, or why there is none. Bits
    per dimension where x has discrete values of so many dimensions."""
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
                    f"{-found['mean']:.3f}",
                    format_error(found["std_error_monte_carlo"]),
                    format_error(found["std_error_data"]),
                    format_error(found["std_error_seeds"]),
                    "-" if bits is None else f"{bits:.4f}",
                    meaning + _doubts(found),
                ]
            )
    return rows


def log_p_notes(models: list[dict[str, Any]]) -> list[str]:
    """What `log_p_rows` do not say in each row: what AIS is, and of which rows fits were cut."""
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
    notes = ["AIS: at least -log p(x) in expectation."]
    if any(cut.values()):
        counts = ", ".join(f"{label} {count:,}" for label, count in cut.items() if count)
        notes.append(f"Fits of q that stopped at max_steps, which AIS corrects for: {counts}.")
    return notes


def _doubts(found: dict[str, Any]) -> str:
    doubts = []
    if found.get("importance_looser_by", 0.0) < -3 * (found["std_error_monte_carlo"] or 0.0) - 0.01:
        doubts.append(
            f"importance sampling from the same q is {-found['importance_looser_by']:.2f} tighter: "
            "give annealing more temperatures"
        )
    if found.get("importance_looser_by", 0.0) > LOOSE:
        doubts.append(
            f"importance sampling from the same q is {found['importance_looser_by']:.1f} looser: "
            "it is less reliable than the others; give it more temperatures"
        )
    broken = sorted({i for seed in found.get("each_seed", []) for i in seed.get("not_finite", [])})
    if broken:
        doubts.append(f"not finite for images {broken[:5]}, so there is no mean")
    return "".join(f"; {doubt}" for doubt in doubts)


def quality_rows(models: list[dict[str, Any]], reference: dict[str, Any]) -> list[list[str]]:
    """Precision, recall, density, coverage and MMD^2 of what each model draws; first, of training
    examples in its place."""
    rows = [_quality_row("training images", reference, "no model: a classifier trained on them")]
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
    """What the code keeps of x, what it is worth to a linear classifier, and what it cost."""
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


def training_cost(training: dict[str, Any]) -> str:
    """Steps and seconds of training, of all seeds that were trained in one program."""
    if training["seconds"] is None:
        return f"{training['steps']:,} steps"
    seeds = f" for {training['seeds']} seeds" if training["seeds"] > 1 else ""
    return f"{training['steps']:,} steps, {training['seconds']:.0f} s{seeds}"


def label_of(model: dict[str, Any], generator: str) -> str:
    """What a row is called: the model, and its way of drawing where it has several."""
    return model["label"] if len(model["generators"]) == 1 else f"{model['label']}, {generator}"


def findings(models: list[dict[str, Any]], log_p: dict[tuple[str, str], list]) -> list[str]:
    """Sentences in plain words, each with its number, its error, and its "cannot be told".

    `log_p`: (label, generator) -> log p(x) of the same examples, an array for each seed.
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
            "An autoencoder with a density fitted to its codes is a p(x, z): of the autoencoders, "
            "each with the density that is best for it, the two best on these examples"
        )
        sentences.append(_likelihood(of, fitted[0], others[0], log_p))
    if own and fitted:
        of = (
            "An autoencoder with a density fitted to its codes is a p(x, z) too: of the best of "
            "these, and the best model trained as one, on these examples"
        )
        sentences.append(_likelihood(of, own[0], fitted[0], log_p))
    for label, way in [name for name in ex_post if name[0] not in points][:1]:
        of = (
            "The control, a density fitted to the codes of a model that has a p(z): of the best of "
            "these, and the same model with its own p(z), on these examples"
        )
        sentences.append(_likelihood(of, (label, way), (label, "prior"), log_p))
        alike = [name for name in fitted if name[1] == way]
        if alike:
            of = "Of that control and the best autoencoder with the same density, on these examples"
            sentences.append(_likelihood(of, (label, way), alike[0], log_p))
    for model in models:
        ways = model["generators"]
        if "chain" in ways and "N(0, I)" in ways:
            sentences.append(_chain(model))
    sentences += _reconstruction(models)
    return sentences


def differences(log_p: dict[tuple[str, str], list], against: str) -> dict[str, Any] | None:
    """log p(x) of every model, and of each density that it was given, minus that of the model
    `against`, or else of the first one that has a log p(x), paired over the same examples: first
    the models as they were trained. None where no two have one. `log_p` is as in `findings`."""
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
        f"per example, on the same examples{trainings}; what is estimated is a lower bound on its "
        "log p(x), tight where importance sampling agrees."
    )


def _chain(model: dict[str, Any]) -> str:
    chain, normal = (model["generators"][name]["quality"] for name in ("chain", "N(0, I)"))
    verdicts = []
    for measure, sign in (("coverage", 1), ("mmd", -1)):
        digits = 4 if measure == "mmd" else 3
        difference, error, half = paired_by_seed(chain[measure], normal[measure])
        verdict = "cannot be told from it"
        if abs(difference) > half:
            verdict = "beats it" if sign * difference > 0 else "is worse"
        verdicts.append(
            f"{verdict} in {measure} ({chain[measure]['mean']:.{digits}f} against "
            f"{normal[measure]['mean']:.{digits}f}, +- {error:.{digits}f})"
        )
    mixing = model["generators"]["chain"].get("mixing", {"reliable": True})
    late = "" if mixing["reliable"] else f" Its mixing is not known: {mixing['reason']}."
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
    words = "and cannot be told from"
    if abs(difference) > half:
        words = "better than" if difference < 0 else "worse than"
    return [
        f"{best[0]['label']}, the best of the autoencoders, reconstructs {words} "
        f"{best[1]['label']}, the best with a q that has a density: a squared error of "
        f"{first['mean']:.3f} against {second['mean']:.3f}, +- {error:.3f}."
    ]


def protocol_lines(about: dict[str, Any]) -> list[str]:
    """What the numbers rest on: data, estimators, features, seeds."""
    p, settings = about["protocol"], about["settings"]
    return [
        f"{p['data']} [{p['fingerprint']}], binarization {p['binarization']} (train "
        f"{p['train']:,}, validation {p['validation']:,}, test {p['test']:,}); seeds "
        f"{', '.join(map(str, about['seeds']))}",
        f"-log p(x): {about['examples']} test images, the same for all; with a z: AIS "
        f"({settings['num_chains']} chains, {settings['num_temperatures']} temperatures) from a "
        "Gaussian q fitted to each x, for every model; +- MC: of the estimate; "
        "+- data: over images; +- seeds: over trainings; differences are paired over the same "
        "images, and told apart by Student's 95 % interval with both errors, as far as known",
        f"sample quality: {about['samples']:,} draws of x (not of E[x|z]) against as many test "
        f"images, 5 nearest neighbours, in this space: {about['features']}; errors: of drawing "
        "both anew, then over seeds; mmd: unbiased MMD^2, may be negative",
        "codes: the mean of q, for ||x - E[x|z]||^2, -log p(x|z) and the probe (logistic "
        "regression, accuracy on the test split); errors: over images, then over seeds",
    ]


def comparison_tables(about: dict[str, Any]) -> dict[str, Table]:
    """What each model is, log p(x) and its differences, sample quality, codes."""
    models, found = about["models"], about["differences"]
    apart = {} if found is None else {"differences": difference_table(found)}
    return {
        "models": Table(MODEL_HEADER, model_rows(models)),
        "log_p": Table(LOG_P_HEADER, log_p_rows(models, about["dimensions"])),
        **apart,
        "quality": Table(QUALITY_HEADER, quality_rows(models, about["reference"])),
        "codes": Table(CODE_HEADER, code_rows(models)),
    }


def difference_table(found: dict[str, Any]) -> Table:
    """What `differences` found, in -log p(x): below 0 the model of the row is the better one."""
    header = ["difference of -log p(x)", "mean", "+- data", "+- seeds", "told apart?"]
    rows = [
        [
            f"{pair['first']} minus {pair['second']}",
            "-" if pair["mean"] is None else f"{-pair['mean']:.3f}",
            *(format_error(pair[f"std_error_{error}"]) for error in ("data", "seeds")),
            verdict(pair, 1),
        ]
        for pair in found["models"]
    ]
    return Table(header, rows)


def print_comparison(about: dict[str, Any]) -> None:
    """The tables, the findings and the protocol."""
    for name, table in comparison_tables(about).items():
        print(f"\n{text_table(*table)}")
        if name == "log_p":
            print("\n".join(log_p_notes(about["models"])))
    print()
    print("\n".join([*about["findings"], *protocol_lines(about)]))
