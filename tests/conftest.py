"""Shared by all tests: how programs are compiled and kept, and real data where there is some."""

import functools
import gc
import os
import subprocess
import sys
from pathlib import Path

from tests.compiler_flags import as_users, environment_as_users, flags
from vaejax.cache import cache_folder

# All this is read when JAX and the libraries of linear algebra start, and child processes inherit
# it: they find what was compiled here. Threads would wait for those of the other worker.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = flags()
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache_folder() / "jax-tests")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"

import jax
import pytest

# Tracing makes many objects that live on: looking through them all, often, took an eighth of the
# suite's time.
gc.freeze()
gc.set_threshold(50_000, 20, 20)

MOST = 800  # compiled programs in memory, of about a megabyte each
_compiled = 0


def _count(event, seconds, **about):
    global _compiled
    _compiled += event == "/jax/core/compile/backend_compile_duration"


jax.monitoring.register_event_duration_secs_listener(_count)


@pytest.fixture(autouse=True)
def few_programs():
    """Compiled programs are let go of once there are many."""
    global _compiled
    yield
    if _compiled > MOST:
        jax.clear_caches()
        _compiled = 0


@functools.cache
def _as_users(folder: Path, file: str) -> subprocess.CompletedProcess:
    """What pytest says of the marked tests of a file, in a process without this one's flags."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-m", "compiled_as_users", file]
    return subprocess.run(
        command, cwd=folder, env=environment_as_users(), capture_output=True, text=True
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Of a program that is cut otherwise the bits are the same as users compile it: those tests run
    in a process of their own, all of a file in one. The older emitters may round otherwise."""
    marked = pyfuncitem.get_closest_marker("compiled_as_users") is not None
    if not marked or as_users():
        return None
    found = _as_users(pyfuncitem.config.rootpath, pyfuncitem.nodeid.split("::")[0])
    assert found.returncode == 0, found.stdout + found.stderr
    return True


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with `tfds/` (MNIST, prepared) and `raw/` (the published files)."""
    folder = os.environ.get("VAEJAX_TEST_DATA")
    if not folder:
        pytest.skip("VAEJAX_TEST_DATA is not set: tests on the real MNIST files are NOT run")
    return Path(folder)
