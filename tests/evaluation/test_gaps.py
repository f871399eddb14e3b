"""Gaps of a linear-Gaussian model, where each is known, and of what went wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.runs import examples
from vaejax import inference
from vaejax.distributions import Categorical, DiagonalGaussian, standard_normal
from vaejax.evaluation import Gaps
from vaejax.evaluation.gaps import (
    family_over,
    gap_blocks,
    gap_programs,
    own_family,
    start_of,
    summarize_gaps,
)
from vaejax.evaluation.gaps_section import gap_lines, gap_rows
from vaejax.inference import FAMILIES
from vaejax.networks import MLP
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Joint, Params

W = np.array([[1.0, 0.9], [0.5, -0.2], [-0.7, -0.4]])
S = 0.8
PRECISION = np.eye(2) + W.T @ W / S**2
XS = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
ERROR = np.array([0.3, -0.2])  # of the encoder's mean
LOG_SCALE = np.array([-0.4, -0.9])  # the encoder's


def model():
    joint = Joint(
        standard_normal(2),
        lambda z: DiagonalGaussian(jnp.asarray(W, jnp.float32) @ z, jnp.full(3, np.log(S))),
    )
    return GenerativeModel(lambda key: (), lambda theta, given=(): joint)


def encoder():
    """The posterior's mean with an error, and a scale of its own."""
    to_mean = jnp.asarray(np.linalg.solve(PRECISION, W.T / S**2), jnp.float32)

    def variational(phi, x, given=()):
        return {"mean": to_mean @ x + jnp.asarray(ERROR), "log_scale": jnp.asarray(LOG_SCALE)}

    family = inference.diagonal_gaussian(2)
    return InferenceNetwork(
        init=lambda key: (),
        posterior=lambda phi, x, joint, given=(): family.distribution(variational(phi, x)),
        family=family,
        variational=variational,
    )


def kl_to_posterior(error, covariance):
    """KL(N(m + error, covariance) || N(m, PRECISION^-1))."""
    return 0.5 * (
        np.trace(PRECISION @ covariance)
        - 2
        + error @ PRECISION @ error
        - np.linalg.slogdet(PRECISION @ covariance)[1]
    )


@pytest.fixture(scope="module")
def measured():
    """Diagonal first; full after it, as a second command would."""
    pair, arguments = (model(), encoder()), (Params((), ()), examples(XS))
    every = lambda cost: True  # noqa: E731
    settings = {"num_temperatures": 20, "draws_per_step": 64, "num_bound_samples": 20_000}
    first = Gaps(families=("diagonal",), **settings)
    *_, found = gap_blocks(
        jax.random.key(0), gap_programs(*pair, first), *arguments, first, {}, every
    )
    both = Gaps(families=("diagonal", "full"), **settings)
    *_, arrays = gap_blocks(
        jax.random.key(0), gap_programs(*pair, both), *arguments, both, found, every
    )
    assert all(arrays[name] is values for name, values in found.items())
    return arrays, summarize_gaps({"train": arrays, "test": arrays}, both.families)


def test_where_log_p_is_exact_gaps_are_from_it():
    log_p = scipy.stats.multivariate_normal(np.zeros(3), W @ W.T + S**2 * np.eye(3)).logpdf(XS)

    def exact(chosen):
        return {"log_p": log_p[: len(chosen.x)], "log_p_std_error": np.zeros(len(chosen.x))}

    settings = Gaps(examples=3, num_samples=20_000, max_steps=100)
    programs = gap_programs(model(), encoder(), settings, estimated=False)
    arguments = programs, Params((), ()), examples(XS), settings, {}, lambda cost: True
    *_, arrays = gap_blocks(jax.random.key(0), *arguments, exact)
    assert "annealed" not in arrays
    summary = summarize_gaps({"test": arrays}, ("diagonal",), "diagonal")
    found = summary["test"]
    assert found["estimator"] == "exact" and found["log_p"]["std_error_monte_carlo"] == 0.0
    encoders = kl_to_posterior(ERROR, np.diag(np.exp(2 * LOG_SCALE)))
    total = found["total"]
    assert abs(total["mean"] - encoders) < 4 * total["std_error_monte_carlo"]
    about = {
        "summary": summary | {"names": ("diagonal",), "own_family": "diagonal"},
        "settings": dataclasses.asdict(settings),
        "stopped_by": None,
    }
    assert gap_rows(about)[0][-1] == "nats; exact"
    assert gap_lines(about)[0].startswith("log p(x): exact; best q: by Adam")


