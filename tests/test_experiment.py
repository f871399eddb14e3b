"""Configurations, what they load and build, and what is said of those that cannot be used."""

import dataclasses
import json
import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vaejax
from tests.training.test_lowering import tiny, tiny_sequences
from vaejax import distributions, experiment, inference
from vaejax.arguments import in_options, parse
from vaejax.data import Dataset, load_summary
from vaejax.errors import SettingError, UserError
from vaejax.experiment import (
    LIKELIHOODS,
    MLP,
    Config,
    Data,
    LikelihoodKind,
    Regularization,
    SequenceConfig,
    find,
    folders,
    from_json,
    identity,
    load,
    load_data,
    masked_pair,
    mlp_pair,
    to_json,
)
from vaejax.objectives import elbo
from vaejax.training import Train, fit, init_params
from vaejax.types import Example, bind

ROOT = Path(__file__).resolve().parent.parent
RNG = np.random.RandomState(0)


@dataclasses.dataclass(frozen=True)
class Extended:
    width: int  # no default
    depth: int = 2
    inner: MLP = dataclasses.field(default_factory=MLP)


def test_there_and_back():
    config = Config(model=MLP(latent_dim=3, hidden=(7, 5)))
    assert from_json(Config, to_json(config)) == config


def test_fields_that_came_later_take_their_defaults():
    saved = to_json(Config(model=MLP(latent_dim=3)))
    del saved["model"]["activation"]
    del saved["evaluate"]
    assert from_json(Config, saved) == Config(model=MLP(latent_dim=3))
    assert from_json(Extended, {"width": 4}) == Extended(4)


@pytest.mark.parametrize(
    "saved, words",
    [
        ({"depth": 3}, r"has fields \['depth'\]; expected \['depth', 'inner', 'width'\]"),
        ({"width": 4, "height": 3}, "another version"),
        ({"width": 4, "inner": {"unknown": 1}}, "MLP has fields"),
        ({"width": 4, "inner": 3}, "MLP has fields 3"),
    ],
)
def test_what_is_refused(saved, words):
    with pytest.raises(UserError, match=words):
        from_json(Extended, saved)


# Errors of settings


def test_a_setting_is_named_as_a_field_in_python_and_as_an_option_in_a_shell():
    with pytest.raises(SettingError, match=r"^latent_dim must be at least 1; got 0$") as caught:
        MLP(latent_dim=0)
    assert caught.value.fields[0] == "latent_dim"
    arguments = ["--model.latent-dim", "0"]
    with pytest.raises(SettingError) as caught:
        parse(Config, arguments, prog="test", default=Config())
    assert in_options(caught.value) == "--model.latent-dim must be at least 1; got 0"
    with pytest.raises(SettingError) as caught:
        Train(batch_size=50).steps_per_epoch(40)
    assert str(caught.value).startswith("batch_size must be at most 40")
    assert in_options(caught.value).startswith("--train.batch-size must be at most 40")


def test_only_the_named_fields_become_options():
    error = SettingError("a_b of /a_b/x, c.a_b and a_b-c: give d.e 1 or a_b", "a_b", "d.e")
    assert in_options(error) == "--a-b of /a_b/x, c.a_b and a_b-c: give --d.e 1 or --a-b"
    assert in_options(error.within("s")).endswith("give --d.e 1 or --s.a-b")
    assert in_options(UserError("a_b")) == "a_b"


# Data of a configuration


@pytest.mark.parametrize(
    ("likelihood", "values", "binarization"),
    [
        ("bernoulli", RNG.randint(0, 256, (40, 4, 4)), "dynamic"),
        ("discretized_logistic", RNG.randint(0, 256, (40, 4, 4)), "none"),
        ("discretized_logistic", RNG.randint(0, 256, (40, 4, 4, 3)), "none"),
        ("gaussian", RNG.uniform(size=(40, 12)), "none"),
        ("gaussian", RNG.uniform(size=(40, 4, 4)), "none"),
        ("bernoulli", RNG.randint(0, 2, (40, 12)), "static"),
    ],
)
def test_a_likelihood_chooses_the_binarization_that_fits(
    tmp_path, likelihood, values, binarization
):
    np.save(tmp_path / "own.npy", values)
    config = Config(Data(str(tmp_path / "own.npy")), MLP(2, (8,), likelihood=likelihood))
    dataset = load_data(config)
    assert dataset.binarization == binarization
    mlp_pair(config.model, dataset.summary, inference.diagonal_gaussian)


def test_what_is_not_binarized_unasked_is_refused_with_both_options(tmp_path):
    np.save(tmp_path / "own.npy", RNG.uniform(size=(40, 12)))
    with pytest.raises(SettingError) as caught:
        load_data(Config(Data(str(tmp_path / "own.npy"))))
    line = in_options(caught.value)
    assert "--model.likelihood gaussian" in line
    assert "--data.binarization dynamic" in line


