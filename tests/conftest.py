"""Shared by all tests: how programs are compiled and kept, and real data where there is some."""

import os
from pathlib import Path

from vaejax.cache import cache_folder

# Most of the suite's time is compilation of programs that run once: a third of it without LLVM's
# optimization and with XLA's older emitters of fusions (a JAX that has them no longer ignores
# that). A flag that XLA_FLAGS already names comes last and wins. All this is read when JAX starts,
# and child processes inherit it: they find what was compiled here.
os.environ["XLA_FLAGS"] = (
    "--xla_backend_optimization_level=0 "
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters=true "
    f"{os.environ.get('XLA_FLAGS', '')}"
)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache_folder() / "jax-tests")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"

import jax
import pytest

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


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with `tfds/` (MNIST, prepared) and `raw/` (the published files)."""
    folder = os.environ.get("VAEJAX_TEST_DATA")
    if not folder:
        pytest.skip("VAEJAX_TEST_DATA is not set: tests on the real MNIST files are NOT run")
    return Path(folder)
