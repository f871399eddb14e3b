"""The README's Python and the notebook run as they are printed; what they name exists."""

import ast
import contextlib
import dataclasses
import importlib
import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import vaejax
from vaejax.cli import COMMANDS, main
from vaejax.experiment import find, load

ROOT = Path(__file__).resolve().parent.parent


def commands_of_the_readme():
    """The words of each command, without `vaejax`."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    calls = [call.split() for line in lines for call in line.split("&&")]
    return [words[1:] for words in calls if words and words[0] == "vaejax"]


def python_of_the_readme():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


SMALL = "--model.hidden 16 --train.epochs 2 --evaluate.num-samples 30".split()
CHEAPER = {"log-likelihood": ["--num-chains", "4", "--num-temperatures", "16"]}


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A folder with the README's first run in it, made small."""
    folder = tmp_path_factory.mktemp("readme")
    words = next(words for words in commands_of_the_readme() if words[0] == "run")
    with contextlib.chdir(folder):
        assert main([*words, *SMALL]) == 0
    return folder


def test_the_python_of_the_readme_runs(first_run, monkeypatch):
    """The blocks one after another, where the first command was run."""
    monkeypatch.chdir(first_run)
    names = {}
    for block in python_of_the_readme():
        exec(block, names)
    trace = np.asarray(names["trace"])
    assert trace[-100:].mean() > trace[:100].mean() + 5
    assert names["x"].shape == (8, 8)
    assert names["codes"].mean.shape == (100, 8) and names["draws"].x.shape == (16, 8, 8)
    assert np.isfinite(names["estimates"].value).all()


@pytest.mark.parametrize("command", ["log-likelihood", "sample", "encode", "runs", "export"])
def test_a_command_of_the_readme_works_on_the_first_run(first_run, monkeypatch, command):
    monkeypatch.chdir(first_run)
    (words,) = [words for words in commands_of_the_readme() if words[0] == command]
    if "--examples" in words:
        words[words.index("--examples") + 1] = "2"
    assert main([*words, *CHEAPER.get(command, [])]) == 0


def test_the_commands_of_the_readme_are_there():
    """Each names a command and an experiment that exist, with settings that are known."""
    calls = commands_of_the_readme()
    assert len(calls) > 8
    for command, *words in calls:
        assert command in COMMANDS
        if command == "run":
            config = load(find(words[0])).module
            for option in (word for word in words if word.startswith("--") and "." in word):
                section, field = option.removeprefix("--").split(".")
                assert hasattr(getattr(config.config, section), field.replace("-", "_")), option


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_runs(path, monkeypatch):
    """Every cell, with training cut short."""
    matplotlib.use("Agg")
    fit = vaejax.fit

    def short(*arguments, num_steps, **settings):
        return fit(*arguments, num_steps=min(num_steps, 100), **settings)

    monkeypatch.setattr(vaejax, "fit", short)
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


BENCHMARKS = sorted(ROOT.glob("experiments/benchmarks/*.py"))


@pytest.mark.parametrize(
    "path", [*ROOT.glob("experiments/*.py"), *BENCHMARKS], ids=lambda path: path.stem
)
def test_what_an_experiment_or_benchmark_imports_exists(path):
    """Nothing of the file is executed, so packages that only it needs may be absent."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vaejax":
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name), f"from {node.module} import {name.name}"
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "vaejax":
                    importlib.import_module(name.name)


def options_of(config, section=""):
    """The options of an experiment's settings, as the command line writes them."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), section + field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            yield from options_of(value, f"{name}.")
        else:
            yield f"--{name}"
            if isinstance(value, bool):
                yield f"--{section}no-{field.name.replace('_', '-')}"


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_the_options_that_a_benchmark_gives_are_an_experiments(path):
    """Each is an option of some experiment that the benchmark names."""
    strings = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    names = {word for text in strings for word in re.findall(r"\w+", text)}
    files = [file for file in ROOT.glob("experiments/*.py") if file.stem in names]
    configs = [load(file).config for file in files]
    known = {option for config in configs if config is not None for option in options_of(config)}
    given = {word for text in strings for word in re.findall(r"--[a-z]+\.[a-z-]+", text)}
    assert given <= known, given - known


def test_files_that_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"\]\(([^)#:]+)\)|`((?:vaejax|experiments|notebooks)/[\w./]+)`", text):
        assert (ROOT / (name[0] or name[1])).exists(), name
