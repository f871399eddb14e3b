"""The README's Python and the notebook run as they are printed; what they name exists."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from vaejax.cli import COMMANDS, main
from vaejax.experiment import find, load

ROOT = Path(__file__).resolve().parent.parent


def python_of_the_readme():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path):
    """The blocks one after another; RUN is a tiny run."""
    settings = "--model.latent-dim 2 --model.hidden 16 --train.epochs 2 --evaluate.num-samples 30"
    assert main(["run", "digits_vae", *settings.split(), "--out", str(tmp_path)]) == 0
    (run,) = tmp_path.glob("digits_vae/*/seed-0")
    names = {"RUN": run}
    for block in python_of_the_readme():
        exec(block, names)
    trace = np.asarray(names["trace"])
    assert trace[-100:].mean() > trace[:100].mean() + 5
    assert names["x"].shape == (8, 8)
    assert np.isfinite(names["estimates"].value).all()


def test_the_commands_of_the_readme_are_there():
    """Each names a command and an experiment that exist, with settings that are known."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    calls = [words[1:] for words in lines if words and words[0] == "vaejax"]
    assert len(calls) > 10
    for command, *words in calls:
        assert command in COMMANDS
        if command == "run":
            config = load(find(words[0])).module
            for option in (word for word in words if word.startswith("--") and "." in word):
                section, field = option.removeprefix("--").split(".")
                assert hasattr(getattr(config.config, section), field.replace("-", "_")), option


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
