"""The gaps of every option of digits_encoders, over the same seeds.

Each is what `vaejax run digits_encoders --seeds 0 1 2 <arguments>` trains and `vaejax gaps RUN
--families <its own> --examples 100 --num-temperatures 50` measures, of the best parameters by
validation. Options that are named are measured, or all if none is named; the rows of the others
stay. The runs go to runs/, and what is there is not done again.

Command:  python experiments/benchmarks/encoders.py [OPTION ...]
Measured: see ../digits_encoders.json
"""

import dataclasses
import json
import sys

from common import HERE, mean_and_error, train_seeds

from vaejax import experiment
from vaejax.evaluation import Gaps, carry_out
from vaejax.evaluation.gaps import GAPS_MEASUREMENT

FILE = HERE.parent / "digits_encoders.py"
RESULT = FILE.with_suffix(".json")
SEEDS = (0, 1, 2)
OPTIONS = {
    "diagonal": "",
    "full covariance": "--family full",
    "mixture": "--family mixture",
    "inverse autoregressive": "--family flow",
    "affine coupling": "--family coupling",
    "spline coupling": "--family spline",
    "small encoder": "--encoder-hidden 10",
    "large encoder": "--encoder-hidden 400 400",
    "noise": "--noise 0.3",
}
SETTINGS = Gaps(num_temperatures=50)


def main() -> None:
    file = experiment.load(FILE)
    options = json.loads(RESULT.read_text())["options"] if RESULT.exists() else {}
    for option in sys.argv[1:] or OPTIONS:
        trained = train_seeds("digits_encoders", OPTIONS[option], SEEDS)
        name = trained.runs[0].config.family
        settings = dataclasses.replace(SETTINGS, families=(name,))
        rows: dict[str, list[float]] = {}
        fits = []
        for run in trained.runs:
            summary = carry_out(run, GAPS_MEASUREMENT, settings).about["summary"]
            for split in ("train", "test"):
                found = summary[split]
                fits.append({k: len(found[name][k]) for k in ("diverged", "not_converged")})
                for field, entry in (
                    ("log_p", found["log_p"]),
                    ("elbo", found["amortized"]),
                    ("approximation", found[name]["approximation"]),
                    ("amortization", found[name]["amortization"]),
                ):
                    rows.setdefault(f"{split} {field}", []).append(entry["mean"])
        options[option] = {
            "arguments": OPTIONS[option],
            "mean_and_std_error_over_seeds": {
                field: mean_and_error(values) for field, values in rows.items()
            },
            "by_seed": rows,
            "fits": fits,
            "best_step": [run.step for run in trained.runs],
            "training_seconds": trained.seconds,
        }
        print(option, options[option]["mean_and_std_error_over_seeds"], flush=True)
        head = {
            "command": "python experiments/benchmarks/encoders.py",
            "seeds": SEEDS,
            "settings": dataclasses.asdict(SETTINGS) | {"families": "the encoder's own"},
            "parameters": "best by validation",
            "protocol": trained.runs[0].data.protocol(),
            "config": experiment.to_json(file.config),
        }
        RESULT.write_text(json.dumps({**head, "options": options}, indent=1) + "\n")


if __name__ == "__main__":
    main()
