"""`vaejax completion`."""

from vaejax.errors import UserError
from vaejax.experiment_folders import known

# The options come from --help, which takes seconds: the last answer is kept.
_SCRIPT = r"""_vaejax() {
  local word=${COMP_WORDS[COMP_CWORD]} asked="${COMP_WORDS[*]:1:2}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=$(vaejax --help | sed -n 's/^  \([a-z-]*\) .*/\1/p')
  elif [ "${word:0:1}" = "-" ] && [ "$COMP_CWORD" -gt 2 ]; then
    if [ "$asked" != "$_vaejax_asked" ]; then
      _vaejax_options=$(vaejax $asked --help 2>/dev/null | grep -oE -e '--[a-z][a-z0-9.-]*')
      _vaejax_asked=$asked
    fi
    words=$_vaejax_options
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case ${COMP_WORDS[1]} in run | train | bench) words="@EXPERIMENTS@" ;; esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _vaejax vaejax
"""
_BEFORE = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}


def completion(arguments: list[str]) -> int:
    """Print the script with which a shell completes commands, experiments and options."""
    shell = arguments[0] if len(arguments) == 1 else ""
    if shell in ("-h", "--help"):
        print(
            "usage: vaejax completion bash|zsh\n\n"
            'Put this line into ~/.bashrc: eval "$(vaejax completion bash)"\n'
            'or this one into ~/.zshrc: eval "$(vaejax completion zsh)"'
        )
        return 0
    if shell not in _BEFORE:
        raise UserError(
            f"vaejax completion expects one of {', '.join(_BEFORE)}; got "
            f"{' '.join(arguments) or 'nothing'}"
        )
    print(_BEFORE[shell] + _SCRIPT.replace("@EXPERIMENTS@", " ".join(known())), end="")
    return 0