@pytest.mark.parametrize(
    ("likelihood", "name", "binarization", "ways"),
    [
        ("bernoulli", "digits", "none", ("data.binarization dynamic", "discretized_logistic")),
        ("gaussian", "digits", None, ("data.binarization dynamic", "discretized_logistic")),
        ("gaussian", "digits", "dynamic", ("model.likelihood bernoulli",)),
    ],
)
def test_a_likelihood_of_other_values_is_refused(likelihood, name, binarization, ways):
    config = Config(Data(name, binarization), MLP(likelihood=likelihood))
    with pytest.raises(SettingError) as caught:
        mlp_pair(config.model, load_data(config).summary, inference.diagonal_gaussian)
    for way in ways:
        assert way in str(caught.value)
    assert "--model.likelihood" in in_options(caught.value)


# Models from a summary


@pytest.mark.parametrize(
    "path",
    [p for p in sorted((ROOT / "experiments").glob("*.py")) if "compare" not in p.stem],
    ids=lambda path: path.stem,
)
def test_every_experiment_is_built_from_a_saved_summary(path, tmp_path):
    """Of binary data, or of sequences; the model needs nothing else of them."""
    file = load(path)
    config, dataset = file.config, load_data(Config(Data("digits")))
    if isinstance(config, SequenceConfig):
        config, dataset = tiny_sequences(config)
    elif config.data.name == "pinwheel":
        config, dataset = tiny(config)
    (tmp_path / "data.json").write_text(json.dumps(dataset.summary.to_json()))
    summary = load_summary(tmp_path / "data.json")
    shapes = []
    for data in (dataset, summary):
        built = file.build(config, data)
        make = partial(init_params, generative=built.generative, inference=built.inference)
        shapes.append(jax.eval_shape(make, jax.random.key(0))[0])
    assert shapes[0] == shapes[1]


def test_a_file_that_asks_for_examples_is_told_what_a_summary_has(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "from vaejax.experiment import Config\nconfig = Config()\n"
        "def build(config, dataset):\n    return len(dataset.train)\n"
    )
    file = load(path)
    with pytest.raises(UserError, match="DataSummary, which has no train: use shape"):
        file.build(file.config, load_data(file.config))


def test_a_new_likelihood_is_a_distribution_and_an_entry(monkeypatch):
    """A Gaussian of fixed scale, on grey values."""

    def fixed(data):
        return lambda mean: distributions.DiagonalGaussian(mean, jnp.full_like(mean, -1.0))

    kind = LikelihoodKind(("grey",), lambda data: data.shape, lambda data: data.mean, fixed)
    monkeypatch.setitem(LIKELIHOODS, "fixed", kind)
    config = Config(Data("digits"), MLP(2, (8,), likelihood="fixed"))
    dataset = load_data(config)
    assert dataset.support == "grey"
    model, q = mlp_pair(config.model, dataset.summary, inference.diagonal_gaussian)
    xs = dataset.split("train")
    values = fit(jax.random.key(0), model, q, objective, xs, num_steps=3)[1]
    assert np.isfinite(values).all()


def objective(key, q, joint, x, step):
    return elbo(key, q, joint, x)


# Convolutions


@pytest.mark.parametrize("shape", [(8, 8), (9, 11, 3), (3, 13, 8), (1, 8, 9)])
@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized_logistic", "gaussian"])
def test_convolutions_fit_every_image_and_likelihood(shape, likelihood):
    values = RNG.randint(0, 256, (20, *shape)).astype(np.uint8)
    levels, binarization = 255, "dynamic" if likelihood == "bernoulli" else "none"
    if likelihood == "gaussian":
        values, levels = RNG.normal(size=values.shape).astype(np.float32), None
    data = Dataset("own", values, values[:5], values[:5], levels, binarization)
    model = MLP(2, (5,), likelihood=likelihood, kind="conv", channels=(3, 4))
    pair = mlp_pair(model, data.summary, inference.diagonal_gaussian)

    def one(key, x):
        joint, q, x = bind(*pair, init_params(key, *pair)[0], Example(x))
        return joint.log_prob(x, q.mean()), joint.sample(key)[1]

    log_p, x = jax.eval_shape(one, jax.random.key(0), data.split("train", 1)[0])
    assert (log_p.shape, x.shape) == ((), shape)


def test_convolutions_train():
    model = MLP(4, (16,), kind="conv", channels=(8,))
    dataset = load_data(Config(Data("digits"), model))
    pair = mlp_pair(model, dataset.summary, inference.diagonal_gaussian)
    xs = dataset.split("train")
    optimizer = optax.adam(0.01)
    values = fit(jax.random.key(0), *pair, objective, xs, num_steps=60, optimizer=optimizer)[1]
    assert np.mean(values[-10:]) > np.mean(values[:10]) + 1


