"""A training and its evaluation on as many devices as the process has."""

import sys
from pathlib import Path

import jax
import numpy as np

from tests.pairs import digits_pair, elbo_objective, grey_digits
from tests.runs import evaluated
from vaejax.training import Train, Trainer
from vaejax.training.checkpoint import Checkpoints

PAIR = digits_pair()


def trainer_of_all() -> Trainer:
    dataset = grey_digits(validation=12)  # 12 is no multiple of 8
    settings = Train(epochs=2, batch_size=16, validations=2)
    return Trainer(*PAIR, elbo_objective, dataset, settings)


def first(tree):
    """Of the only seed."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def train_and_evaluate(trainer: Trainer, path: Path) -> None:
    """Arrays in `path`, and a checkpoint beside it."""
    *_, report = trainer.run(*trainer.start([jax.random.key(0)]))
    Checkpoints(path.with_suffix(".checkpoint")).save(*first((report.states, report.best)))
    params = jax.device_put(jax.device_get(first(report.states.params)))
    arrays = evaluated(*PAIR, params, trainer.dataset.split("validation"))
    leaves = {f"p{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(params))}
    np.savez(
        path,
        used=len(trainer.sharding.device_set),
        values=report.terms.value,
        validation=report.validation,
        **leaves,
        **arrays,
    )


if __name__ == "__main__":
    train_and_evaluate(trainer_of_all(), Path(sys.argv[1]))
