"""The examples in docstrings print what they say."""

import ast
import doctest
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
