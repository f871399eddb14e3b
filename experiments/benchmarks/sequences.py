"""Training steps per second of the deep Markov model on JSB chorales, against NumPyro and a
hand-written scan, in one process.

One model for all, with the same modules: z of 32, a gated transition of 32, an emission of 100, a
GRU of 100 that reads backwards in time; batch 20, every sequence padded to the longest (160
frames), the ELBO with the KL of each step in closed form given the draw before, Adam 1e-3.
NumPyro's is the model of its own deep Markov example: `scan` in model and guide, whose KL is the
log ratio at the draw (`Trace_ELBO`). Random rolls replace JSB if it is not available. CPU.

Command:  python experiments/benchmarks/sequences.py
Expected: vaejax/NumPyro >= 1.0; vaejax/hand >= 0.95
Measured: see sequences.json
"""

import itertools
import sys
from functools import partial

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax

import vaejax
from vaejax import generative, inference, networks
from vaejax.distributions import Bernoulli
from vaejax.errors import UserError
from vaejax.objectives import elbo
from vaejax.training.state import init_state
from vaejax.training.step import loss_of, make_steps
from vaejax.training.terms import objective_terms
from vaejax.training.update import gradient_update
from vaejax.types import Conditions, Example

try:
    import numpyro
    import numpyro.distributions as dist
    from numpyro.contrib.control_flow import scan
    from numpyro.infer import SVI, Trace_ELBO
except ImportError:
    print("needs NumPyro: pip install 'vaejax[benchmarks]'", file=sys.stderr)
    sys.exit(2)

BATCH, LATENT, HIDDEN, KEYS, STEPS = 20, 32, 100, 88, 11
REPETITIONS = 9
TRANSITION = networks.GatedTransition(32)
EMISSION = networks.MLP((HIDDEN,), (KEYS,), jax.nn.relu)
EMBEDDING = networks.MLP((), (HIDDEN,), jax.nn.relu)
NOTHING = jnp.zeros(0)


def load() -> Example:
    try:
        return vaejax.data.load("jsb").stored("train")
    except UserError as error:
        print(f"random rolls in place of JSB: {error}", file=sys.stderr)
        random = np.random.default_rng(0)
        lengths = random.integers(25, 161, 229)
        x = random.binomial(1, 0.04, (229, 160, KEYS)).astype(np.uint8)
        exists = np.arange(160) < lengths[:, None]
        return Example(x * exists[..., None].astype(np.uint8), Conditions(exists))


def pair():
    p = generative.state_space_model(LATENT, TRANSITION, EMISSION, Bernoulli)
    return p, inference.sequence_posterior(LATENT, EMBEDDING, (KEYS,), HIDDEN)


def as_floats(key, stored: Example) -> Example:
    del key
    return stored._replace(x=stored.x.astype(jnp.float32))


def orders(n: int):
    random = np.random.default_rng(0)
    while True:
        yield random.permutation(n)[: STEPS * BATCH].reshape(STEPS, BATCH)


def with_vaejax(data: Example):
    p, q = pair()

    def objective(key, q, joint, x, step):
        del step
        return elbo(key, q, joint, x)

    update = gradient_update(loss_of(objective_terms(p, q, objective)), optax.adam(1e-3))
    state = init_state(jax.random.key(0), p, q, update)
    state = jax.tree.map(jnp.copy, state)
    run = jax.jit(make_steps(update, as_floats), donate_argnums=0)
    for indices in orders(len(data.x)):
        state, (terms, _) = run(state, jnp.asarray(indices), data)
        yield -np.asarray(terms.value)


def initial_parameters():
    p, q = pair()
    theta, phi = p.init(jax.random.key(0)), q.init(jax.random.key(1))
    return jax.tree.map(jnp.copy, {"theta": theta, "phi": phi})


def read_backwards(phi, x, exists):
    """(batch, time, hidden)."""
    marks = jnp.zeros((*x.shape[:2], 1))
    embedded = jax.vmap(jax.vmap(lambda frame: EMBEDDING.apply(phi["embedding"], frame)))(x)
    reader = networks.GRU(HIDDEN, backwards=True)
    inputs = jnp.concatenate([embedded, marks], axis=-1)
    return jax.vmap(lambda i, e: reader.apply(phi["readers"][0], i, e))(inputs, exists)


COMBINER = networks.Combiner(LATENT)


