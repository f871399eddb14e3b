"""Training steps per second, against hand-written JAX, NumPyro and PyTorch, in one process.

One model for all: 784-200-200-50 tanh VAE on MNIST, batch 100, binarized again at every step,
Adam 1e-3, Glorot-uniform weights, output bias at the data's mean logit; K = 1 (ELBO, analytic KL)
and K = 50 (IWAE). CPU. vaejax is the Trainer on the experiment files as the command line runs
them, without validation and checkpoints. Every contestant draws its own order of the epoch and
its losses reach the host. PyTorch is eager, with the number of threads that is best for it. Before
anything is timed, all must have come to the same loss.

Command:  python experiments/benchmarks/training.py
Expected: vaejax/NumPyro >= 1.0; vaejax/PyTorch >= 2.5 (K = 1), 1.8 (K = 50); vaejax/hand >= 0.95
Measured: see training.json
"""

import itertools
import os
import sys
from collections.abc import Iterator
from functools import partial

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax

try:
    import numpyro
    import numpyro.distributions as dist
    import torch
    from numpyro.infer import SVI, RenyiELBO, TraceMeanField_ELBO
    from torch.nn import functional
except ImportError:
    print("needs NumPyro and PyTorch: pip install 'vaejax[benchmarks]'", file=sys.stderr)
    sys.exit(2)

BATCH, LATENT, HIDDEN, PIXELS = common.BATCH, 50, 200, 784
STEPS = {1: 500, 50: 32}  # by K, in one repetition
WARM_UP = {1: 2, 50: 3}  # repetitions before the first that is timed
REPETITIONS = 9
FIGURES = {
    1: {"NumPyro": 1.0, "PyTorch": 2.5, "hand": 0.95},
    50: {"NumPyro": 1.0, "PyTorch": 1.8, "hand": 0.95},
}
Losses = Iterator[np.ndarray]  # of the steps of each repetition


def with_vaejax(dataset, k: int, steps: int) -> Losses:
    name, objective = ("mnist_vae", {}) if k == 1 else ("mnist_iwae", {"num_samples": k})
    trainer = common.trainer(common.build(name, dataset, **objective), dataset)
    reports = trainer.run(*trainer.start([jax.random.key(0)]))
    while True:
        losses = np.empty(0)
        while len(losses) < steps:
            losses = np.append(losses, -next(reports).terms.value[0])
        yield losses


def by_hand(dataset, k: int, steps: int) -> Losses:
    """JAX and optax alone."""
    glorot = jax.nn.initializers.glorot_uniform()
    data = jnp.asarray(dataset.train.reshape(-1, PIXELS))

    def init_mlp(key, sizes):
        keys = jax.random.split(key, len(sizes) - 1)
        shapes = zip(keys, sizes[:-1], sizes[1:], strict=True)
        return [(glorot(key, (n, m)), jnp.zeros(m)) for key, n, m in shapes]

    def mlp(layers, h):
        *hidden, (w, b) = layers
        for hidden_w, hidden_b in hidden:
            h = jnp.tanh(h @ hidden_w + hidden_b)
        return h @ w + b

    def loss(params, key, x):
        mean, log_scale = jnp.split(mlp(params["encoder"], x), 2, axis=-1)
        noise = jax.random.normal(key, (k, BATCH, LATENT))
        z = mean + jnp.exp(log_scale) * noise
        logits = mlp(params["decoder"], z)
        log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)
        if k == 1:
            kl = 0.5 * jnp.sum(jnp.exp(2 * log_scale) + mean**2 - 1 - 2 * log_scale, axis=-1)
            return jnp.mean(kl - log_likelihood)
        log_ratio = jnp.sum(0.5 * (noise**2 - z**2) + log_scale, axis=-1)
        return -jnp.mean(jax.nn.logsumexp(log_likelihood + log_ratio, axis=0) - jnp.log(k))

    optimizer = optax.adam(1e-3)

    def step(state, indices, data):
        params, optimizer_state, key = state
        key, binarize_key, noise_key = jax.random.split(key, 3)
        x = jax.random.bernoulli(binarize_key, data[indices] / 255.0).astype(jnp.float32)
        value, gradient = jax.value_and_grad(loss)(params, noise_key, x)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state)
        return (optax.apply_updates(params, updates), optimizer_state, key), value

    @partial(jax.jit, donate_argnums=0)
    def run(state, indices, data):
        return jax.lax.scan(lambda state, i: step(state, i, data), state, indices)

    encoder_key, decoder_key, order_key, key = jax.random.split(jax.random.key(1), 4)
    params = {
        "encoder": init_mlp(encoder_key, (PIXELS, HIDDEN, HIDDEN, 2 * LATENT)),
        "decoder": init_mlp(decoder_key, (LATENT, HIDDEN, HIDDEN, PIXELS)),
    }
    w, _ = params["decoder"][-1]
    params["decoder"][-1] = (w, jnp.asarray(mean_logit(dataset)))
    state = params, optimizer.init(params), key
    for indices in orders_in_jax(order_key, len(data), steps):
        state, losses = run(state, indices, data)
        yield np.asarray(losses)


