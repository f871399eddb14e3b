"""Eight seeds of mnist_vae in one program, against eight runs one after another.

Measured are seed-epochs per minute of the Trainer: `vaejax run mnist_vae --seeds 0 1 2 3 4 5 6 7`
against eight commands, both without compilation, validation and checkpoints. CPU.

Command:  python experiments/benchmarks/seeds.py
Expected: together/apart >= 1.0
Measured: see seeds.json
"""

import common
import jax
import numpy as np

SEEDS = 8
REPETITIONS = 7


def epochs(trainer, keys):
    """Trains on; yields the mean loss of each seed after each epoch."""
    losses = []
    for report in trainer.run(*trainer.start(keys)):
        losses.append(-report.terms.value)
        if report.end_of_epoch:
            yield np.concatenate(losses, axis=1).mean(axis=1)
            losses = []


def main() -> None:
    dataset = common.load_data()
    trainer = common.trainer(common.build("mnist_vae", dataset), dataset)
    keys = [jax.random.key(seed) for seed in range(SEEDS)]
    together = epochs(trainer, keys)
    apart = [epochs(trainer, [key]) for key in keys]
    last: dict[str, np.ndarray] = {}

    def all_together():
        last["together"] = next(together)
        return 60 * SEEDS

    def one_by_one():
        last["apart"] = np.concatenate([next(run) for run in apart])
        return 60 * SEEDS

    runs = {"together": all_together, "apart": one_by_one}
    for run in runs.values():
        run()
    np.testing.assert_allclose(last["together"], last["apart"], rtol=1e-3)
    rates, others = common.interleave(runs, REPETITIONS)
    summary = common.summarize(rates, others, "together", {"apart": 1.0})
    common.show(f"{SEEDS} seeds of mnist_vae", "seed-epochs/min", summary)
    common.write("seeds", dataset.name, {"unit": "seed-epochs/min", **summary})


if __name__ == "__main__":
    main()
