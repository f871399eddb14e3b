"""Message passing in a linear-Gaussian chain: one step after another, or parallel in time.

Of chains with d = 5 and full potentials, T = 100, 1,000, 10,000, batch 1 and 32: the smoothing pass
(steps, moments and KL of q(z)), and its gradient by all arrays. float32. Median of 9 calls of a
compiled program, each waited for; of fewer where they would take above a minute, as `n` says. The
two orders of each shape are interleaved. Printed as JSON, with the largest difference of the means
and KLs between both orders.

Command:  python experiments/benchmarks/linear_chain.py [--short]    (on CPU or GPU)
          with --short of at most 3,200 steps in all, which two cores do in minutes
Measured: see linear_chain.json. T = 1,000, batch 1, forward: 87.3 ms in sequence and 2.5 ms in
parallel on an H100; on two shared CPU cores the parallel pass is no faster (102 and 118 ms)
"""

import json
import os
import platform
import statistics
import sys
import time

import jax
import jax.numpy as jnp

from vaejax.distributions.linear_messages import Steps, smooth

DIMENSIONS, REPETITIONS, LIMIT = 5, 9, 60.0  # seconds
LENGTHS, BATCHES = (100, 1000, 10000), (1, 32)
DIRECTIONS = {"sequential": False, "parallel": True}


def chain(key, length: int, batch: int):
    """(steps, h, J): stable rotations, noise of 0.1, potentials worth one to ten observations."""
    d = DIMENSIONS
    keys = jax.random.split(key, 4)
    rotation = jnp.linalg.qr(jax.random.normal(keys[0], (batch, length, d, d)))[0]
    factor = jnp.broadcast_to(0.1 * jnp.eye(d), (batch, length, d, d))
    b = 0.1 * jax.random.normal(keys[1], (batch, length, d))
    W = jax.random.normal(keys[2], (batch, length, d, d))
    h = jax.random.normal(keys[3], (batch, length, d))
    return Steps(0.95 * rotation, b, factor), h, W @ jnp.swapaxes(W, -1, -2)


def programs(parallel: bool):
    """name -> a compiled function of (steps, h, J)."""

    def one(*inputs):
        return smooth(*inputs, parallel=parallel)

    def total(inputs):
        found = jax.vmap(one)(*inputs)
        return jnp.sum(found.kl) + jnp.sum(found.moments.mean**2)

    return {
        "forward": jax.jit(lambda inputs: jax.vmap(one)(*inputs)),
        "gradient": jax.jit(jax.grad(total)),
    }


def seconds(program, inputs) -> float:
    start = time.perf_counter()
    jax.block_until_ready(program(inputs))
    return time.perf_counter() - start


def measure(length: int, batch: int) -> list[dict]:
    inputs = jax.block_until_ready(chain(jax.random.key(0), length, batch))
    both = {name: programs(parallel) for name, parallel in DIRECTIONS.items()}
    values = {name: found["forward"](inputs) for name, found in both.items()}
    mean = [found.moments.mean for found in values.values()]
    kl = [jnp.sum(found.kl, axis=1) for found in values.values()]
    rows = []
    for part in ("forward", "gradient"):
        times: dict[str, list[float]] = {name: [] for name in both}
        for found in both.values():
            seconds(found[part], inputs)  # which compiles it
        begin = time.perf_counter()
        for _ in range(REPETITIONS):
            for name, found in both.items():
                times[name].append(seconds(found[part], inputs))
            if time.perf_counter() - begin > LIMIT:
                break
        milliseconds = {name: 1e3 * statistics.median(all) for name, all in times.items()}
        row = {"length": length, "batch": batch, "part": part, "n": len(times["parallel"])}
        row |= {f"{name} ms": round(value, 3) for name, value in milliseconds.items()}
        row["sequential/parallel"] = round(milliseconds["sequential"] / milliseconds["parallel"], 3)
        row["largest difference of means"] = float(jnp.max(jnp.abs(mean[0] - mean[1])))
        row["largest relative difference of KLs"] = float(jnp.max(jnp.abs(kl[0] / kl[1] - 1)))
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    shapes = [(n, batch) for n in LENGTHS for batch in BATCHES]
    if "--short" in sys.argv:
        shapes = [shape for shape in shapes if shape[0] * shape[1] <= 3200]
    rows = [row for shape in shapes for row in measure(*shape)]
    device = jax.devices()[0]
    protocol = {
        "device": device.device_kind if device.platform != "cpu" else platform.processor() or "cpu",
        "platform": device.platform,
        "cores": os.cpu_count(),
        "jax": jax.__version__,
        "dimensions": DIMENSIONS,
        "medians of at most": REPETITIONS,
        "dtype": "float32",
    }
    print(json.dumps({"protocol": protocol, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
