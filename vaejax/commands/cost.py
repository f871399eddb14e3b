"""`vaejax cost`."""

import dataclasses

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import COST, load_run, present, stream, write_report
from vaejax.errors import UserError
from vaejax.evaluation import Cost
from vaejax.evaluation.comparison import first_rows
from vaejax.evaluation.cost import measure_cost, summarize_cost
from vaejax.run_directory import versions


def cost(arguments: list[str]) -> int:
    """The bound against steps and seconds of optimizing q for each x, beside the encoder's."""
    loaded, rest = load_run(arguments, "cost")
    settings = parse(Cost, rest, prog="vaejax cost RUN", default=Cost())
    generative, inference = loaded.pair("it has no q(z | x) to optimize")
    params, step, which = loaded.params()
    dataset = loaded.dataset
    count = present(dataset, "test", settings.examples, "--")
    examples = first_rows(dataset.examples("test"), count)
    if loaded.kind() == "point mass":
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, which has no "
            "bound to optimize; vaejax gaps RUN --map compares its code with the best z"
        )
    key = stream(settings.seed, COST)
    arrays, seconds = measure_cost(key, generative, inference, params, examples, settings)
    about = {
        "settings": dataclasses.asdict(settings),
        "parameters": which,
        "step": step,
        "protocol": dataset.protocol(),
        "versions": versions(),
        "summary": summarize_cost(arrays, seconds),
    }
    figure = reports.draw_cost(loaded.directory, about, arrays)
    loaded.directory.write_arrays("cost.npz", arrays)
    loaded.directory.write_json("cost.json", about)
    print(f"\n{loaded.directory.name}")
    reports.print_cost(about)
    for name in ("cost.npz", "cost.json"):
        print(f"  {loaded.directory.file(name)}")
    print(f"  {figure}")
    if loaded.directory.is_evaluated():
        print(f"  {write_report(loaded.directory)}")
    return 0
