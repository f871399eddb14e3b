"""What JAX refuses when it starts is one line on the command line; a bug stays a traceback."""

import os
import subprocess
import sys

import pytest

from vaejax import cli


@pytest.mark.parametrize(
    "variable, value, command",
    [
        ("JAX_PLATFORMS", "gpus", ["doctor"]),
        ("JAX_PLATFORMS", "cpu,gpus", ["run", "digits_vae"]),
        ("JAX_ENABLE_X64", "maybe", ["doctor"]),
        ("JAX_NUM_CPU_DEVICES", "many", ["doctor"]),
    ],
)
def test_a_bad_environment_is_one_line(tmp_path, variable, value, command):
    result = subprocess.run(
        [sys.executable, "-m", "vaejax.cli", *command],
        env={**os.environ, variable: value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("vaejax: JAX does not start")
    assert value.split(",")[-1] in result.stderr and "unset" in result.stderr


def test_a_platform_that_finds_no_device(capsys, monkeypatch):
    """JAX says nothing then: an assertion without words, the same at each call."""
    import jax

    def nothing(*args):
        raise AssertionError

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "devices", nothing)
    monkeypatch.setattr("vaejax.commands.inspect.jax.devices", nothing)
    assert cli.main(["doctor"]) == 2
    said = capsys.readouterr().err
    assert "JAX_PLATFORMS=cuda" in said and "no such device" in said and said.count("\n") == 1


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError, ValueError, TypeError])
def test_a_bug_is_not_hidden(monkeypatch, kind):
    def broken(arguments):
        raise kind("a bug")

    monkeypatch.setattr("vaejax.commands.inspect.doctor", broken)
    with pytest.raises(kind, match="a bug"):
        cli.main(["doctor"])
