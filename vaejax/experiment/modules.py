"""The modules that an experiment file imports from its own folder: part of the experiment."""

import ast
import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path


def modules_beside(file: Path, folder: Path) -> dict[str, Path]:
    """The modules in `folder` that a Python file imports, directly or through each other, as
    {"helpers": folder/helpers.py}.

    They are found by reading all `import` statements; an import by a string is not found.

    Raises:
      SyntaxError: one of the files is not valid Python.
    """
    found: dict[str, Path] = {}
    unread = [(file, "")]
    while unread:
        path, package = unread.pop()
        for name in _imported(ast.parse(path.read_bytes(), str(path)), package):
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                path_of_module = _file_of(folder, parts[:end])
                if path_of_module is None or path_of_module.samefile(file) or module in found:
                    continue
                found[module] = path_of_module
                is_package = path_of_module.name == "__init__.py"
                unread.append(
                    (path_of_module, module if is_package else ".".join(parts[: end - 1]))
                )
    return dict(sorted(found.items()))


@contextlib.contextmanager
def importable(folder: Path, modules: dict[str, Path]) -> Iterator[None]:
    """Inside the context, the names import these modules of `folder`, even if another experiment
    has imported other modules with the same names."""
    for name, path in modules.items():
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded is not None and Path(loaded).resolve() != path.resolve():
            del sys.modules[name]
    if not modules:
        yield
        return
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The absolute dotted names that the import statements of a file may load."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = [*(above if node.level else []), *([node.module] if node.module else [])]
            for alias in node.names:  # a submodule, or a name in the module
                yield ".".join([*base, alias.name])


def _file_of(folder: Path, parts: list[str]) -> Path | None:
    """The file in `folder` that a dotted name means; None if there is none."""
    if parts[0] in ("", "vaejax"):  # its version and commit are recorded elsewhere
        return None
    path = folder.joinpath(*parts)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
