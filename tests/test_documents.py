"""The README's Python and the notebook run as they are printed; what they name exists."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_python_of_the_readme_runs():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(block, names)
    trace = np.asarray(names["trace"])
    assert trace[-100:].mean() > trace[:100].mean() + 5
    assert names["x"].shape == (8, 8)


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
