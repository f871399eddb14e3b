"""Shared by all tests: how programs are compiled, and real data where there is some."""

import os
from pathlib import Path

# Most of the suite's time is compilation of programs that run once: half of it without LLVM's
# optimization. Read when JAX starts; child processes inherit it.
os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {os.environ.get('XLA_FLAGS', '')}"

import jax
import pytest

from vaejax.cache import cache_folder

jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax-tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with `tfds/` (MNIST, prepared) and `raw/` (the published files)."""
    folder = os.environ.get("VAEJAX_TEST_DATA")
    if not folder:
        pytest.skip("VAEJAX_TEST_DATA is not set: tests on the real MNIST files are NOT run")
    return Path(folder)
