"""The command line: it finds the command and passes it its arguments. Heavy imports wait until a
command needs them, so `vaejax --help` answers at once."""

import functools
import gc
import importlib
import itertools
import os
import sys
from collections.abc import Callable

from vaejax.errors import UserError, expected_name

USAGE = """usage: vaejax COMMAND ...

Train latent-variable generative models in JAX, p(z), p(x | z) and q(z | x), and measure them.

train
  run EXPERIMENT         train, evaluate, draw samples, write a page; resume a stopped run
  train EXPERIMENT       train only
  bench EXPERIMENT       measure training steps per second, and the share of the matmul peak used
measure
  evaluate RUN           evaluate a run again, with other --evaluate.* or --data.* settings
  log-likelihood RUN     log p(x) by importance sampling, annealing, particle filters, or exactly
  gaps RUN               nats that the bound loses: to the family of q, and to the encoder
  cost RUN               bound against time: q optimized for each x, compared with the encoder
  posterior RUN          for a two-dimensional z: true posterior, encoder's q, and best q
  gradients RUN          bias, variance and signal-to-noise ratio of gradient estimators
  forecast RUN           predict the frames that follow a sequence's first ones, and score them
  compare RUN RUN ...    compare models: log p(x), samples, codes
use
  encode RUN [PATH]      mean and std of q(z | x), for a file, a folder of images, or test data
  sample RUN             draw z ~ p(z), x ~ p(x | z); from a denoising autoencoder, by its chain
  export RUN             write a folder to share: parameters, settings, results, model card
look
  runs [DIR]             list the runs below DIR, by default below runs: state, settings, result
  report RUN             write a run's figures and its page again, from its files
  experiments            list the experiments, with their expected and measured results
  data                   list the data sets and where they are, and the formats of your own data
  doctor                 print versions, devices, precision, and the folders of data and caches
  completion SHELL       print the script that completes commands and options in bash or zsh

  vaejax run digits_vae --model.latent-dim 2 --seeds 0 1 2 --name small
  vaejax run --config small --train.epochs 400
  vaejax evaluate RUN --data.name mine.npz
  vaejax encode RUN mine.npy --out codes.npz
  vaejax runs

EXPERIMENT is the name of an experiment, or the path of an experiment file.
RUN is the --name of a run below the folder runs, or the first digits (four or more) of its hash;
or a run's folder, <out>/<experiment>/<hash>/seed-<n>, or <out>/<experiment>/<hash> if that has
one seed only.
`vaejax run EXPERIMENT --help` lists every setting, with its type and default.
"""

# Command -> its module in `vaejax.commands`.
COMMANDS = {
    "run": "train",
    "train": "train",
    "evaluate": "measure",
    "log-likelihood": "measure",
    "gaps": "measure",
    "cost": "measure",
    "posterior": "measure",
    "gradients": "measure",
    "forecast": "measure",
    "compare": "compare",
    "encode": "encode",
    "sample": "sample",
    "runs": "runs",
    "export": "export",
    "report": "report",
    "experiments": "inspect",
    "data": "inspect",
    "doctor": "inspect",
    "bench": "inspect",
    "completion": "completion",
}

OF_EXPERIMENT = ("run", "train", "bench")
OF_RUN = (
    *("evaluate", "log-likelihood", "gaps", "cost", "posterior", "gradients", "forecast"),
    *("encode", "sample", "export", "report"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0; 2 for an error that the person can correct; 130
    or 143 after Ctrl-C or SIGTERM."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if arguments and arguments[0] == "--version":
        from vaejax import __version__

        print(f"vaejax {__version__}")
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        given = f"unknown command {arguments[0]!r}" if arguments else "no command"
        expected = expected_name("".join(arguments[:1]), COMMANDS)
        return _fail(f"{given}: {expected}; see vaejax --help")
    try:
        _check_first(arguments[0], arguments[1:])
        return _function(arguments[0])(arguments[1:]) or 0
    except UserError as error:
        from vaejax.arguments import in_options

        return _fail(in_options(error))
    except KeyboardInterrupt:
        print("vaejax: stopped; everything saved before is intact", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader closed the pipe, as `head` does
        return 0
    except OSError as error:
        return _fail(
            f"{error.filename or 'the disk'}: {error.strerror or error}; everything saved before "
            "is intact: correct this and run the same command again to resume"
        )
    except Exception as error:
        if not _is_of_jax_at_start(error):
            raise
        return _fail(_why_jax_does_not_start(error))


def _check_first(command: str, arguments: list[str]) -> None:
    """Raise UserError for an experiment or a run that does not exist, before the imports that take
    seconds."""
    named = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    if not named:
        return
    first = named[0]
    if command in OF_EXPERIMENT:
        from vaejax.experiment_folders import find

        find(first)
    elif command == "compare":
        from vaejax.run_records import find_runs

        for name in named:
            find_runs(name)
    elif command in OF_RUN:
        from vaejax.run_directory import RunDirectory
        from vaejax.run_records import find_run

        RunDirectory(find_run(first)).read_json("config.json")


def _function(command: str) -> Callable[[list[str]], int | None]:
    """The function of a command. Garbage collection is off during its imports: it would take a
    third of the time, and imported objects stay anyway."""
    name, collects = f"vaejax.commands.{COMMANDS[command]}", gc.isenabled()
    if name not in sys.modules:
        gc.disable()
        try:
            importlib.import_module(name)
        finally:
            gc.freeze()
            if collects:
                gc.enable()
    module = sys.modules[name]
    if COMMANDS[command] == "measure":  # one function for all measurements
        return functools.partial(module.measure, command)
    return getattr(module, command)


def _is_of_jax_at_start(error: Exception) -> bool:
    """Whether the error says that JAX cannot start here, or with these environment variables."""
    try:
        import jax
    except Exception:
        return True
    if "Unable to initialize backend" in str(error):
        return True
    if not isinstance(error, (RuntimeError, AssertionError)):
        return False
    try:
        jax.devices()
    except Exception as second:
        return (type(second), str(second)) == (type(error), str(error))
    return False


def _why_jax_does_not_start(error: Exception) -> str:
    reason = str(error).split(" (set JAX_PLATFORMS", 1)[0].split(" (you may need", 1)[0]
    reason = reason.rstrip(". ")
    platforms = os.environ.get("JAX_PLATFORMS")
    if isinstance(error, (RuntimeError, AssertionError)) and platforms:
        return (
            f"JAX does not start with JAX_PLATFORMS={platforms}: "
            f"{reason or 'this machine has no such device, or no plugin for it'}; expected cpu, "
            "cuda or tpu, whichever this machine has: set JAX_PLATFORMS=cpu, or unset it"
        )
    return (
        f"JAX does not start: {reason or type(error).__name__}; correct or unset the environment "
        "variable named here, set JAX_PLATFORMS=cpu to run without an accelerator, or "
        "reinstall vaejax"
    )


def _fail(message: str) -> int:
    print(f"vaejax: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
