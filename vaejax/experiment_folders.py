"""Where experiment files are. Nothing heavy is imported: an unknown one is refused at once."""

from pathlib import Path

from vaejax.errors import UserError, expected_name


def folders() -> list[Path]:
    """Where experiment files are looked for by their stem: here, then in the checkout that this
    package is part of, then inside the package, where an installed one has them."""
    package = Path(__file__).resolve().parent
    candidates = [Path("experiments")]
    if (package.parent / "pyproject.toml").is_file():
        candidates.append(package.parent / "experiments")
    candidates.append(package / "experiments")
    return [folder for folder in candidates if folder.is_dir()]


def known() -> list[str]:
    """The stems of all experiment files."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.py")})


def find(name: str) -> Path:
    """The path of an experiment given by its path or its stem."""
    if name.endswith(".py"):
        if Path(name).is_file():
            return Path(name)
        raise UserError(f"no experiment file {name}")
    for folder in folders():
        path = folder / f"{name}.py"
        if path.is_file():
            return path
    raise UserError(
        f"unknown experiment {name!r}: {expected_name(name, known())}, or the path of a file "
        "ending in .py; see vaejax experiments"
    )
