"""Images per second of log p(x) by 5,000 importance samples, against a hand-written scan.

The evaluation as the command line runs it (importance-weighted bound, its error, ESS,
k-hat, ELBO and its parts, codes) against JAX alone giving nothing but the bound: jit, vmap over
100 images, lax.scan over chunks of samples, logsumexp in the carry, at the chunk size that is
best for it. The same parameters (mnist_vae after one epoch), the same test images. CPU.

Command:  python experiments/benchmarks/likelihood.py
Expected: vaejax/hand >= 0.9
Measured: see likelihood.json
"""

import dataclasses
import time

import common
import jax
import jax.numpy as jnp
import numpy as np

from vaejax import experiment
from vaejax.data import Dataset
from vaejax.evaluation import Evaluate, Run
from vaejax.evaluation.evaluate import evaluate
from vaejax.experiment.loading import run_of
from vaejax.run_directory import RunDirectory

SAMPLES, BATCH, LATENT = 5000, 100, 50
CHUNKS = (10, 25, 50, 100, 250, 500)  # samples of each image in one pass of the decoder
REPETITIONS = 9


def trained_for_an_epoch(dataset: Dataset) -> Run:
    """mnist_vae, without files."""
    file = experiment.load(common.HERE.parent / "mnist_vae.py")
    run = run_of(RunDirectory(common.HERE), file, file.config, 0, dataset.summary, dataset)
    trainer = common.trainer(run.build(), dataset)
    for report in trainer.run(*trainer.start([jax.random.key(0)])):
        if report.end_of_epoch:
            break
    params = jax.tree.map(lambda leaf: leaf[0], report.states.params)
    return dataclasses.replace(
        run, load_dataset=lambda: dataset, load_params=lambda: (params, report.step, "last")
    )


def by_hand(params, chunk: int):
    """(key, images) -> log 1/K sum_k p(x, z_k) / q(z_k | x) of each."""
    encoder, decoder = (
        [tuple(layer[k] for k in ("kernel", "bias")) for _, layer in sorted(p["params"].items())]
        for p in (params.inference["network"], params.generative["decoder"])
    )
    start = params.inference["start"]  # to which the encoder's output is added

    def mlp(layers, h):
        *hidden, (w, b) = layers
        for hidden_w, hidden_b in hidden:
            h = jnp.tanh(h @ hidden_w + hidden_b)
        return h @ w + b

    def one(encoder, start, decoder, key, x):
        log_scale, mean = jnp.split(mlp(encoder, x), 2)
        log_scale, mean = start["log_scale"] + log_scale, start["mean"] + mean

        def body(total, key):
            noise = jax.random.normal(key, (chunk, LATENT))
            z = mean + jnp.exp(log_scale) * noise
            logits = mlp(decoder, z)
            log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)
            log_w = log_likelihood + jnp.sum(0.5 * (noise**2 - z**2) + log_scale, axis=-1)
            return jnp.logaddexp(total, jax.nn.logsumexp(log_w)), None

        keys = jax.random.split(key, SAMPLES // chunk)
        return jax.lax.scan(body, -jnp.inf, keys)[0] - jnp.log(SAMPLES)

    @jax.jit
    def batch(encoder, start, decoder, key, xs):
        xs = xs.reshape(len(xs), -1).astype(jnp.float32)
        keys = jax.random.split(key, BATCH)
        return jax.vmap(one, (None, None, None, 0, 0))(encoder, start, decoder, keys, xs)

    return lambda key, xs: np.asarray(batch(encoder, start, decoder, key, xs))


def best_chunk(params, xs) -> tuple[int, dict[str, float]]:
    runs, key = {chunk: by_hand(params, chunk) for chunk in CHUNKS}, jax.random.key(1)
    for run in runs.values():
        run(key, xs)

    def timed(run):
        run(key, xs)
        return BATCH

    rates, _ = common.interleave({c: lambda run=run: timed(run) for c, run in runs.items()}, 3)
    medians = {chunk: round(float(np.median(rate)), 2) for chunk, rate in rates.items()}
    return max(medians, key=medians.get), {str(c): rate for c, rate in medians.items()}


def main() -> None:
    dataset = common.load_data()
    trained = trained_for_an_epoch(dataset)
    images = trained.examples("test", BATCH).x
    chunk, chunks = best_chunk(trained.params, images)
    print(f"hand-written, images/s by chunk: {chunks}")
    run = by_hand(trained.params, chunk)
    settings = Evaluate(examples=(5 * REPETITIONS + 2) * BATCH, num_samples=SAMPLES)
    bounds = evaluate(trained, settings)[0].blocks({}, lambda cost: True)  # BATCH at a time
    ours = float(next(bounds)["iwae"].mean())  # which compiles
    theirs = float(run(jax.random.key(2), images).mean())
    print(f"mean log p(x), nats: vaejax {ours:.2f}, hand {theirs:.2f}")
    assert abs(ours - theirs) < 0.5, "they do not estimate the same thing"

    rates: dict[str, list[float]] = {"vaejax": [], "hand": []}
    shares: list[float] = []
    while not common.enough(shares, REPETITIONS):
        others, started = common.Others(), time.perf_counter()
        next(bounds)
        between = time.perf_counter()
        run(jax.random.key(3 + len(shares)), images)
        rates["vaejax"].append(BATCH / (between - started))
        rates["hand"].append(BATCH / (time.perf_counter() - between))
        shares.append(others.share())
    keep = common.quietest(shares, REPETITIONS)
    summary = common.summarize(
        {name: np.array(values)[keep] for name, values in rates.items()},
        max(np.take(shares, keep)),
        "vaejax",
        {"hand": 0.9},
    )
    common.show(f"IWAE-{SAMPLES}, {BATCH} images at a time", "images/s", summary)
    results = {
        "unit": "images/s",
        **summary,
        "hand_chunk": chunk,
        "hand_by_chunk": chunks,
        "mean_log_p": {"vaejax": round(ours, 3), "hand": round(theirs, 3)},
    }
    common.write("likelihood", dataset.name, results)


if __name__ == "__main__":
    main()
