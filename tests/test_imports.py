"""Imports go one way: the rule of the design, held by reading every module's imports."""

import ast
import importlib.util
from pathlib import Path

import pytest

import vaejax

PACKAGE = Path(vaejax.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

_CORE = {"types", "errors"}
_MATHEMATICS = _CORE | {"distributions", "networks", "generative", "inference"}
_ESTIMATION = _MATHEMATICS | {"objectives", "marginal_likelihood"}
_MEASUREMENT = _ESTIMATION | {"training", "evaluation", "data", "cache", "sharding"}
_ALL = _MEASUREMENT | {"report", "experiment", "run_directory", "tracking", "arguments"}

# What each part of the package may import of the rest of it. A part is a folder or a module of
# vaejax/; a new one is given its place here. `vaejax` is the package's own __init__.py.
MAY_IMPORT = {
    "vaejax": set(),
    "types": set(),
    "errors": set(),
    "cache": set(),
    "sharding": set(),
    "distributions": _CORE,
    "networks": _CORE | {"distributions"},
    "generative": _CORE | {"distributions", "networks"},
    "objectives": _CORE | {"distributions"},
    "inference": _CORE | {"distributions", "networks", "objectives"},
    "marginal_likelihood": _MATHEMATICS | {"sharding"},
    "data": _CORE | {"cache"},
    "training": _ESTIMATION | {"data", "sharding"},
    "evaluation": _ESTIMATION | {"sharding"},
    "run_directory": {"errors", "vaejax"},
    "tracking": {"errors"},
    "arguments": {"errors"},
    "report": _MEASUREMENT - {"data"} | {"run_directory"},
    "experiment": _MEASUREMENT,
    "commands": _ALL | {"vaejax"},
    "cli": _ALL | {"vaejax", "commands"},
}
ONLY_IN = {
    "distrax": "distributions",
    "tensorflow_probability": "distributions",
    "flax": "networks",
}


def imported(source: str, package: str) -> list[tuple[int, str]]:
    """(line, absolute dotted name) of everything imported anywhere in `source`."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if node.level:
                base = importlib.util.resolve_name(base, package)
            names += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return names


def part_of(name: str) -> str:
    """The part that a dotted name belongs to: `vaejax.training.loop.fit` -> `training`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "vaejax"


def violations(source: str, part: str, package: str) -> list[str]:
    """One line for each import that `part` may not have."""
    found = []
    for line, name in imported(source, package):
        top = name.split(".")[0]
        if top in ONLY_IN and part != ONLY_IN[top]:
            found.append(f"line {line}: {top} is imported in {ONLY_IN[top]} alone, not in {part}")
        if top == "vaejax" and part_of(name) not in MAY_IMPORT[part] | {part}:
            found.append(f"line {line}: {part} may not import {part_of(name)} ({name})")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_the_rule(path):
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    part = "vaejax" if relative.parts == ("vaejax", "__init__") else relative.parts[1]
    if part == "experiments":
        pytest.skip("an experiment file imports what it uses")
    assert part in MAY_IMPORT, f"give {part} its place in MAY_IMPORT"
    package = ".".join(relative.parts[:-1])
    assert violations(path.read_text(), part, package) == []


def test_every_part_is_looked_at():
    seen = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in MODULES}
    assert set(MAY_IMPORT) - {"vaejax"} <= seen


def test_the_order_has_no_circle():
    """Each pass takes away the parts that import nothing that is left."""
    left = {part: set(others) for part, others in MAY_IMPORT.items()}
    while left:
        free = {part for part, others in left.items() if not others & set(left)}
        assert free, f"a circle among {sorted(left)}"
        left = {part: others for part, others in left.items() if part not in free}


VIOLATIONS = [
    ("objectives", "import distrax"),
    ("inference", "from distrax import Normal"),
    ("marginal_likelihood", "from tensorflow_probability.substrates import jax as tfp"),
    ("distributions", "import flax.linen as nn"),
    ("experiment", "from flax import linen"),
    ("inference", "from vaejax.generative import latent_variable_model"),
    ("generative", "from vaejax import inference"),
    ("generative", "from ..inference.families import point_mass"),
    ("generative", "def f():\n    import vaejax.inference.families as families"),
    ("distributions", "if TYPE_CHECKING:\n    from vaejax.networks import MLP"),
    ("networks", "from vaejax.generative import latent_variable_model"),
    ("objectives", "from vaejax.inference import fit_variational"),
    ("objectives", "from vaejax.marginal_likelihood.weights import log_mean_exp"),
    ("marginal_likelihood", "from vaejax.training import fit"),
    ("objectives", "from vaejax.sharding import replicated"),
    ("training", "from vaejax.evaluation import evaluate"),
    ("evaluation", "from vaejax.data import load"),
    ("evaluation", "from vaejax.report import draw"),
    ("data", "from vaejax.distributions import Bernoulli"),
    ("report", "from vaejax.experiment import Config"),
    ("experiment", "from vaejax import commands"),
    ("commands", "from vaejax.cli import main"),
    ("errors", "from vaejax.types import Key"),
    ("cache", "from vaejax.errors import UserError"),
    ("sharding", "from vaejax.types import Params"),
    ("types", "from vaejax.distributions import Distribution"),
    ("training", "import vaejax"),
    ("training", "from vaejax import *"),
    ("vaejax", "from vaejax.training import fit"),
]


@pytest.mark.parametrize("part, source", VIOLATIONS)
def test_the_check_finds(part, source):
    assert len(violations(source, part, f"vaejax.{part}")) == 1


ALLOWED = [
    ("distributions", "import distrax\nfrom tensorflow_probability.substrates import jax as tfp"),
    ("networks", "import flax.linen as nn\nfrom vaejax.networks.mlp import MLP"),
    ("inference", "from vaejax import distributions, networks\nfrom .families import point_mass"),
    ("training", "from vaejax.data import Dataset\nimport flaxen\nimport optax"),
    ("experiment", "from vaejax import distributions, generative, inference, networks"),
    ("cli", "from vaejax import __version__, commands"),
]


@pytest.mark.parametrize("part, source", ALLOWED)
def test_the_check_lets_pass(part, source):
    assert violations(source, part, f"vaejax.{part}") == []