def test_gaps_are_those_of_the_closed_form(measured):
    """approximation = (sum log precision_ii - log det precision) / 2; with a full covariance 0."""
    arrays, summary = measured
    log_p = scipy.stats.multivariate_normal(np.zeros(3), W @ W.T + S**2 * np.eye(3)).logpdf(XS)
    encoders = kl_to_posterior(ERROR, np.diag(np.exp(2 * LOG_SCALE)))
    best = 0.5 * (np.log(np.diag(PRECISION)).sum() - np.linalg.slogdet(PRECISION)[1])
    assert best > 0.1 and encoders > best + 0.1
    for name, expected in (
        ("annealed", log_p),
        ("importance", log_p),
        ("amortized", log_p - encoders),
        ("diagonal", log_p - best),
        ("full", log_p),
    ):
        error = np.abs(arrays[name] - expected)
        assert np.all(error < 4 * arrays[f"{name}_std_error"] + 2e-3), name
    found = summary["test"]
    for entry, expected in (
        (found["total"], encoders),
        (found["diagonal"]["approximation"], best),
        (found["diagonal"]["amortization"], encoders - best),
        (found["full"]["approximation"], 0.0),
        (found["full"]["amortization"], encoders),
    ):
        assert abs(entry["mean"] - expected) < 4 * entry["std_error_monte_carlo"] + 2e-3
    assert found["diagonal"]["not_converged"] == found["full"]["not_converged"] == []
    assert found["diagonal"]["out_of_order"] == found["full"]["out_of_order"] == []
    assert summary["generalization"]["mean"] == 0.0


@pytest.mark.parametrize(
    "name, size, left",
    [("flow", 8, 0.1), ("coupling", 8, 0.1), ("spline", 8, 0.1), ("mixture", 30, 0.95)],
)
def test_a_richer_q_comes_nearer_to_a_posterior_with_correlations(name, size, left):
    """From the best diagonal q, as `gaps` would: of its gap a share is left. A mixture of few has
    many dimensions to lie along; where Adam is too fast its components stay together."""
    rng = np.random.default_rng(1)
    w = 0.8 * np.sqrt(8 / size) * rng.normal(size=(size + 4, size))
    precision, covariance = np.eye(size) + w.T @ w / S**2, w @ w.T + S**2 * np.eye(size + 4)
    xs = rng.multivariate_normal(np.zeros(size + 4), covariance, size=4).astype(np.float32)
    log_p = scipy.stats.multivariate_normal(np.zeros(size + 4), covariance).logpdf(xs)
    diagonal = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    means = np.linalg.solve(precision, w.T / S**2 @ xs.T).T.astype(np.float32)
    log_scale = jnp.asarray(-0.5 * np.log(np.diag(precision)), jnp.float32)
    decoder = jnp.asarray(w, jnp.float32)
    noise = jnp.full(size + 4, np.log(S))
    joint = Joint(standard_normal(size), lambda z: DiagonalGaussian(decoder @ z, noise))
    chosen = family_over(name, joint)

    @jax.jit
    @jax.vmap
    def fit(key, mean, x):
        return inference.fit_variational(
            key,
            chosen,
            joint,
            x,
            init=chosen.start_at(key, mean, jnp.exp(log_scale)),
            num_samples=8,
        )[1]

    trace = fit(jax.random.split(jax.random.key(0), 4), means, xs)
    gaps = log_p - trace.bound
    assert np.all(trace.converged) and np.all(gaps > -4 * trace.bound_std_error)
    assert np.mean(gaps) < left * diagonal


def test_what_diverged_or_is_out_of_order_is_named_and_not_averaged(measured):
    arrays = {name: values.copy() for name, values in measured[0].items()}
    arrays["diagonal"][1], arrays["diagonal_diverged"][1] = np.nan, True
    arrays["full_converged"][2] = False
    arrays["full"][2] = arrays["amortized"][2] - 1.0
    names = ("diagonal", "full")
    found = summarize_gaps({"test": arrays}, names, "diagonal")["test"]
    assert found["diagonal"]["diverged"] == [1]
    assert (found["diagonal"]["bound"]["n"], found["full"]["bound"]["n"]) == (2, 3)
    kept = (arrays["diagonal"] - arrays["amortized"])[[0, 2]].astype(np.float64)
    np.testing.assert_allclose(found["diagonal"]["amortization"]["mean"], kept.mean(), rtol=1e-5)
    assert found["full"]["not_converged"] == [2] and found["full"]["out_of_order"] == [2]
    arrays["annealed"][0] = np.nan
    arrays["importance"] -= 10.0  # so that it is not the better one
    arrays["missed"] = np.arange(3) == 1
    arrays["annealed_std_error"][2] = 0.6
    of_no_family = summarize_gaps({"test": arrays}, names)
    assert of_no_family["test"]["full"]["out_of_order"] == []
    summary = summarize_gaps({"test": arrays}, names, "diagonal")
    found = summary["test"]
    assert found["not_finite"] == [0]
    entries = found["log_p"], found["total"], found["full"]["bound"], found["diagonal"]["bound"]
    assert [entry["n"] for entry in entries] == [2, 2, 2, 1]
    about = {
        "summary": summary | {"names": names, "own_family": "diagonal"},
        "settings": dataclasses.asdict(Gaps()),
        "stopped_by": None,
    }
    lines = gap_lines(about)
    other = gap_lines(about | {"summary": of_no_family | {"names": names, "own_family": None}})
    assert set(other) - set(lines) == {
        "the encoder's q is of none of these families: it may be better than the best of them"
    }
    assert "test: log p(x) or the encoder's bound is not finite (in none of the means): 1 (ex" in (
        "".join(lines)
    )
    assert "test: diverged (not in the means): diagonal 1 (examples 1)" in lines
    of = "test: 1 of 3 estimates of log p(x) unreliable"
    assert [line for line in lines if "unreliable" in line] == [
        f"{of} (standard error above 0.5 nats): 1 (examples 2)",
        f"{of} (start at the prior finds more than start at q: q misses a mode): 1 (examples 1)",
    ]
    assert "every fit converged" not in lines
    for fit in (summary["test"][name] for name in names):
        fit |= {"diverged": [], "not_converged": [], "out_of_order": []}
    quiet = gap_lines(about)
    assert "every fit converged" in quiet and not any(line.startswith("test: d") for line in quiet)
    assert len(quiet) < len(lines)


