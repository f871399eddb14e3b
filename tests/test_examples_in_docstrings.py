"""The examples in docstrings print what they say; every public name says what it is."""

import ast
import doctest
import inspect
import types
from pathlib import Path

import pytest

import vaejax

PACKAGE = Path(vaejax.__file__).parent


def examples():
    """Those of each function and class, found in the source: nothing is imported."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(text)) if ">>>" in text else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                words, name = ast.get_docstring(node) or "", f"{module}.{node.name}"
                test = doctest.DocTestParser().get_doctest(words, {}, name, str(path), node.lineno)
                found += [test] if test.examples else []
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_says(example):
    said = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert result.attempted and not result.failed, "".join(said)


def public_names():
    """(name, function or class) of all that vaejax and its packages export."""
    members = {name: getattr(vaejax, name) for name in vaejax.__all__}
    packages = [m for m in members.values() if isinstance(m, types.ModuleType)]
    exported = [(f"{p.__name__}.{n}", getattr(p, n)) for p in packages for n in p.__all__]
    exported += [(f"vaejax.{name}", member) for name, member in members.items()]
    return [(n, m) for n, m in exported if inspect.isclass(m) or inspect.isfunction(m)]


def test_every_public_name_says_what_it_is():
    silent = []
    for name, member in public_names():
        words = member.__doc__ or ""
        made = words.startswith(f"{member.__name__}(")  # by NamedTuple, dataclass or flax
        if not words or made:
            silent.append(name)
    assert not silent


def test_what_makes_a_model_or_an_estimate_has_an_example():
    """Of the packages that compute. It is what people reach for first."""
    computing = "vaejax.generative.", "vaejax.inference.", "vaejax.marginal_likelihood."
    made = (
        vaejax.GenerativeModel,
        vaejax.generative.SequencePrior,
        vaejax.InferenceNetwork,
        vaejax.marginal_likelihood.Estimate,
    )
    functions = [m for name, m in public_names() if inspect.isfunction(m)]
    names = {
        f"{m.__module__}.{m.__name__}" for m in functions if m.__annotations__.get("return") in made
    }
    names = {name for name in names if name.startswith(computing)}
    assert len(names) > 15
    assert names <= {example.name for example in EXAMPLES}
