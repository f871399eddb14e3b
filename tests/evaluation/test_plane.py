"""Clusters against the weights of an exact posterior, a density against the exact one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import generative
from vaejax.distributions import DiagonalGaussian, Potential
from vaejax.evaluation.plane import clusters, density, plane_figures
from vaejax.inference import Recognition, structured
from vaejax.marginal_likelihood import exact
from vaejax.types import Example, Params

KEY = jax.random.key(0)
W = jnp.array([[2.0, 0.5], [-0.3, 1.0]])
NOISE = 1.0


class Linear:
    def init(self, key, z):
        return W

    def apply(self, theta, z):
        return theta @ z


MODEL = generative.latent_variable_model(
    generative.full_mixture_prior(2, num_components=3),
    Linear(),
    lambda mean: DiagonalGaussian(mean, jnp.full_like(mean, np.log(NOISE))),
)
EXACT = structured(
    Recognition(
        lambda key: (),
        lambda phi, x, given=(): Potential(W.T @ x / NOISE**2, W.T @ W / NOISE**2),
    )
)
THETA = jax.jit(MODEL.init)(KEY)
THETA["prior"] |= {
    "logits": jnp.array([1.0, 0.0, -9.0]),
    "means": jnp.array([[-1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]),
}
PARAMS = Params(THETA, ())
JOINT = MODEL.joint(THETA)
XS = np.asarray(jax.jit(jax.vmap(JOINT.sample))(jax.random.split(KEY, 50))[1])


@functools.cache
def arrays():
    found = clusters(KEY, MODEL, EXACT, PARAMS, Example(jnp.asarray(XS)))
    return found | density(KEY, MODEL, PARAMS, XS) | {"code": XS, "originals": XS}


def test_an_examples_component_is_that_of_the_largest_weight_of_p_of_z_given_x():
    found = arrays()
    weights_of = jax.jit(lambda x: jax.nn.softmax(EXACT.posterior((), x, JOINT).logits))
    weights = np.array([weights_of(x) for x in XS])
    clear = weights.max(axis=1) > 0.7
    assert 20 < clear.sum()
    np.testing.assert_array_equal(found["component"][clear], weights.argmax(axis=1)[clear])
    weights = jax.nn.softmax(THETA["prior"]["logits"])
    np.testing.assert_allclose(found["component_weights"], weights, rtol=1e-5)


def test_the_density_on_the_grid_is_the_exact_one():
    found = arrays()
    places = np.stack(np.meshgrid(*found["density_grid"]), axis=-1).reshape(-1, 2)
    truth = exact(JOINT).log_marginal(places.astype(np.float32))[0]
    likely = truth > truth.max() - 3
    np.testing.assert_allclose(found["density"].reshape(-1)[likely], truth[likely], atol=0.25)
    outside = (XS < found["density_grid"][:, 0]) | (XS > found["density_grid"][:, -1])
    assert not outside.any()


def test_there_is_a_figure_of_each_and_components_of_no_weight_are_left_out():
    captions = {figure.name: figure.drawn[1] for figure in plane_figures(arrays(), "test")}
    assert set(captions) == {"clusters", "density"}
    assert "2 of 3 with a weight above 0.01" in captions["clusters"]