def test_the_generalization_gap_is_of_the_encoders_own_family(measured):
    arrays = measured[0]
    better = {name: values.copy() for name, values in arrays.items()}
    better["diagonal"] += 0.25
    splits = {"train": arrays, "test": better}
    for names in (("diagonal", "full"), ("full", "diagonal")):
        found = summarize_gaps(splits, names, "diagonal")["generalization"]
        assert found["family"] == "diagonal"
        np.testing.assert_allclose(found["mean"], 0.25, rtol=1e-4)
        assert found["std_error_monte_carlo"] > 0


def test_the_family_of_an_encoder_is_known_by_its_name():
    for name, make in FAMILIES.items():
        chosen = make(2)
        network = MLP((3,), (inference.parameter_count(chosen),))
        assert own_family(inference.amortized(chosen, network, (3,))) == name
    fixed = inference.fixed_scale_gaussian(2, scale=0.5)
    assert own_family(inference.amortized(fixed, MLP((), (2,)), (3,))) is None
    assert own_family(InferenceNetwork(lambda key: (), lambda *all: None)) is None


def test_a_fit_starts_at_what_the_encoder_knows():
    key, example, z = jax.random.key(0), Example(jnp.asarray(XS[0])), jnp.asarray([0.3, -0.4])
    gaussian = encoder().posterior((), example.x, None)
    full = FAMILIES["full"](2)

    def of_full(started):
        return full.distribution(started).log_prob(z)

    # Its lambda has the mean and the scale; or its q has them; or nothing is known: N(0, I).
    started = start_of(key, full, encoder(), (), gaussian, example)
    np.testing.assert_allclose(of_full(started), gaussian.log_prob(z), rtol=1e-5)
    other = InferenceNetwork(lambda key: (), lambda *all: gaussian)
    started = start_of(key, full, other, (), gaussian, example)
    np.testing.assert_allclose(of_full(started), gaussian.log_prob(z), rtol=1e-5)
    flow = FAMILIES["flow"](2)
    network = MLP((3,), (inference.parameter_count(flow),))
    q = inference.amortized(flow, network, (3,))
    phi = q.init(key)
    bound = q.posterior(phi, example.x, None)
    # Its own family: at its q.
    predicted = start_of(key, flow, q, phi, bound, example)
    for leaf, expected in zip(
        jax.tree.leaves(predicted), jax.tree.leaves(q.variational(phi, example.x)), strict=True
    ):
        np.testing.assert_array_equal(leaf, expected)
    unknown = InferenceNetwork(lambda key: (), lambda *all: bound)
    started = start_of(key, full, unknown, (), bound, example)
    np.testing.assert_allclose(of_full(started), standard_normal(2).log_prob(z), rtol=1e-5)


@pytest.mark.parametrize("name", ["diagonal", "isotropic"])
def test_a_fit_does_not_start_at_numbers_of_another_shape(name):
    """An own family with the names of the diagonal one's numbers, but one scale for all of z."""

    def variational(phi, x, given=()):
        return {"mean": jnp.asarray(ERROR, jnp.float32), "log_scale": jnp.asarray(-0.5)}

    gaussian = DiagonalGaussian(variational((), XS[0])["mean"], jnp.full(2, -0.5))
    family = inference.diagonal_gaussian(2)._replace(name=name)
    q = InferenceNetwork(lambda key: (), lambda *all: gaussian, family, variational)
    z = jnp.asarray([0.3, -0.4])
    for other in ("diagonal", "full"):
        chosen = FAMILIES[other](2)
        started = start_of(jax.random.key(0), chosen, q, (), gaussian, Example(XS[0]))
        found = chosen.distribution(started).log_prob(z)
        np.testing.assert_allclose(found, gaussian.log_prob(z), rtol=1e-5)


def test_a_latent_that_no_family_is_over_is_refused():
    whole_numbers = Joint(Categorical(logits=jnp.zeros(3)), lambda z: None)
    with pytest.raises(ValueError, match="one array of real numbers"):
        family_over("diagonal", whole_numbers)
