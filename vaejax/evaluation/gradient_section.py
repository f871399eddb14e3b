"""The output of `vaejax gradients`: a table with its protocol."""

from typing import Any

import numpy as np

from vaejax.evaluation.section import Section, Table, data_line

GRADIENT_HEADER = [
    "",
    "K",
    "part",
    "bias",
    "from noise",
    "excess",
    "variance",
    "+-",
    "SNR",
    "+-",
    "from noise",
]
_NOTES = [
    "bias: ||mean - reference|| / ||reference||; from noise: its value for an unbiased estimator; "
    "excess: how far the squared bias is above that, in standard errors.",
    "variance: sum over parameters. SNR: |mean| / sd, median over parameters; from noise: its "
    "value for a mean of 0. +-: standard error by the jackknife.",
    "The gradient is the mean over one fixed minibatch; its noise comes from the draws of z only.",
]


def gradients_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """Bias, variance and signal-to-noise ratio of each gradient estimator."""
    del arrays
    settings = about["settings"]
    protocol = (
        f"{data_line(about)}; first {settings['examples']} examples of the train split; "
        f"{settings['replicates']:,} gradients each, {settings['reference_samples']:,} for the "
        f"reference; seed {about['seed']}"
    )
    rows = [_row(row) for row in about["summary"]["rows"]]
    return Section("Gradient estimators", protocol, [Table(GRADIENT_HEADER, rows)], _NOTES, [])


def _row(row: dict[str, Any]) -> list[str]:
    def number(name, form):
        return "-" if row[name] is None else format(row[name], form)

    return [
        row["estimator"],
        str(row["num_samples"]),
        row["part"],
        number("bias", ".4f"),
        number("bias_floor", ".4f"),
        number("bias_z", "+.1f"),
        number("variance", ".4g"),
        number("variance_std_error", ".1g"),
        number("snr", ".3f"),
        number("snr_std_error", ".3f"),
        number("snr_floor", ".3f"),
    ]
