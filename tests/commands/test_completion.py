"""A shell completes commands, experiments and options."""

import subprocess
import sys

import pytest

from vaejax.cli import main

# Completes the last of the words.
COMPLETE = """vaejax() {{ {python} -m vaejax.cli "$@"; }}
eval "$(vaejax completion bash)"
complete_words() {{
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vaejax; echo "${{COMPREPLY[@]}}"
}}
complete_words vaejax ex
complete_words vaejax run digits_va
complete_words vaejax evaluate digits_va
complete_words vaejax run digits_vae --model.latent
complete_words vaejax run digits_vae --train.epochs 3 --train.lear
"""


def test_bash_completes_what_is_there():
    script = COMPLETE.format(python=sys.executable)
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    commands, *rest = found.stdout.splitlines()
    assert commands == "export experiments"
    assert rest == ["digits_vae", "", "--model.latent-dim", "--train.learning-rate"]


@pytest.mark.parametrize("arguments", [[], ["fish"], ["bash", "zsh"]])
def test_another_shell_is_refused(arguments, capsys):
    assert main(["completion", *arguments]) == 2
    assert "expects one of bash, zsh" in capsys.readouterr().err
