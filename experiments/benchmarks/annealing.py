"""Bidirectional gaps and cost of annealed importance sampling on a trained run, and of a plain AIS.

Of 100 images simulated from the run's model, 16 chains, 5 leapfrog steps: the gap between the
upper and the lower bound on log p(x), which bounds the error of both in expectation. vaejax starts
from q(z | x), places 500 temperatures by a pilot and moves in q's scales, tuned and then frozen.
The plain one (written out here) starts from p(z), temperatures in a line, HMC of one step size for
each chain that follows the acceptance while weighting, as scripts do: its bounds are not quite
bounds. Both spend the same gradient evaluations, the pilot's counted. Time: the same programs at
50 temperatures, interleaved with the bare batched gradient of the decoder's log density.

Command:  python experiments/benchmarks/annealing.py RUN    (a run of mnist_vae)
Expected: median gap <= 0.05, mean <= 0.2, every gap above 0.5 flagged; plain/vaejax gap >= 20;
          time of a gradient evaluation <= 1.5 of the bare one and no more than the plain one's
Measured: see annealing.json
"""

import functools
import sys
import time

import common
import jax
import jax.numpy as jnp
import numpy as np

import vaejax
from vaejax import marginal_likelihood as ml
from vaejax.marginal_likelihood.schedule import evaluations
from vaejax.sharding import over_examples

IMAGES, BATCH, CHAINS, LEAPFROG, TEMPERATURES = 100, 25, 16, 5, 500
TIMED_TEMPERATURES, REPETITIONS = 50, 7
KEY = jax.random.key(11)


def plain_transitions(temperatures: int) -> int:
    """Temperatures a direction of the plain AIS, so that it spends as much as vaejax does."""
    return cost(temperatures) // (2 * CHAINS * LEAPFROG)


def plain_ais(key, joint, x, starts, betas):
    """(log mean weight, its log weights) of chains from `starts` along `betas`."""

    def log_density(z, beta):
        return joint.prior.log_prob(z) + beta * joint.likelihood(z).log_prob(x)

    def chain(key, z):
        def step(carry, inputs):
            z, log_w, size = carry
            index, before, beta = inputs
            log_w = log_w + (beta - before) * joint.likelihood(z).log_prob(x)
            gradient = jax.grad(log_density)
            momentum_key, accept_key = jax.random.split(jax.random.fold_in(key, index))
            first = jax.random.normal(momentum_key, z.shape)
            energy = log_density(z, beta) - 0.5 * jnp.sum(first**2)
            momentum, place = first + 0.5 * size * gradient(z, beta), z

            def leap(carry, _):
                place, momentum = carry
                place = place + size * momentum
                return (place, momentum + size * gradient(place, beta)), None

            (place, momentum), _ = jax.lax.scan(leap, (place, momentum), None, LEAPFROG - 1)
            place = place + size * momentum
            momentum = momentum + 0.5 * size * gradient(place, beta)
            change = log_density(place, beta) - 0.5 * jnp.sum(momentum**2) - energy
            accepted = jnp.log(jax.random.uniform(accept_key)) < change
            z = jnp.where(accepted, place, z)
            size = jnp.clip(size * jnp.where(accepted, 1.02, 0.96), 1e-4, 1.0)
            return (z, log_w, size), None

        inputs = jnp.arange(len(betas) - 1), betas[:-1], betas[1:]
        (_, log_w, _), _ = jax.lax.scan(step, (z, jnp.zeros(()), jnp.full((), 0.1)), inputs)
        return log_w

    return jax.vmap(chain)(jax.random.split(key, len(starts)), starts)


