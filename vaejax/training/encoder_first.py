"""Updates of the encoder alone before each step, in the first epochs (He et al. 2019)."""

import jax
import jax.numpy as jnp
import optax

from vaejax.training.update import Loss, Update, gradient_update
from vaejax.types import check_counts


def encoder_first(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    encoder_optimizer: optax.GradientTransformation,
    *,
    encoder_steps: int,
    first_steps: int,
) -> Update:
    """`gradient_update`; before each of the first `first_steps` steps, it makes `encoder_steps`
    updates of phi alone, each on another batch, drawn from all training examples.

    Raises:
      ValueError: encoder_steps or first_steps is below 1.
    """
    check_counts("encoder_first", encoder_steps=encoder_steps, first_steps=first_steps)
    usual = gradient_update(loss, optimizer)

    def init(params):
        return usual.init(params), encoder_optimizer.init(params.inference)

    def step(key, params, state, examples, draw_batch, step):
        usual_state, encoder_state = state
        encoder_key, key = jax.random.split(key)

        def encoder_step(index, carry):
            phi, encoder_state = carry
            batch_key, loss_key = jax.random.split(jax.random.fold_in(encoder_key, index))
            batch = draw_batch(batch_key)

            def encoder_loss(phi):
                return loss(params._replace(inference=phi), loss_key, batch, step)[0]

            updates, encoder_state = encoder_optimizer.update(
                jax.grad(encoder_loss)(phi), encoder_state, phi
            )
            return optax.apply_updates(phi, updates), encoder_state

        # A loop of no rounds costs nothing, even under `vmap` over seeds; a `cond` would.
        rounds = jnp.where(step < first_steps, encoder_steps, 0)
        phi, encoder_state = jax.lax.fori_loop(
            0, rounds, encoder_step, (params.inference, encoder_state)
        )
        params, usual_state, terms = usual.step(
            key, params._replace(inference=phi), usual_state, examples, draw_batch, step
        )
        return params, (usual_state, encoder_state), terms

    return Update(init, step, 1 + encoder_steps)
