"""The folder of one run: its files say how it was made, and no finished result is overwritten.

config.json  experiment.py  modules/ (that experiment.py imports)  manifest.json
metrics.jsonl  checkpoints/
evaluation.json  evaluation.npz  figures/*.png  report.html  log_likelihood/
lock (while a process writes here)
"""

import contextlib
import errno
import fcntl
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vaejax import __version__
from vaejax.errors import UserError

EXPORT = "export.json"  # every exported run has this file

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "distrax", "orbax-checkpoint", "numpy")


class RunDirectory:
    """Reads and writes the files of one run's folder."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def name(self) -> str:
        """<experiment>/<hash>/seed-<n>, from the path; of an exported run, as before the export."""
        if self.is_exported():
            return self.read_json(EXPORT, "run")["run"]
        return "/".join(self.path.resolve().parts[1:][-3:])

    @property
    def label(self) -> str:
        """`name`, after the name that a person gave the run; with the data, if they are not those
        of the training."""
        if self.path.parent.name == "other_data":
            return f"{RunDirectory(self.path.parent.parent).label} on {self.path.name}"
        name = self.given_name
        return f"{name} ({self.name})" if name else self.name

    @property
    def given_name(self) -> str:
        """The name that a person gave the run, or ""."""
        if not self.file("config.json").exists():
            return ""
        return str(self.read_json("config.json").get("name") or "")

    def file(self, name: str) -> Path:
        """The path of a file in the folder."""
        return self.path / name

    def create(
        self,
        experiment: str,
        source: Path,
        config: dict[str, Any],
        seed: int,
        name: str = "",
        modules: dict[str, Path] | None = None,
    ) -> None:
        """Make the folder; or, if it exists, check that it was made with the same configuration
        (`evaluate` may differ).

        Args:
          source: the experiment's file.
          name: the name that a person gives the run. It replaces an earlier one, and is not part
            of the run's identity.
          modules: the experiment's own modules, by their paths relative to the experiment's folder.

        Raises:
          UserError: the folder was made with another configuration.
        """
        wanted: dict[str, Any] = {"experiment": experiment, "seed": seed, "config": config}
        wanted |= {"name": name} if name else {}
        existing = self.file("config.json")
        if existing.exists():
            found = self.read_json("config.json")
            other = difference(_training_part(found), _training_part(wanted), "there", "here")
            if other:
                raise UserError(
                    f"{self.path} was made with another configuration ({other})"
                    ": give another --out, or delete that folder"
                )
            moved = found["config"].get("data") != config.get("data")  # the data file has moved
            if moved or (name and found.get("name") != name):
                found["config"]["data"] = config["data"]
                self.write_json("config.json", found | ({"name": name} if name else {}))
            return
        self.path.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self.file("experiment.py"))
        for module, path in (modules or {}).items():
            copy = self.file("modules") / module
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        self.write_json("config.json", wanted)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, so that no other process writes there.

        The operating system releases the lock when the process ends, so a file `lock` that a dead
        process left does no harm.

        Raises:
          UserError: another process has locked it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.file("lock")
        with _locked(path) as file:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def is_locked(self) -> bool:
        """Whether a process has locked the folder."""
        try:
            with self.file("lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EACCES)
        return False

    def read_json(self, name: str, *fields: str) -> dict[str, Any]:
        """The content of a JSON file; raises UserError if it is missing, damaged or lacks a
        field."""
        try:
            content = json.loads(self.file(name).read_text())
        except FileNotFoundError:
            raise UserError(
                f"{self.path} is not a run of vaejax, since it has no {name}: expected a folder "
                "<out>/<experiment>/<hash>/seed-<n>"
            ) from None
        except ValueError as error:
            raise UserError(f"{self.file(name)} is damaged: {error}") from None
        missing = [f for f in fields if f not in content] if isinstance(content, dict) else fields
        if missing or not isinstance(content, dict):
            raise UserError(
                f"{self.file(name)} is damaged: expected an object with {', '.join(fields)}; it "
                f"has no {', '.join(missing) or 'fields'}"
            )
        return content

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file. Like all files here it is written under another name and then renamed,
        so that there is never half a file."""
        self._replace(name, lambda path: path.write_text(json.dumps(content, indent=2) + "\n"))

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write an .npz file of these arrays."""

        def write(path):
            with path.open("wb") as file:
                np.savez_compressed(file, **arrays)

        self._replace(name, write)

    def write_measurement(
        self, stem: str, arrays: dict[str, np.ndarray], summary: dict[str, Any], keep: str | None
    ) -> None:
        """Write <stem>.npz and <stem>.json: both, or neither if the disk is full. If `keep` is
        given, earlier ones are renamed to <keep>.npz and <keep>.json first."""
        new = f"{stem}.new"
        try:
            self.write_arrays(f"{new}.npz", arrays)
            self.write_json(f"{new}.json", summary)
            self._forget_digests(f"{stem}.npz", f"{stem}.json")
            for suffix in ("npz", "json"):
                if keep is not None:
                    self.file(f"{stem}.{suffix}").replace(self.file(f"{keep}.{suffix}"))
                self.file(f"{new}.{suffix}").replace(self.file(f"{stem}.{suffix}"))
        finally:
            for suffix in ("npz", "json"):
                self.file(f"{new}.{suffix}").unlink(missing_ok=True)

    def _forget_digests(self, *names: str) -> None:
        """Drop the digests of files that are measured again in an exported run."""
        if self.is_exported():
            about = self.read_json(EXPORT, "sha256")
            about["sha256"] = {k: v for k, v in about["sha256"].items() if k not in names}
            self.write_json(EXPORT, about)

    def _replace(self, name: str, write) -> None:
        path = self.file(name)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            write(temporary)
            temporary.replace(path)
        except OSError as error:
            error.filename = error.filename or str(path)
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of an .npz file; raises UserError if it is missing or damaged."""
        try:
            with np.load(self.file(name), allow_pickle=False) as file:
                return dict(file)
        except FileNotFoundError:
            raise UserError(
                f"{self.file(name)} is missing: run vaejax evaluate {self.path}"
            ) from None
        except Exception as error:
            # A file in a folder was made by the command of that name.
            command = name.split("/")[0].replace("_", "-") if "/" in name else "evaluate"
            raise UserError(
                f"{self.file(name)} is damaged ({error}): delete it and run vaejax {command} "
                f"{self.path}"
            ) from None

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        self._replace(name, lambda path: path.write_text(text))

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file."""
        self._replace(name, lambda path: path.write_bytes(content))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, up to one that a crash cut short."""
        lines: list[dict[str, Any]] = []
        try:
            text = self.file("metrics.jsonl").read_text(errors="replace")
        except FileNotFoundError:
            return lines
        for text_line in text.splitlines():
            try:
                line = json.loads(text_line)
            except ValueError:
                break
            if not isinstance(line, dict) or "step" not in line:
                break
            lines.append(line)
        return lines

    def keep_metrics_up_to(self, step: int) -> None:
        """Drop the lines after this step, that of the checkpoint from which training resumes."""
        kept = [json.dumps(line) for line in self.metrics() if line["step"] <= step]
        text = "".join(f"{line}\n" for line in kept)
        self._replace("metrics.jsonl", lambda path: path.write_text(text))

    def log(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        with self.file("metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def is_exported(self) -> bool:
        """Whether `vaejax export` wrote the folder."""
        return self.file(EXPORT).exists()

    def is_evaluated(self) -> bool:
        """Whether the run has an evaluation."""
        return self.file("evaluation.json").exists()

    def is_reported(self) -> bool:
        """Whether the page is newer than the evaluation that it shows."""
        page, evaluation = self.file("report.html"), self.file("evaluation.json")
        return page.exists() and page.stat().st_mtime_ns >= evaluation.stat().st_mtime_ns


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """Open and lock the file at `path`; raises UserError if another process has locked it."""
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP):
                    print(
                        f"vaejax: the disk of {path.parent} has no file locks: do not let two "
                        "processes write there at the same time",
                        file=sys.stderr,
                    )
                elif error.errno in (errno.EAGAIN, errno.EACCES):
                    raise UserError(
                        f"{path.parent} is in use by {_holder(file)}: wait until it ends, or stop "
                        "it"
                    ) from None
                else:
                    raise
            if _is_at(file, path):
                yield file
                return


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether `path` is still this file: the process that held the lock before has deleted its
    own."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(file: TextIO) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, TypeError, KeyError):
        return "another process"  # which has not written its id yet


def _training_part(content: dict) -> dict:
    """The part of config.json that changes the trained model."""
    content = {k: v for k, v in content.items() if k != "name"}
    config = content.get("config", {})
    if not isinstance(config, dict):
        return content
    trained = {k: v for k, v in config.items() if k != "evaluate"}
    data = trained.get("data")
    # A person's own file or folder counts by its fingerprint, which is part of the run's name.
    if isinstance(data, dict) and os.sep in str(data.get("name")):
        trained["data"] = data | {"name": "own"}
    return content | {"config": trained}


def difference(one: dict, other: dict, here: str, there: str) -> str:
    """The first three fields in which two configurations differ, with both values, in words."""
    found = sorted(differences(one, other).items())[:3]
    return ", ".join(f"{name}: {a} {here}, {b} {there}" for name, (a, b) in found)


def differences(one: dict, other: dict) -> dict[str, tuple[Any, Any]]:
    """{field as in `flat`: (value in one, value in the other)} where they differ; None for a value
    that is missing."""
    a, b = flat(one), flat(other)
    return {name: (a.get(name), b.get(name)) for name in a | b if a.get(name) != b.get(name)}


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries: {"a": {"b": 1}} -> {"a.b": 1}."""
    if not isinstance(tree, dict):
        return {prefix[1:]: tree}
    branches = [flat(branch, f"{prefix}.{name}") for name, branch in tree.items()]
    return {key: value for branch in branches for key, value in branch.items()}


def versions() -> dict[str, str]:
    """The versions of Python, vaejax and the packages that change numbers."""
    found = {"python": platform.python_version(), "vaejax": __version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def made_by_other_version(directory: RunDirectory) -> str | None:
    """A phrase that names both versions if another version of vaejax made the run; else None."""
    if not directory.file("manifest.json").exists():
        return None
    found = directory.read_json("manifest.json", "versions")["versions"]
    version = (
        found.get("vaejax", "(unknown version)") if isinstance(found, dict) else "(unknown version)"
    )
    if version == __version__:
        return None
    return f"made by vaejax {version}; this is {__version__}"


def matmul_precision() -> str:
    """The matmul precision of training: `default`, the device's own, unless JAX is configured."""
    import jax

    return str(getattr(jax.config, "jax_default_matmul_precision", None) or "default")


def git_commit(file: Path) -> str | None:
    """The git commit of a file, with -dirty if its checkout has changes; None for a file that git
    does not track."""
    file = file.resolve()
    tracked = _git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
    return tracked and _git(file.parent, "describe", "--always", "--dirty", "--abbrev=40")


def _git(folder: Path, *ask: str) -> str | None:
    """The output of a git command in a folder; None if there is none, or no git."""
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *ask], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None


def manifest(experiment_source: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    """The record of how a run was made: versions, devices, precision, random numbers, code,
    data."""
    import jax

    return {
        "versions": versions(),
        "devices": [str(device) for device in jax.devices()],
        "device_kind": jax.devices()[0].device_kind,
        "matmul_precision": {
            "training": matmul_precision(),
            "evaluation": "highest",
        },
        "prng": "threefry2x32",
        "git": {
            "experiment": git_commit(experiment_source),
            "vaejax": git_commit(Path(__file__)),
        },
        "data": protocol,
        "command": sys.argv[1:],
        "process": os.getpid(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
