"""A run as a folder to share, and what is left of a run without its data and its experiment."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import vaejax
from vaejax.cli import main
from vaejax.run_records import records

EXPERIMENT = '''"""A model of my own.

Command:  none
"""

from parts.model import pair
from rules import objective

from vaejax.experiment import Config, Experiment

config = Config()


def build(config, data):
    return Experiment(*pair(config.model.latent_dim, data), objective)
'''
MODEL = """from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax import distributions, generative, inference, networks


class Layer(NamedTuple):
    weights: jax.Array
    bias: tuple


class Decoder:  # whose parameters are a list of a named tuple with a tuple, and a dictionary
    def __init__(self, size):
        self.size = size

    def init(self, key, z):
        weights = jax.random.normal(key, (self.size, z.size), jnp.bfloat16)
        return [Layer(weights, (jnp.zeros(self.size), jnp.float32(0.5))), {"none": jnp.zeros(0)}]

    def apply(self, parameters, z):
        (weights, (bias, scale)), _ = parameters
        return scale * (weights.astype(jnp.float32) @ z) + bias


def pair(latent_dim, data):
    prior = distributions.standard_normal(latent_dim)
    decoder = Decoder(data.shape[0])
    q = inference.diagonal_gaussian(latent_dim)
    return (
        generative.latent_variable_model(prior, decoder, distributions.Bernoulli),
        inference.amortized(q, networks.MLP((4,), (2 * latent_dim,)), data.shape),
    )
"""
RULES = """def objective(key, q, joint, x, step):
    from vaejax.objectives import elbo

    return elbo(key, q, joint, x)