def with_numpyro(dataset, k: int, steps: int) -> Losses:
    """SVI: update inside lax.scan, the batch in a plate."""
    from jax.example_libraries import stax

    data = jnp.asarray(dataset.train.reshape(-1, PIXELS))
    dense = partial(stax.Dense, W_init=jax.nn.initializers.glorot_uniform())
    zeros = jax.nn.initializers.zeros
    hidden = [dense(HIDDEN, b_init=zeros), stax.Tanh, dense(HIDDEN, b_init=zeros), stax.Tanh]
    encoder = stax.serial(*hidden, dense(2 * LATENT, b_init=zeros))
    bias = jnp.asarray(mean_logit(dataset))
    decoder = stax.serial(*hidden, dense(PIXELS, b_init=lambda key, shape: bias))

    def model(x):
        decode = numpyro.module("decoder", decoder, (BATCH, LATENT))
        with numpyro.plate("batch", BATCH):
            z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT), 1.0).to_event(1))
            numpyro.sample("x", dist.BernoulliLogits(decode(z)).to_event(1), obs=x)

    def guide(x):
        encode = numpyro.module("encoder", encoder, (BATCH, PIXELS))
        mean, log_scale = jnp.split(encode(x), 2, axis=-1)
        with numpyro.plate("batch", BATCH):
            numpyro.sample("z", dist.Normal(mean, jnp.exp(log_scale)).to_event(1))

    bound = TraceMeanField_ELBO() if k == 1 else RenyiELBO(alpha=0, num_particles=k)
    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), bound)

    def step(state, indices, data):
        svi_state, key = state
        key, binarize_key = jax.random.split(key)
        x = jax.random.bernoulli(binarize_key, data[indices] / 255.0).astype(jnp.float32)
        svi_state, loss = svi.update(svi_state, x)
        return (svi_state, key), loss / BATCH

    @partial(jax.jit, donate_argnums=0)
    def run(state, indices, data):
        return jax.lax.scan(lambda state, i: step(state, i, data), state, indices)

    init_key, order_key, key = jax.random.split(jax.random.key(2), 3)
    state = jax.jit(svi.init)(init_key, jnp.zeros((BATCH, PIXELS))), key
    for indices in orders_in_jax(order_key, len(data), steps):
        state, losses = run(state, indices, data)
        yield np.asarray(losses)


