"""The README's Python and the notebook run as they are printed; what they name exists."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


def python_of_the_readme():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_python_of_the_readme_runs():
    names = {}
    exec(python_of_the_readme()[0], names)
    trace = np.asarray(names["trace"])
    assert trace[-100:].mean() > trace[:100].mean() + 5
    assert names["x"].shape == (8, 8)


def test_weights_of_pytorch_are_measured_as_the_readme_says(tmp_path, monkeypatch):
    """With the names and layout of a state_dict; log p(x) by a sum over a grid of z."""
    random, width = np.random.RandomState(0), 5
    sizes = {"encoder.0": (width, 6), "encoder.2": (4, width)}
    sizes |= {"decoder.0": (width, 2), "decoder.2": (6, width)}
    weights = {f"{name}.weight": random.randn(*size).astype("f4") for name, size in sizes.items()}
    weights |= {f"{name}.bias": random.randn(size[0]).astype("f4") for name, size in sizes.items()}
    for name in ("encoder.2.weight", "encoder.2.bias"):
        weights[name] *= 0.1  # a q near the prior, which misses no mode
    images = random.randint(0, 2, (4, 6)).astype(np.uint8)
    np.savez(tmp_path / "vae.npz", **weights)
    np.save(tmp_path / "images.npy", images)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(python_of_the_readme()[1], names)

    axis = np.linspace(-7, 7, 401)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    hidden = np.tanh(z @ weights["decoder.0.weight"].T + weights["decoder.0.bias"])
    logits = hidden @ weights["decoder.2.weight"].T + weights["decoder.2.bias"]
    log_prior = -0.5 * np.sum(z**2, axis=1) - np.log(2 * np.pi) + 2 * np.log(axis[1] - axis[0])
    for x, value, error in zip(
        images, names["estimates"].value, names["estimates"].std_error, strict=True
    ):
        log_likelihood = np.sum(x * logits - np.logaddexp(0, logits), axis=1)
        exact = np.log(np.sum(np.exp(log_prior + log_likelihood)))
        assert abs(value - exact) < 4 * error + 1e-3


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_runs(path):
    matplotlib.use("Agg")
    names = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*.py")), ids=lambda p: p.stem)
def test_an_experiment_says_what_to_expect(path):
    text = path.read_text()
    for word in ("Command:", "Expected:", "Measured:"):
        assert word in text
    (measured,) = re.findall(r"Measured: .*?(\w+\.json)", text)
    assert (path.parent / measured).is_file()


def test_files_that_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"\]\(([^)#:]+)\)|`((?:vaejax|experiments|notebooks)/[\w./]+)`", text):
        assert (ROOT / (name[0] or name[1])).exists(), name