"""
SETTINGS = (
    "--model.latent-dim 2 --train.steps 2 --train.batch-size 10 --evaluate.num-samples 5"
).split()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with an experiment, its modules and its data, and the run that was made of them."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "mine.py").write_text(EXPERIMENT)
    (folder / "parts").mkdir()
    (folder / "parts" / "__init__.py").write_text("")
    (folder / "parts" / "model.py").write_text(MODEL)
    (folder / "rules.py").write_text(RULES)
    xs = np.random.RandomState(0).randint(0, 2, (60, 6))
    np.savez(folder / "mine.npz", train=xs[:40], test=xs[40:])
    data = ["--data.name", str(folder / "mine.npz")]
    out = ["--out", str(folder / "runs")]
    assert main(["run", str(folder / "mine.py"), *data, *SETTINGS, *out]) == 0
    (run,) = folder.glob("runs/mine/*/seed-0")
    return folder, run


@pytest.fixture(scope="module")
def exported(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("shared") / "mine"
    assert main(["export", str(made[1]), "--out", str(out)]) == 0
    return out


def said(capsys, arguments) -> str:
    """The one line with which a command is refused."""
    capsys.readouterr()
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_an_exported_run_has_the_same_bits(made, exported, tmp_path, monkeypatch):
    ours, theirs = vaejax.load(made[1]), vaejax.load(exported)
    assert str(jax.tree.structure(ours.params)) == str(jax.tree.structure(theirs.params))
    for one, other in zip(*map(jax.tree.leaves, (ours.params, theirs.params)), strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert (ours.step, ours.chosen, ours.evaluation) == (
        theirs.step,
        theirs.chosen,
        theirs.evaluation,
    )
    assert theirs.directory.name == ours.directory.name
    states = [records(path)[0][4:7] for path in (made[1], exported)]  # state, step, steps
    assert states[0] == states[1] and states[0][0] == "finished"
    again = tmp_path / "again"
    shutil.copytree(exported, again)
    (again / "evaluation.json").unlink()
    monkeypatch.chdir(made[0])  # where the data file of that name is
    assert main(["evaluate", str(again)]) == 0
    with np.load(made[1] / "evaluation.npz") as one, np.load(again / "evaluation.npz") as other:
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert vaejax.load(again).evaluation["summary"] == ours.evaluation["summary"]


def test_who_may_read_an_exported_file_is_up_to_the_umask(exported):
    (exported.parent / "plain").write_text("")
    mode = (exported.parent / "plain").stat().st_mode
    files = [path for path in exported.rglob("*") if path.is_file()]
    assert {path.name: path.stat().st_mode for path in files} == {p.name: mode for p in files}


def test_what_is_shared_names_no_folder_of_its_maker(made, exported):
    files = [path for path in exported.rglob("*") if path.is_file()]
    assert {path.name for path in files} > {"report.html", "README.md", "model.py", "rules.py"}
    for path in files:
        for folder in (made[0], exported.parent):
            assert str(folder).encode() not in path.read_bytes(), path
        assert path.suffix not in (".pkl", ".pyc")
    card = (exported / "README.md").read_text()
    summary = json.loads((exported / "evaluation.json").read_text())["summary"]
    assert f"{-summary['iwae']['mean']:.3f}" in card
    assert "A model of my own." not in card  # its data are not those of the experiment file
    assert f'vaejax.load("{exported.name}")' in card and "pip install" not in card
    assert f"Install vaejax {vaejax.__version__} from its repository" in card


def test_of_what_was_typed_the_folders_are_left_out(made, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(made[1], run)
    manifest = json.loads((run / "manifest.json").read_text())
    typed = "run secret/mine.py --data.name=/secret/x.npz --out=../secret/runs --out secret/runs"
    settings = ["--model.latent-dim=2", "--train.learning-rate", "1e-3"]
    manifest["command"] = typed.split() + settings
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert main(["export", str(run), "--out", str(out)]) == 0
    shared = "run mine.py --data.name=x.npz --out=runs --out runs".split()
    assert json.loads((out / "manifest.json").read_text())["command"] == shared + settings
    assert not any(b"secret" in path.read_bytes() for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("parameters.safetensors", "differs from the exported file"),
        ("modules/rules.py", "differs from the exported file"),
        ("evaluation.json", "differs from the exported file"),
        ("evaluation.npz", "differs from the exported file"),
        ("parameters.safetensors", "is missing"),
        ("experiment.py", "is missing"),
        ("export.json", "is damaged"),
        ("format", "in format 2 by vaejax 9.0; this is"),
    ],
)
def test_a_folder_that_is_not_as_it_was_exported_is_refused(
    exported, tmp_path, capsys, name, words
):
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    if name == "format":
        (copy / "export.json").write_text(json.dumps({"format": 2, "vaejax": "9.0"}))
    elif words == "is missing":
        (copy / name).unlink()
    else:
        content = bytearray((copy / name).read_bytes())
        content[-1] ^= 1
        (copy / name).write_bytes(content)
    assert words in said(capsys, ["sample", str(copy), "--count", "2"])
    assert words in said(capsys, ["report", str(copy)])


def test_a_folder_that_is_there_is_not_written_over(made, exported, capsys):
    before = (exported / "README.md").stat().st_mtime_ns
    assert "exists and is not empty" in said(
        capsys, ["export", str(made[1]), "--out", str(exported)]
    )
    assert (exported / "README.md").stat().st_mtime_ns == before


def test_without_data_and_experiment_a_run_is_loaded_drawn_from_and_exported(
    made, tmp_path, capsys
):
    """From the copies in its folder, whatever the names mean elsewhere; what needs the data names
    them."""
    folder = tmp_path / "gone"
    shutil.copytree(made[0], folder, ignore=shutil.ignore_patterns("*.npy", "mine.npz"))
    (run,) = folder.glob("runs/mine/*/seed-0")
    shutil.copyfile(made[1] / "evaluation.npz", run / "evaluation.npz")
    config = json.loads((run / "config.json").read_text())
    config["config"]["data"]["name"] = str(folder / "mine.npz")
    (run / "config.json").write_text(json.dumps(config))
    shutil.rmtree(folder / "parts")
    (folder / "rules.py").write_text("objective = None\n")
    for arguments in (["sample", "--count", "3"], ["report"], ["export", "--out", f"{run}-out"]):
        assert main([arguments[0], str(run), *arguments[1:]]) == 0
    for command in ("evaluate", "log-likelihood", "gaps"):
        assert str(folder / "mine.npz") in said(capsys, [command, str(run)])
    assert Path(f"{run}-out").is_dir()
