"""How tests are compiled, and how a child process compiles as users do."""

import os

# Most of the suite's time is compilation of programs that run once: a third of it without LLVM's
# optimization and with XLA's older emitters of fusions (a JAX that has them no longer ignores
# that).
_QUICK = (
    "--xla_backend_optimization_level=0 "
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters=true"
)
_AS_USERS = "VAEJAX_TESTS_COMPILE_AS_USERS"


def as_users() -> bool:
    """Whether this process compiles as users do."""
    return _AS_USERS in os.environ


def flags() -> str:
    """XLA_FLAGS of this process: what they are, which comes last and wins, after the quick ones."""
    given = os.environ.get("XLA_FLAGS", "")
    return given if as_users() else f"{_QUICK} {given}"


def environment_as_users() -> dict[str, str]:
    """The environment of a pytest of its own that compiles as users do."""
    given = os.environ.get("XLA_FLAGS", "").replace(_QUICK, "").strip()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return kept | {_AS_USERS: "1", "XLA_FLAGS": given}
