"""Images per second of log p(x) by 5,000 importance samples, against a hand-written scan.

vaejax.evaluation.evaluate as the command line runs it (importance-weighted bound, its error, ESS,
k-hat, ELBO and its parts, codes) against JAX alone giving nothing but the bound: jit, vmap over
100 images, lax.scan over chunks of samples, logsumexp in the carry, at the chunk size that is
best for it. The same parameters (mnist_vae after one epoch), the same test images. CPU.

Command:  python experiments/benchmarks/likelihood.py
Expected: vaejax/hand >= 0.9
Measured: see likelihood.json
"""

import contextlib
import time
from functools import partial

import common
import jax
import jax.numpy as jnp
import numpy as np

from vaejax.evaluation import evaluate

SAMPLES, BATCH, LATENT = 5000, 100, 50
CHUNKS = (10, 25, 50, 100, 250, 500)  # samples of each image in one pass of the decoder
REPETITIONS = 9


class Enough(Exception):
    """Of timings."""


def by_hand(params, chunk: int):
    """(key, images) -> log 1/K sum_k p(x, z_k) / q(z_k | x) of each."""
    encoder, decoder = (
        [tuple(layer[k] for k in ("kernel", "bias")) for _, layer in sorted(p["params"].items())]
        for p in (params.inference, params.generative)
    )

    def mlp(layers, h):
        *hidden, (w, b) = layers
        for hidden_w, hidden_b in hidden:
            h = jnp.tanh(h @ hidden_w + hidden_b)
        return h @ w + b

    def one(encoder, decoder, key, x):
        log_scale, mean = jnp.split(mlp(encoder, x), 2)

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
    def batch(encoder, decoder, key, xs):
        xs = xs.reshape(len(xs), -1).astype(jnp.float32)
        return jax.vmap(one, (None, None, 0, 0))(encoder, decoder, jax.random.split(key, BATCH), xs)

    return lambda key, xs: np.asarray(batch(encoder, decoder, key, xs))


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
    pair = common.build("mnist_vae", dataset)
    trainer = common.trainer(pair, dataset)
    for report in trainer.run(*trainer.start([jax.random.key(0)])):
        if report.end_of_epoch:
            break
    params = jax.tree.map(lambda leaf: leaf[0], report.states.params)
    images = dataset.split("test")[: 6 * REPETITIONS * BATCH]
    chunk, chunks = best_chunk(params, images[:BATCH])
    print(f"hand-written, images/s by chunk: {chunks}")
    run = by_hand(params, chunk)
    measure = partial(
        evaluate, jax.random.key(0), pair.generative, pair.inference, params, num_samples=SAMPLES
    )
    ours = float(measure(images[:BATCH])["iwae"].mean())
    theirs = float(run(jax.random.key(2), images[:BATCH]).mean())
    print(f"mean log p(x), nats: vaejax {ours:.2f}, hand {theirs:.2f}")
    assert abs(ours - theirs) < 0.5, "they do not estimate the same thing"

    # evaluate calls `progress` after each batch: there the other takes its turn.
    rates: dict[str, list[float]] = {"vaejax": [], "hand": []}
    shares: list[float] = []
    started, others = float("nan"), None

    def progress(count):
        nonlocal started, others
        if others is not None:  # not the first batch, which compiles
            rates["vaejax"].append(count / (time.perf_counter() - started))
            begun = time.perf_counter()
            run(jax.random.key(3 + len(shares)), images[:BATCH])
            rates["hand"].append(count / (time.perf_counter() - begun))
            shares.append(others.share())
            if common.enough(shares, REPETITIONS):
                raise Enough
        started, others = time.perf_counter(), common.Others()

    with contextlib.suppress(Enough):
        measure(images, progress=progress)
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
