"""seeds.json: what the seeds of one configuration came to together."""

from typing import Any

from vaejax.evaluation.evaluation_section import over_seeds
from vaejax.run_directory import RunDirectory

_ALIKE = ("settings", "protocol", "step", "version")  # in every seed that is averaged


def write_seeds(seeds: list[int], evaluations: list[dict[str, Any]], folder: RunDirectory) -> None:
    """<hash>/seeds.json: the mean of each number over these seeds, and its error."""
    about = {name: evaluations[0][name] for name in ("settings", "protocol", "step")}
    folder.write_json("seeds.json", {"seeds": seeds, **about, "rows": over_seeds(evaluations)})
    print(f"  {folder.file('seeds.json')}")


def write_seeds_of(directory: RunDirectory) -> None:
    """The same after one seed is evaluated again, over the seeds beside it that are evaluated
    alike. Where there are none, seeds.json would say what no longer holds, and is removed."""
    folder = RunDirectory(directory.path.resolve().parent)
    if directory.is_exported():
        return
    newest = directory.read_json("evaluation.json", *_ALIKE)
    alike = {}
    for path in folder.path.glob("seed-*/evaluation.json"):
        found = RunDirectory(path.parent).read_json("evaluation.json")
        if all(found.get(name) == newest[name] for name in _ALIKE):
            alike[int(path.parent.name.removeprefix("seed-"))] = found
    seeds = sorted(alike)
    if len(seeds) > 1:
        write_seeds(seeds, [alike[seed] for seed in seeds], folder)
    elif folder.file("seeds.json").exists():
        folder.file("seeds.json").unlink()
        print("  seeds.json is removed: no other seed is evaluated with these settings")
