"""seeds.json: the averages over the seeds of one configuration."""

from typing import Any

from vaejax.evaluation.evaluation_section import over_seeds
from vaejax.run_directory import RunDirectory

_SAME = ("settings", "protocol", "step", "version")  # equal in all seeds that are averaged


def write_seeds(seeds: list[int], evaluations: list[dict[str, Any]], folder: RunDirectory) -> None:
    """Write <hash>/seeds.json: the mean of each number over these seeds, and its standard error."""
    about = {name: evaluations[0][name] for name in ("settings", "protocol", "step")}
    folder.write_json("seeds.json", {"seeds": seeds, **about, "rows": over_seeds(evaluations)})
    print(f"  {folder.file('seeds.json')}")


def write_seeds_of(directory: RunDirectory) -> None:
    """Write seeds.json again after one seed was evaluated again, over the seeds that were evaluated
    with the same settings. If there are none, seeds.json is out of date, and is removed."""
    folder = RunDirectory(directory.path.resolve().parent)
    if directory.is_exported():
        return
    newest = directory.read_json("evaluation.json", *_SAME)
    same = {}
    for path in folder.path.glob("seed-*/evaluation.json"):
        evaluation = RunDirectory(path.parent).read_json("evaluation.json")
        if all(evaluation.get(name) == newest[name] for name in _SAME):
            same[int(path.parent.name.removeprefix("seed-"))] = evaluation
    seeds = sorted(same)
    if len(seeds) > 1:
        write_seeds(seeds, [same[seed] for seed in seeds], folder)
    elif folder.file("seeds.json").exists():
        folder.file("seeds.json").unlink()
        print("  seeds.json is removed: no other seed is evaluated with these settings")
