"""Training on arrays in memory, without data sets or files."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from vaejax.training.checks import check_examples, check_model
from vaejax.training.loop import NonFiniteLoss
from vaejax.training.state import init_state
from vaejax.training.step import epoch_order, loss_of, make_steps
from vaejax.training.terms import Objective, objective_terms
from vaejax.training.update import gradient_update
from vaejax.types import (
    Example,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Params,
    check_key,
    num_rows,
)


def fit(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    objective: Objective,
    data: Any,
    *,
    num_steps: int,
    batch_size: int = 100,
    optimizer: optax.GradientTransformation | None = None,
) -> tuple[Params, Float[Array, " steps"]]:
    """Train p(x, z) and q(z | x).

    Args:
      generative: p(x, z).
      inference: q(z | x); `inference.no_latent()` for a model without a z.
      objective: (key, q, joint, x, step) -> Terms, for one example.
      data: an `Example`, or x only: any pytree, with examples along the first axis of every array;
        dtypes are kept.
      num_steps: number of gradient steps; each uses `batch_size` examples, in a new order every
        epoch.
      optimizer: an optax optimizer; by default Adam with learning rate 1e-3.

    Returns:
      The parameters, and the objective at each step (mean over the batch, in nats).

    Raises:
      NonFiniteLoss: the loss became NaN or infinite. If one example is the cause, it is named.
      ValueError: num_steps or batch_size is out of range; shapes of p, q, x and the objective do
        not fit together; arrays differ in their number of examples; the steps of a sequence that
        exist are not its first ones; x is outside the support of p(x | z).
      TypeError: the likelihood is written with NumPy; the objective does not take such a q.

    Example:
      >>> import jax, vaejax
      >>> from vaejax import distributions, generative, inference, networks, objectives
      >>> prior, decoder = distributions.standard_normal(1), networks.MLP((8,), (4,))
      >>> model = generative.latent_variable_model(prior, decoder, distributions.Bernoulli)
      >>> q = inference.amortized(inference.diagonal_gaussian(1), networks.MLP((8,), (2,)), (4,))
      >>> objective = lambda key, q, joint, x, step: objectives.elbo(key, q, joint, x)
      >>> two = jax.numpy.array([[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
      >>> xs = jax.numpy.tile(two, (50, 1))
      >>> params, elbos = vaejax.fit(jax.random.key(0), model, q, objective, xs, num_steps=500)
      >>> bool(elbos[-1] > elbos[0] + 0.3)  # nats
      True
    """
    check_key("fit", key)
    examples = data if isinstance(data, Example) else Example(data)
    examples = jax.tree.map(jnp.asarray, examples)
    check_examples("fit", examples)
    n = num_rows(examples)
    if num_steps < 1 or not 1 <= batch_size <= n:
        raise ValueError(
            f"fit: expected num_steps of at least 1, and batch_size from 1 to {n} (the examples); "
            f"got {num_steps} and {batch_size}"
        )
    check_model("fit", generative, inference, objective, examples)
    loss = loss_of(objective_terms(generative, inference, objective))
    update = gradient_update(loss, optimizer or optax.adam(1e-3))
    state = init_state(key, generative, inference, update)
    per_epoch = n // batch_size
    orders = [epoch_order(state.key, epoch, n) for epoch in range(-(-num_steps // per_epoch))]
    order = jnp.concatenate([order[: per_epoch * batch_size] for order in orders])
    indices = order.reshape(-1, batch_size)[:num_steps]
    steps = make_steps(update, lambda key, stored: stored)
    state, (terms, broken) = jax.jit(steps)(state, indices, examples)
    finite = np.isfinite(np.asarray(terms.value))
    if not finite.all():
        step = int(np.argmin(finite))
        raise NonFiniteLoss(0, step, int(broken[step]))
    return state.params, terms.value
