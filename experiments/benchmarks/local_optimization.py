"""q optimized for each of 1,000 MNIST images: one compiled program against a loop over images,
and against the bare gradient.

The decoder is that of mnist_vae, untrained (its arithmetic is the same); Adam, one draw a step.
`vaejax` is `fit_variational` of all images at once; `loop` a Python loop over images and steps,
each step compiled (gradient and Adam); `compiled loop` `fit_variational` compiled for one image
with all its steps, called again and again; `bare gradient` the gradient of the same ELBO of all
images, followed by nothing but a small step, in the same scan. All in image-steps a second, without
compilation; both loops are timed on 10 images. CPU.

Command:  python experiments/benchmarks/local_optimization.py
Expected: vaejax/loop >= 10, vaejax/bare gradient >= 0.5
Measured: see local_optimization.json
"""

import common
import jax
import jax.numpy as jnp
import optax

from vaejax import inference
from vaejax.objectives import elbo

IMAGES, ALONE, STEPS, REPETITIONS = 1000, 10, 200, 7


def main() -> None:
    dataset = common.load_data()
    model = common.build("mnist_vae", dataset).generative
    joint = model.joint(model.init(jax.random.key(0)))
    family = inference.diagonal_gaussian(50)
    xs = jnp.asarray(dataset.split("test")[:IMAGES], jnp.float32)
    keys = jax.random.split(jax.random.key(1), IMAGES)

    def fit(key, x):
        # A fit of so few steps does not converge before their end: two windows of 100.
        return inference.fit_variational(
            key, family, joint, x, max_steps=STEPS, num_final_samples=1
        )

    together, alone = jax.jit(jax.vmap(fit)), jax.jit(fit)

    @jax.jit
    def bare(keys, xs):
        def bound(variational, key, x):
            return elbo(key, family.distribution(variational), joint, x).value

        def step(variational, index):
            step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
            gradient = jax.vmap(jax.grad(bound))(variational, step_keys, xs)
            return jax.tree.map(lambda v, g: v + 1e-3 * g, variational, gradient), None

        start = jax.vmap(family.init)(keys)
        return jax.lax.scan(step, start, jnp.arange(STEPS))[0]

    def all_at_once():
        _, trace = jax.block_until_ready(together(keys, xs))
        return float(trace.steps.sum())

    def one_by_one():
        for key, x in zip(keys[:ALONE], xs[:ALONE], strict=True):
            jax.block_until_ready(alone(key, x))
        return float(ALONE * STEPS)

    adam = optax.adam(0.1)

    @jax.jit
    def one_step(variational, state, key, x):
        def loss(variational):
            return -elbo(key, family.distribution(variational), joint, x).value

        updates, state = adam.update(jax.grad(loss)(variational), state)
        return optax.apply_updates(variational, updates), state

    def step_by_step():
        for key, x in zip(keys[:ALONE], xs[:ALONE], strict=True):
            variational = family.init(key)
            state = adam.init(variational)
            for step_key in jax.random.split(key, STEPS):
                variational, state = one_step(variational, state, step_key, x)
            jax.block_until_ready(variational)
        return float(ALONE * STEPS)

    def gradient_alone():
        jax.block_until_ready(bare(keys, xs))
        return float(IMAGES * STEPS)

    runs = {
        "vaejax": all_at_once,
        "loop": step_by_step,
        "compiled loop": one_by_one,
        "bare gradient": gradient_alone,
    }
    for run in runs.values():
        run()
    rates, others = common.interleave(runs, REPETITIONS)
    summary = common.summarize(rates, others, "vaejax", {"loop": 10.0, "bare gradient": 0.5})
    common.show("image-steps of local optimization", "image-steps/s", summary)
    content = {"images": IMAGES, "steps": STEPS, "unit": "image-steps/s", **summary}
    common.write("local_optimization", dataset.name, content)


if __name__ == "__main__":
    main()