def by_hand(data: Example):
    """One scan over time for draws, KL and log p(x | z) alike; JAX and optax alone."""

    def loss(params, key, x, exists):
        theta, phi = params["theta"], params["phi"]
        summaries = read_backwards(phi, x, exists)
        noise = jax.random.normal(key, (x.shape[1], BATCH, LATENT))

        def gaussians(t_is_first, z, summary):
            mean, log_scale = COMBINER.apply(phi["combiner"], z, summary[:, None])
            p_mean, p_log_scale = TRANSITION.apply(theta["transition"], z, jnp.zeros((BATCH, 0)))
            first = theta["initial"]
            p_mean = jnp.where(t_is_first, first["mean"], p_mean)
            p_log_scale = jnp.where(t_is_first, first["log_scale"], p_log_scale)
            return mean, log_scale, p_mean, p_log_scale

        def step(z, inputs):
            t, summary, noise, x, exists = inputs
            mean, log_scale, p_mean, p_log_scale = gaussians(t == 0, z, summary)
            z = mean + jnp.exp(log_scale) * noise
            ratio = log_scale - p_log_scale
            away = (mean - p_mean) * jnp.exp(-p_log_scale)
            kl = jnp.sum(0.5 * (jnp.exp(2 * ratio) + away**2 - 1) - ratio, axis=-1)
            logits = jax.vmap(lambda z: EMISSION.apply(theta["emission"], z))(z)
            log_p = jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)
            return z, jnp.where(exists, kl - log_p, 0.0)

        start = jnp.broadcast_to(phi["start"], (BATCH, LATENT))
        along = (
            jnp.arange(x.shape[1]),
            summaries.swapaxes(0, 1),
            noise,
            x.swapaxes(0, 1),
            exists.T,
        )
        return jnp.mean(jnp.sum(jax.lax.scan(step, start, along)[1], axis=0))

    optimizer = optax.adam(1e-3)

    def one(state, indices, data):
        params, optimizer_state, key = state
        key, own = jax.random.split(key)
        x, exists = data.x[indices].astype(jnp.float32), data.given.exists[indices]
        value, gradient = jax.value_and_grad(loss)(params, own, x, exists)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state, key), value

    @partial(jax.jit, donate_argnums=0)
    def run(state, indices, data):
        return jax.lax.scan(lambda s, i: one(s, i, data), state, indices)

    params = initial_parameters()
    state = params, optimizer.init(params), jax.random.key(2)
    for indices in orders(len(data.x)):
        state, losses = run(state, jnp.asarray(indices), data)
        yield np.asarray(losses)


def with_numpyro(data: Example):
    start = initial_parameters()

    def normal(mean, log_scale):
        return dist.Normal(mean, jnp.exp(log_scale)).to_event(1)

    def model(x, exists):
        theta = numpyro.param("theta", start["theta"])

        def step(z, inputs):
            t, x, exists = inputs
            mean, log_scale = TRANSITION.apply(theta["transition"], z, jnp.zeros((BATCH, 0)))
            first = theta["initial"]
            mean = jnp.where(t == 0, first["mean"], mean)
            log_scale = jnp.where(t == 0, first["log_scale"], log_scale)
            with numpyro.plate("batch", BATCH), numpyro.handlers.mask(mask=exists):
                z = numpyro.sample("z", normal(mean, log_scale))
                logits = jax.vmap(lambda z: EMISSION.apply(theta["emission"], z))(z)
                numpyro.sample("x", dist.BernoulliLogits(logits).to_event(1), obs=x)
            return z, None

        along = jnp.arange(x.shape[1]), x.swapaxes(0, 1), exists.T
        scan(step, jnp.zeros((BATCH, LATENT)), along)

    def guide(x, exists):
        phi = numpyro.param("phi", start["phi"])
        summaries = read_backwards(phi, x, exists)

        def step(z, inputs):
            summary, exists = inputs
            mean, log_scale = COMBINER.apply(phi["combiner"], z, summary[:, None])
            with numpyro.plate("batch", BATCH), numpyro.handlers.mask(mask=exists):
                z = numpyro.sample("z", normal(mean, log_scale))
            return z, None

        begin = jnp.broadcast_to(phi["start"], (BATCH, LATENT))
        scan(step, begin, (summaries.swapaxes(0, 1), exists.T))

    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), Trace_ELBO())

    def one(state, indices, data):
        x, exists = data.x[indices].astype(jnp.float32), data.given.exists[indices]
        state, loss = svi.update(state, x, exists)
        return state, loss / BATCH

    @partial(jax.jit, donate_argnums=0)
    def run(state, indices, data):
        return jax.lax.scan(lambda s, i: one(s, i, data), state, indices)

    first = jax.tree.map(lambda leaf: leaf[:BATCH], data)
    state = svi.init(jax.random.key(3), first.x.astype(np.float32), first.given.exists)
    state = jax.tree.map(jnp.copy, state)
    for indices in orders(len(data.x)):
        state, losses = run(state, jnp.asarray(indices), data)
        yield np.asarray(losses)


def main() -> None:
    data = jax.tree.map(jnp.asarray, load())
    runs = {
        "vaejax": with_vaejax(data),
        "hand": by_hand(data),
        "NumPyro": with_numpyro(data),
    }
    losses = {}
    for name, run in runs.items():
        *_, losses[name] = itertools.islice(run, 8)
    means = {name: float(np.mean(values)) for name, values in losses.items()}
    print("loss: " + ", ".join(f"{n} {v:.1f}" for n, v in means.items()), file=sys.stderr)
    middle = np.median(list(means.values()))
    for name, mean in means.items():
        assert abs(mean / middle - 1) < 0.1, f"{name} does something else: {means}"
    timed = {name: lambda run=run: len(next(run)) for name, run in runs.items()}
    rates, others = common.interleave(timed, REPETITIONS)
    summary = common.summarize(rates, others, "vaejax", {"NumPyro": 1.0, "hand": 0.95})
    common.show("deep Markov model, JSB, batch 20", "steps/s", summary)
    common.write("sequences", "JSB chorales, train", {"losses": means, "training": summary})


if __name__ == "__main__":
    main()