def programs(generative, inference, temperatures: int):
    """The two samplers of one simulated image: (params, index, _) -> gap and what goes with it."""

    def simulated(params, index):
        joint = generative.joint(params.generative)
        data_key, chain_key = jax.random.split(jax.random.fold_in(KEY, index))
        z, x = joint.sample(data_key)
        return joint, z, x, chain_key

    def ours(params, index, _):
        joint, z, x, key = simulated(params, index)
        q = inference.posterior(params.inference, x, joint)
        settings = {"num_chains": CHAINS, "num_leapfrog": LEAPFROG}
        return ml.sandwich(key, joint, z, x, q, num_temperatures=temperatures, **settings)

    def plain(params, index, _):
        joint, z, x, key = simulated(params, index)
        start_key, up_key, down_key = jax.random.split(key, 3)
        betas = jnp.linspace(0.0, 1.0, plain_transitions(temperatures) + 1)
        starts = jax.vmap(lambda key: joint.prior.sample(seed=key))(
            jax.random.split(start_key, CHAINS)
        )
        lower = plain_ais(up_key, joint, x, starts, betas)
        exact = jnp.broadcast_to(z, (CHAINS, *z.shape))
        upper = plain_ais(down_key, joint, x, exact, betas[::-1])
        mean = functools.partial(jax.nn.logsumexp, b=1 / CHAINS)
        return {"gap": -mean(upper) - mean(lower)}

    def bare(params, index, count):
        """`count` gradients of the decoder's log density at CHAINS places, one after another."""
        joint, z, x, _ = simulated(params, index)
        gradient = jax.vmap(jax.grad(lambda z: joint.likelihood(z).log_prob(x)))
        places = jnp.broadcast_to(z, (CHAINS, *z.shape))

        def step(places, _):
            return places + 1e-6 * gradient(places), None

        return jax.lax.scan(step, places, None, cost(temperatures) // CHAINS)[0]

    return {"vaejax": ours, "plain": plain, "bare gradient": bare}


def cost(temperatures: int) -> int:
    """Gradient evaluations that one image costs vaejax."""
    return evaluations(CHAINS, temperatures, LEAPFROG, annealings=2)


def gaps(program, params) -> tuple[np.ndarray, dict | None, float]:
    run = over_examples(program, BATCH)
    started, parts = time.perf_counter(), []
    for first in range(0, IMAGES, BATCH):
        parts.append(run(params, np.arange(first, first + BATCH), np.zeros((BATCH, 1), np.float32)))
        print(f"{first + BATCH}/{IMAGES}", end=" ", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    found = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    seconds = time.perf_counter() - started
    if isinstance(found, dict):
        return found["gap"], None, seconds
    estimates = ml.Estimates(**found._asdict(), method="sandwich")
    return found.diagnostics["gap"], estimates.summary(), seconds


def described(gap: np.ndarray) -> dict:
    return {
        "median": round(float(np.median(gap)), 4),
        "mean": round(float(gap.mean()), 4),
        "std_error": round(float(gap.std(ddof=1) / np.sqrt(len(gap))), 4),
        "max": round(float(gap.max()), 3),
        "above_0.5": np.flatnonzero(gap > 0.5).tolist(),
    }


def main() -> None:
    if len(sys.argv) != 2:
        print("usage: python experiments/benchmarks/annealing.py RUN", file=sys.stderr)
        sys.exit(2)
    trained = vaejax.load(sys.argv[1])
    params, generative, inference = trained.params, trained.generative, trained.inference

    timed = {}
    work = BATCH * cost(TIMED_TEMPERATURES)
    for name, program in programs(generative, inference, TIMED_TEMPERATURES).items():
        run = over_examples(program, BATCH)

        def once(run=run):
            run(params, np.arange(BATCH), np.zeros((BATCH, 1), np.float32))
            return work

        once()
        timed[name] = once
    figures = {"plain": 1.0, "bare gradient": round(1 / 1.5, 3)}
    rates, others = common.interleave(timed, REPETITIONS)
    summary = common.summarize(rates, others, "vaejax", figures)
    common.show("gradient evaluations", "a second", summary)

    both = programs(generative, inference, TEMPERATURES)
    ours, flagged, seconds = gaps(both["vaejax"], params)
    print(f"vaejax: {described(ours)} {seconds:.0f} s", flush=True)
    plain, _, plain_seconds = gaps(both["plain"], params)
    print(f"plain:  {described(plain)} {plain_seconds:.0f} s", flush=True)
    ratio = float(np.median(plain) / np.median(ours))
    results = {
        "images": IMAGES,
        "chains": CHAINS,
        "leapfrog": LEAPFROG,
        "temperatures": TEMPERATURES,
        "gradient_evaluations_an_image": cost(TEMPERATURES),
        "gap": described(ours),
        "flagged": flagged and flagged["flags"],
        "plain_gap": described(plain),
        "ratio_of_median_gaps": round(ratio, 1),
        "seconds": {"vaejax": round(seconds), "plain": round(plain_seconds)},
        "timed": {"unit": "gradient evaluations/s", **summary},
    }
    common.write("annealing", f"simulated from {trained.directory.name}", results)


if __name__ == "__main__":
    main()
