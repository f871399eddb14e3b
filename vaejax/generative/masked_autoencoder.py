"""p(x) = prod_i p(x_i | x_<i) by a masked network, with no latent variable: MADE."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vaejax.distributions import Autoregressive, AutoregressiveEnsemble, Empty
from vaejax.networks import MaskedMLP, Masks
from vaejax.types import GenerativeModel, Joint


def masked_autoencoder(
    network: MaskedMLP, observation_shape: tuple[int, ...], masks: Masks | None = None
) -> GenerativeModel:
    """MADE (Germain et al. 2015): a model of binary x without a latent variable, p(x) = prod_i
    p(x_i | x_<i). One evaluation of the network gives every conditional. Its z is the empty one.

    Args:
      network: with `output_shape` (d,), d the number of elements of x.
      observation_shape: shape of one x.
      masks: those of an ensemble (`networks.draw_masks`), whose members share the parameters:
        p(x) is their uniform mixture. Without them p(x) is one autoregressive model, in the
        network's own order.

    Example:
      The ELBO is log p(x), exactly, and the probabilities of all x sum to 1.

      >>> import jax, vaejax
      >>> network = vaejax.networks.MaskedMLP((8,), (2,))
      >>> model = vaejax.generative.masked_autoencoder(network, (2,))
      >>> joint = model.joint(model.init(jax.random.key(0)))
      >>> xs = jax.numpy.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
      >>> bound = lambda x: vaejax.objectives.elbo(jax.random.key(0), joint.prior, joint, x).value
      >>> print(f"{jax.numpy.exp(jax.vmap(bound)(xs)).sum():.4f}")
      1.0000
    """

    def init(key):
        return network.init(key, jnp.zeros(observation_shape))

    def density(theta, z):
        del z

        def logits(x):
            return network.apply(theta, x).reshape(observation_shape)

        def member_logits(m, x):
            order, degrees = jax.tree.map(lambda leaf: jnp.asarray(leaf)[m], tuple(masks))
            y = network.apply(theta, x, order=order, degrees=degrees)
            return y.reshape(observation_shape)

        if masks is None:
            order = None if network.order is None else jnp.asarray(network.order)
            return Autoregressive(logits, observation_shape, order)
        return AutoregressiveEnsemble(member_logits, masks.orders, observation_shape)

    def joint(theta, given=()):
        del given
        return Joint(Empty(), Partial(density, theta))

    return GenerativeModel(init, joint)