def with_pytorch(dataset, k: int, steps: int, threads: int) -> Losses:
    """Eager."""
    torch.manual_seed(3)
    data = torch.from_numpy(np.ascontiguousarray(dataset.train.reshape(-1, PIXELS)))

    def mlp(*sizes):
        layers = []
        for n, m in itertools.pairwise(sizes):
            linear = torch.nn.Linear(n, m)
            torch.nn.init.xavier_uniform_(linear.weight)
            torch.nn.init.zeros_(linear.bias)
            layers += [linear, torch.nn.Tanh()]
        return torch.nn.Sequential(*layers[:-1])

    encoder = mlp(PIXELS, HIDDEN, HIDDEN, 2 * LATENT)
    decoder = mlp(LATENT, HIDDEN, HIDDEN, PIXELS)
    with torch.no_grad():
        decoder[-1].bias.copy_(torch.from_numpy(mean_logit(dataset)))
    # The fused update is the fastest of PyTorch's three.
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True
    )

    def step(indices):
        x = torch.bernoulli(data[indices] / 255.0)
        mean, log_scale = encoder(x).chunk(2, dim=-1)
        noise = torch.randn((BATCH, LATENT) if k == 1 else (k, BATCH, LATENT))
        z = mean + log_scale.exp() * noise
        logits = decoder(z)
        log_likelihood = -functional.binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        ).sum(-1)
        if k == 1:
            kl = 0.5 * ((2 * log_scale).exp() + mean**2 - 1 - 2 * log_scale).sum(-1)
            loss = (kl - log_likelihood).mean()
        else:
            log_ratio = (0.5 * (noise**2 - z**2) + log_scale).sum(-1)
            loss = -((log_likelihood + log_ratio).logsumexp(0) - np.log(k)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    while True:
        for indices in chunks(torch.randperm(len(data)), steps):
            torch.set_num_threads(threads)
            yield torch.stack([step(i) for i in indices]).numpy()


def mean_logit(dataset) -> np.ndarray:
    mean = np.clip(dataset.summary.mean.reshape(-1), 0.001, 0.999)
    return np.log(mean / (1 - mean)).astype(np.float32)


def chunks(order, steps: int):
    """An epoch's order -> the indices of each repetition: (steps, batch)."""
    count = len(order) // (steps * BATCH)
    return order[: count * steps * BATCH].reshape(count, steps, BATCH)


def orders_in_jax(key, n: int, steps: int):
    permutation = jax.jit(lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), n))
    for epoch in itertools.count():
        yield from chunks(permutation(epoch), steps)


def best_threads(dataset, k: int) -> tuple[int, dict[int, float]]:
    """PyTorch's: on few cores one thread can be many times faster than two."""

    def run(losses):
        return lambda: len(next(losses))

    runs = {
        threads: run(with_pytorch(dataset, k, STEPS[k] // 8, threads))
        for threads in sorted({1, os.cpu_count() or 1})
    }
    for warm_up in runs.values():
        warm_up()
    rates, _ = common.interleave(runs, 3)
    medians = {threads: round(float(np.median(rate)), 2) for threads, rate in rates.items()}
    return max(medians, key=medians.get), medians


def check(losses: dict[str, np.ndarray], tolerance: float) -> dict[str, float]:
    """The same work gives the same loss: the mean over a repetition, of each."""
    means = {name: float(np.mean(values)) for name, values in losses.items()}
    print("loss: " + ", ".join(f"{n} {v:.2f}" for n, v in means.items()), file=sys.stderr)
    middle = np.median(list(means.values()))
    for name, mean in means.items():
        assert abs(mean / middle - 1) < tolerance, f"{name} does something else: {means}"
    return means


def compare(dataset, k: int) -> dict:
    threads, by_threads = best_threads(dataset, k)
    runs = {
        "vaejax": with_vaejax(dataset, k, STEPS[k]),
        "hand": by_hand(dataset, k, STEPS[k]),
        "NumPyro": with_numpyro(dataset, k, STEPS[k]),
        "PyTorch": with_pytorch(dataset, k, STEPS[k], threads),
    }
    last = {}

    def repetition(name):
        last[name] = next(runs[name])
        return len(last[name])

    for _ in range(WARM_UP[k]):
        for name in runs:
            repetition(name)
    check(last, 0.03)
    rates, others = common.interleave(
        {name: partial(repetition, name) for name in runs}, REPETITIONS
    )
    losses = check(last, 0.03)
    losses = {name: round(loss, 2) for name, loss in losses.items()}
    return common.summarize(rates, others, "vaejax", FIGURES[k]) | {
        "loss_of_last_repetition": losses,
        "pytorch_threads": threads,
        "pytorch_by_threads": by_threads,
    }


def main() -> None:
    dataset = common.load_data()
    results: dict = {"unit": "steps/s", "numpyro": numpyro.__version__, "torch": torch.__version__}
    for k in STEPS:
        results[f"K={k}"] = compare(dataset, k)
        common.show(f"K = {k}, batch {BATCH}", "steps/s", results[f"K={k}"])
    common.write("training", dataset.name, results)


if __name__ == "__main__":
    main()