def test_convolutions_are_of_images():
    values = RNG.normal(size=(20, 9)).astype(np.float32)
    for x in (values, values.reshape(20, 3, 3), values[:, :8].reshape(20, 2, 2, 2)):
        data = Dataset("own", x, x[:5], x[:5], None, "none")
        with pytest.raises(SettingError, match=r"model\.kind conv expects images") as caught:
            mlp_pair(MLP(2, likelihood="gaussian", kind="conv"), data.summary, inference.point_mass)
        assert "--model.kind" in in_options(caught.value)
    digits = load_data(Config(Data("digits"))).summary
    with pytest.raises(SettingError, match="spectral norm is for dense layers"):
        spectral = Regularization(spectral_norm=True).decoder()
        mlp_pair(MLP(2, kind="conv"), digits, inference.point_mass, decoder=spectral)
    with pytest.raises(SettingError, match=r"model\.kind must be mlp"):
        masked_pair(MLP(2, kind="conv"), digits, (5,), 0.1)


# Densities


def gaussian_model(values):
    """A data set of these values, and its VAE with a Gaussian likelihood."""
    values = np.asarray(values, np.float32)
    data = Dataset("own", values, values[:5], values[:5], None, "none")
    return data, *mlp_pair(
        MLP(2, (16,), likelihood="gaussian"), data.summary, inference.diagonal_gaussian
    )


def test_a_gaussian_likelihood_does_not_depend_on_the_units():
    """Features of unlike scales and offsets, times 1, 10, 255 and 1e-4: after the log-Jacobian the
    same ELBO at the start and after training."""
    latent = RNG.normal(size=(500, 2))
    values = latent @ RNG.normal(size=(2, 12)) + 0.3 * RNG.normal(size=(500, 12))
    values = values * np.logspace(-2, 2, 12) + np.linspace(-5, 5, 12)
    bounds = []
    for factor in (1.0, 10.0, 255.0, 1e-4):
        data, model, q = gaussian_model(values * factor)
        trained = fit(jax.random.key(0), model, q, objective, data.split("train"), num_steps=60)[1]
        bounds.append(np.asarray(trained, np.float64) + 12 * math.log(factor))
    assert bounds[0][-1] > bounds[0][0] + 1
    for other in bounds[1:]:
        np.testing.assert_allclose(other, bounds[0], atol=1e-3)


@pytest.mark.parametrize("spread", [0.0, 1e-8, 1e-6])
@pytest.mark.parametrize("units", [1.0, 1e-6, 1e6])
def test_constant_features_are_refused_for_a_density(spread, units):
    """Also what is constant but for float32's rounding; and not what is merely small."""
    values = RNG.normal(size=(50, 6))
    values[:, 2] = 3.0 + spread * RNG.normal(size=50) * 0.1
    values[:, 4] = 0.0
    with pytest.raises(SettingError) as caught:
        gaussian_model(values * units)
    line = str(caught.value)
    assert "2 of 6 features of own are constant" in line
    assert f"[2] = {3 * units:.6g}, [4] = 0;" in line
    assert "remove them, subtract their mean if they do vary, or add noise" in line
    values[:, 2] = 3.0 + 1e-4 * RNG.normal(size=50)
    values[:, 4] = 1e-20 * RNG.normal(size=50)
    gaussian_model(values * units)


def test_many_constant_features_are_refused_in_one_line():
    with pytest.raises(SettingError, match=r"\[0, 0\] = 1, .*\[0, 4\] = 1, \.\.\.; with") as caught:
        gaussian_model(np.ones((50, 8, 8)))
    assert len(str(caught.value)) < 400


# Files


def test_an_installed_package_looks_in_its_own_folder_first(tmp_path, monkeypatch):
    """Not in an `experiments` folder that another package put beside it."""
    site = tmp_path / "site-packages"
    for folder in (site / "experiments", site / "vaejax" / "experiments"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "vaejax.experiment_folders.__file__", str(site / "vaejax" / "experiment_folders.py")
    )
    assert folders() == [site / "vaejax" / "experiments"]
    (site / "pyproject.toml").write_text("")
    assert folders() == [site / "experiments", site / "vaejax" / "experiments"]


def test_this_checkout_has_experiments():
    assert find("digits_vae").samefile(ROOT / "experiments" / "digits_vae.py")
    assert Path(vaejax.__file__).parent == Path(experiment.__file__).parent.parent


def test_a_saved_value_that_is_refused_is_named_with_its_section():
    saved = to_json(Config())
    saved["model"]["latent_dim"] = 0
    with pytest.raises(SettingError) as caught:
        from_json(Config, saved)
    assert in_options(caught.value) == "--model.latent-dim must be at least 1; got 0"
    assert caught.value.within("config").section == "config.model"


def test_a_setting_that_a_file_gives_itself_is_no_option(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from vaejax.experiment import MLP\nMLP(latent_dim=0)\n")
    with pytest.raises(UserError) as caught:
        load(path)
    assert in_options(caught.value) == f"{path}: latent_dim must be at least 1; got 0"


def test_a_persons_own_file_counts_by_its_fingerprint():
    file = load(find("digits_vae"))

    def digits(name, fingerprint):
        return identity(file, Config(data=Data(name)), fingerprint)

    assert digits("/a/mine.npz", "1") == digits("/b/moved.npy", "1")
    assert digits("/a/mine.npz", "1") != digits("/a/mine.npz", "2")
    assert digits("digits", "1") == digits("digits", "2")
    assert digits("digits", "1") != digits("mnist", "1")
