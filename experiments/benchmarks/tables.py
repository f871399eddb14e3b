"""Writes experiments/README.md from the experiment files and the JSON files beside them.

Command: python experiments/benchmarks/tables.py
"""

import json
from pathlib import Path

import numpy as np
from tabulate import tabulate

from vaejax.evaluation.expected import is_reached, said_in

EXPERIMENTS = Path(__file__).resolve().parent.parent
INTRODUCTION = """# What was measured

`python experiments/benchmarks/tables.py` writes this page from the JSON files beside the
experiments. -log p(x) in nats; +- is a standard error. A bound is named as one. Two CPU cores
unless a file says otherwise. The files name their command, protocol, versions and commit; those of
vaejax 0.1.0 were measured before the core was rebuilt (same formulas, other draws).
"""


def table(header: list[str], rows: list[list[str]]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def verdict(path: Path, expected: str) -> str:
    """`reached` or `not reached`, where a figure is expected and the runs have it."""
    file = path.with_suffix(".json")
    runs = json.loads(file.read_text()).get("runs") if file.exists() else None
    summaries = [run["evaluation"]["summary"] for run in runs or () if "evaluation" in run]
    values = [-s[name]["mean"] for s in summaries for name in ("log_p", "iwae") if name in s]
    reached = is_reached(expected, float(np.mean(values))) if values else None
    return {None: "", True: "reached", False: "not reached"}[reached]


def experiments() -> str:
    rows = []
    for path in sorted(EXPERIMENTS.glob("*.py")):
        said = said_in(path.read_text())
        rows.append([f"`{path.stem}`", said.expected, said.measured, verdict(path, said.expected)])
    return table(["experiment", "expected", "measured", ""], rows)


def priors(name: str) -> str:
    file = EXPERIMENTS / "benchmarks" / f"priors_{name}.json"
    if not file.exists():
        return f"{name}: not measured."
    rows = []
    for prior, row in json.loads(file.read_text())["priors"].items():
        seeds, data = row["std_error_seeds"], row["std_error_data"]
        rows.append(
            [
                prior,
                f"{row['-log p(x) <=']:.3f}",
                "one seed" if seeds is None else f"{seeds:.3f}",
                f"{data:.3f}",
                f"{row['kl']:.2f}",
                f"{row['n']:,}",
            ]
        )
    header = ["p(z)", "-log p(x) <=", "+- seeds", "+- data", "KL", "test examples"]
    return f"{name}, IWAE bound:\n\n{table(header, rows)}"


def missed_modes() -> str:
    content = json.loads((EXPERIMENTS / "benchmarks" / "missed_modes.json").read_text())
    bed = {**content["bed"], "all": content["total"]}
    rows = [
        [
            name,
            f"{row['off_and_flagged']} of {row['off']}",
            f"{row['good_and_flagged']} of {row['good']}",
        ]
        for name, row in bed.items()
    ]
    verdict = "reached" if content["total"]["reached"] else "not reached"
    return (
        f"{table(['test bed', 'off by > 0.5 nats: flagged', 'good: flagged'], rows)}\n\n"
        f"Expected: at least 95 % of the first, at most 5 % of the second: {verdict}."
    )


if __name__ == "__main__":
    parts = [
        INTRODUCTION,
        "## Experiments\n",
        experiments(),
        "\n## Priors\n",
        priors("digits"),
        "",
        priors("mnist"),
        "\n## Missed modes, default settings (AIS from q, checked from the prior)\n",
        missed_modes(),
    ]
    (EXPERIMENTS / "README.md").write_text("\n".join(parts) + "\n")
