"""What `vaejax gradients` says: a table with its protocol."""

from typing import Any

import numpy as np

from vaejax.evaluation.section import Section, Table, data_line

GRADIENT_HEADER = [
    "",
    "K",
    "of",
    "bias",
    "of noise",
    "excess",
    "variance",
    "+-",
    "SNR",
    "+-",
    "of noise",
]
_NOTES = [
    "bias: ||mean - reference|| / ||reference||; of noise: what noise alone makes of it; excess: "
    "of its square over that, in standard errors.",
    "variance: sum over parameters. SNR: |mean| / sd, median over parameters; of noise: what it "
    "would be for a mean of 0. +-: jackknife.",
    "The noise is that of z alone, of the mean gradient of this one minibatch.",
]


def gradients_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """Bias, variance and signal-to-noise ratio of each gradient estimator."""
    del arrays
    settings = about["settings"]
    protocol = (
        f"{data_line(about)}; first {settings['examples']} of the train split; "
        f"{settings['replicates']:,} gradients each, reference {settings['reference_samples']:,}; "
        f"seed {about['seed']}"
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
