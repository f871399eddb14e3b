"""Write experiments/README.md from the experiment files and their JSON files.

Command: python experiments/benchmarks/tables.py
"""

import json
import re
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
    """Without the padding of columns that make lines of hundreds of characters."""
    padded = tabulate(rows, header, tablefmt="github", disable_numparse=True)
    return re.sub(r"-{4,}", "---", re.sub(r" {2,}", " ", padded))


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
    return table(["experiment", "expected", "measured", "verdict"], rows)


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
    bed["all, with 100 temperatures in place of 500"] = content["with_100_temperatures"]
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


def linear_recovery() -> str:
    content = json.loads((EXPERIMENTS / "benchmarks" / "linear_recovery.json").read_text())
    rows = []
    for name, row in content["systems"].items():
        above, below = row["error_above_true_percent"], row["log_p_below_true_percent"]
        nats, error = row["nats_per_frame_below_true"]
        reached = "reached" if above <= 5 and below <= 1 else "not reached"
        rows.append(
            [name, f"{above:.2f} %", f"{below:.3f} %", f"{nats:.4f} +- {error:.4f}", reached]
        )
    header = ["system", "error of prediction, above", "log p(x), below", "nats/frame below", ""]
    return (
        f"{table(header, rows)}\n\nAgainst the true system on the same test sequences, by a Kalman "
        "filter. Expected: at most 5 % and 1 %."
    )


def natural_steps() -> str:
    content = json.loads((EXPERIMENTS / "benchmarks" / "natural_steps.json").read_text())
    rows = []
    for name, row in content["ways"].items():
        steps = row.get("steps_to_the_bound", [])
        median = f"{np.median(steps):.0f}" if steps and None not in steps else "not all arrive"
        rows.append([name, median, ", ".join(str(step or "never") for step in steps)])
    return (
        f"{table(['gradients of the system, rate', 'steps, median', 'each seed'], rows)}\n\nTo a "
        "bound 0.02 nats/frame above -log p(x) of the true parameters, 5 seeds."
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
        "\n## A linear system, recovered by a structured VAE\n",
        linear_recovery(),
        "\n## Natural and ordinary gradients of a linear system\n",
        natural_steps(),
    ]
    (EXPERIMENTS / "README.md").write_text("\n".join(parts) + "\n")
