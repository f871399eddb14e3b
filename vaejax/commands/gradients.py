"""`vaejax gradients`."""

import dataclasses
import time

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import GRADIENTS, load_run, present, progress_bar, stream, write_report
from vaejax.errors import UserError
from vaejax.evaluation import GradientQuality, gradient_quality
from vaejax.evaluation.comparison import first_rows
from vaejax.evaluation.gradient_quality import cost


def gradients(arguments: list[str]) -> int:
    """Measure gradient estimators at a run's parameters."""
    loaded, rest = load_run(arguments, "gradients")
    default = GradientQuality()
    options = parse(GradientQuality, rest, prog="vaejax gradients RUN", default=default)
    generative, inference = loaded.pair(
        "the gradient of its log p(x) is exact, so there is no estimator to measure"
    )
    params, step, which = loaded.params()
    count = present(loaded.dataset, "train", options.examples, "--")
    examples = first_rows(loaded.dataset.examples("train"), count)
    if loaded.kind() == "point mass":
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, so its gradient "
            "has no noise and there is no bound to estimate; digits_vae and mnist_vae have both"
        )
    started = time.monotonic()
    with progress_bar(cost(options), unit="draw", what="gradients") as bar:
        rows = gradient_quality(
            stream(loaded.seed, GRADIENTS),
            generative,
            inference,
            params,
            examples,
            options,
            progress=bar.update,
        )
    about = {
        "settings": dataclasses.asdict(options),
        "split": "train",
        "seed": loaded.seed,
        "parameters": which,
        "step": step,
        "protocol": loaded.dataset.protocol(),
        "precision": "highest",
        "seconds": round(time.monotonic() - started, 2),
        "rows": rows,
    }
    loaded.directory.write_json("gradients.json", about)
    print(f"\n{loaded.directory.name}")
    reports.print_gradients(about)
    print(f"  {loaded.directory.file('gradients.json')}")
    if loaded.directory.is_evaluated():
        print(f"  {write_report(loaded.directory)}")
    return 0
