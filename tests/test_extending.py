"""What the README says of adding things: each is done here once, and works with what is there."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vaejax
from vaejax import distributions, generative, inference, networks, objectives
from vaejax.evaluation import MEASUREMENTS, Measurement, Part, Section, carry_out, per_example
from vaejax.evaluation.measurement import rows_in
from vaejax.marginal_likelihood import Estimate, importance_sampling
from vaejax.types import VariationalFamily, bind


@pytest.fixture(scope="module")
def xs():
    return np.asarray(np.random.RandomState(0).rand(40, 6) < 0.4, np.float32)


def elbo(key, q, joint, x, step):
    return objectives.elbo(key, q, joint, x)


def fitted(xs, model, q, objective=elbo):
    return vaejax.fit(jax.random.key(0), model, q, objective, xs, num_steps=30, batch_size=20)


def gaussian_q():
    return inference.amortized(inference.diagonal_gaussian(2), networks.MLP((8,), (4,)), (6,))


def bernoulli_model(prior=None, decoder=None):
    prior = prior or distributions.standard_normal(2)
    return generative.latent_variable_model(
        prior, decoder or networks.MLP((8,), (6,)), distributions.Bernoulli
    )


def test_a_decoder_is_two_functions(xs):
    class Linear:
        def init(self, key, z):
            return jax.random.normal(key, (6, z.size))

        def apply(self, parameters, z):
            return parameters @ z

    _, trace = fitted(xs, bernoulli_model(decoder=Linear()), gaussian_q())
    assert trace[-1] > trace[0]


def test_a_likelihood_is_a_distribution(xs):
    def laplace(outputs):
        return distributions.DiagonalGaussian(outputs, jnp.zeros_like(outputs))

    prior = distributions.standard_normal(2)
    model = generative.latent_variable_model(prior, networks.MLP((8,), (6,)), laplace)
    _, trace = fitted(xs, model, gaussian_q())
    assert trace[-1] > trace[0]


def test_a_prior_is_two_functions(xs):
    prior = generative.Prior(
        lambda key: jnp.zeros(2),
        lambda mean: distributions.DiagonalGaussian(mean, jnp.zeros(2)),
    )
    params, _ = fitted(xs, bernoulli_model(prior), gaussian_q())
    assert (params.generative["prior"] != 0).all()  # it is trained


def test_a_q_family_is_found_by_its_name(xs, monkeypatch):
    from vaejax.evaluation.gaps import Gaps, own_family

    usual = inference.diagonal_gaussian

    def mine(*shape):
        return VariationalFamily("mine", *usual(*shape)[1:])

    monkeypatch.setitem(inference.FAMILIES, "mine", mine)
    q = inference.amortized(mine(2), networks.MLP((8,), (4,)), (6,))
    assert own_family(q) == "mine"
    assert Gaps(families=("mine",)).families == ("mine",)


def test_an_objective_is_one_function(xs):
    def half(key, q, joint, x, step):
        terms = objectives.elbo(key, q, joint, x)
        return objectives.Terms(0.5 * terms.value, {"whole": terms.value})

    _, trace = fitted(xs, bernoulli_model(), gaussian_q(), half)
    assert np.isfinite(trace).all()


def test_an_estimator_is_one_function(xs):
    params, _ = fitted(xs, bernoulli_model(), q := gaussian_q())
    joint = bernoulli_model().joint(params.generative)

    def twice(key, joint, x, q) -> Estimate:
        return importance_sampling(key, joint, x, q, num_samples=100)

    estimates = vaejax.log_marginal_likelihood(
        jax.random.key(1),
        joint,
        xs[:3],
        posterior=lambda x: q.posterior(params.inference, x, joint),
        estimator=twice,
    )
    assert estimates.method == "twice" and np.isfinite(estimates.value).all()


def test_a_measurement_is_one_record(xs, tmp_path):
    from tests.runs import a_run

    @dataclasses.dataclass(frozen=True)
    class Settings:
        scale: float = 2.0

    def parts(run, settings):
        def one(params, index, example):
            _, _, x = bind(run.generative, run.inference, params, example)
            return {"mean": settings.scale * jnp.mean(x)}

        blocks = per_example(one, run.params, run.examples("test"), block=7)
        return [Part("toy", dataclasses.asdict(settings), 40, blocks, rows_in)]

    toy = Measurement(
        name="toy",
        version=1,
        settings=Settings,
        undefined=lambda run, settings: None,
        parts=parts,
        summarize=lambda run, settings, arrays: {"mean": float(arrays["toy"]["mean"].mean())},
        section=lambda about, arrays: Section("Toy", "", [], [], []),
    )
    assert "toy" not in MEASUREMENTS
    params, _ = fitted(xs, bernoulli_model(), q := gaussian_q())
    run = a_run(bernoulli_model(), q, params, xs, folder=tmp_path)
    measured = carry_out(run, toy, Settings())
    np.testing.assert_allclose(measured.about["summary"]["mean"], 2 * xs.mean(), rtol=1e-5)
    np.testing.assert_allclose(measured.arrays["toy"]["mean"], 2 * xs.mean(axis=1), rtol=1e-5)
