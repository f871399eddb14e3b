"""`vaejax posterior`."""

import dataclasses

import jax

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import POSTERIOR, load_run, present, stream
from vaejax.distributions import structure_of
from vaejax.errors import UserError
from vaejax.evaluation import Posterior
from vaejax.evaluation.posterior import measure_posterior


def posterior(arguments: list[str]) -> int:
    """Of a two-dimensional z: the true posterior, the encoder's q and the best q of each family."""
    loaded, rest = load_run(arguments, "posterior")
    settings = parse(Posterior, rest, prog="vaejax posterior RUN", default=Posterior())
    generative, inference = loaded.pair("it has no posterior p(z | x)")
    params, step, which = loaded.params()
    dataset = loaded.dataset
    n = present(dataset, settings.split, None, "--")
    if settings.example >= n:
        raise UserError(
            f"--example {settings.example} is not in the {settings.split} split, which has 0 to "
            f"{n - 1}"
        )
    example = jax.tree.map(lambda leaf: leaf[settings.example], dataset.examples(settings.split))
    if loaded.kind() == "point mass":
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, and it has no "
            "p(z), so no posterior p(z | x)"
        )
    shape = structure_of(generative.joint(params.generative, example.given).prior).shape
    if shape != (2,):
        raise UserError(
            f"the picture is of a two-dimensional z; this model's has shape {shape}: train one "
            "with --model.latent-dim 2"
        )
    key = stream(settings.seed, POSTERIOR)
    arrays, found = measure_posterior(key, generative, inference, params, example, settings)
    about = {
        "settings": dataclasses.asdict(settings),
        "parameters": which,
        "step": step,
        "protocol": dataset.protocol(),
        "summary": found,
    }
    stem = f"posterior-{settings.split}-{settings.example}"
    loaded.directory.write_arrays(f"{stem}.npz", arrays)
    loaded.directory.write_json(f"{stem}.json", about)
    print(f"\n{loaded.directory.name}")
    reports.print_posterior(about)
    for kind in ("npz", "json"):
        print(f"  {loaded.directory.file(f'{stem}.{kind}')}")
    print(f"  {reports.draw_posterior(loaded.directory, stem, about, arrays, example.x)}")
    return 0
