"""What `vaejax gradients` found: a table with its protocol."""

from typing import Any

from vaejax.report.table import format_table

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


def print_gradients(about: dict[str, Any]) -> None:
    """The table, with the protocol."""
    first, *others = gradient_lines(about)
    print(first)
    print(format_table(GRADIENT_HEADER, gradient_rows(about)))
    print("\n".join(others))


def gradient_rows(about: dict[str, Any]) -> list[list[str]]:
    """Rows of the table, under `GRADIENT_HEADER`."""
    return [_row(row) for row in about["rows"]]


def gradient_lines(about: dict[str, Any]) -> list[str]:
    """How it was measured, and what the columns mean."""
    p, settings = about["protocol"], about["settings"]
    return [
        f"{p['data']} [{p['fingerprint']}], first {settings['examples']} of the {about['split']} "
        f"split, binarization {p['binarization']}; {about['parameters']} parameters, step "
        f"{about['step']:,}; {settings['replicates']:,} gradients each, reference "
        f"{settings['reference_samples']:,}; seed {about['seed']}, highest matmul precision",
        *_NOTES,
    ]


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
