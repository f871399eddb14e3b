"""The command line: which command, with what arguments. Nothing heavy is imported before it is
needed, so that `vaejax --help` answers at once."""

import gc
import importlib
import itertools
import os
import sys
from collections.abc import Callable

USAGE = """usage: vaejax COMMAND ...

Latent-variable generative models in JAX: p(z), p(x|z), q(z|x), and what each number is worth.

train
  run EXPERIMENT         train, evaluate, draw, summarize; resumes a stopped run
  train EXPERIMENT       train only
  bench EXPERIMENT       steps per second, and the share of this machine's matmul peak
measure
  evaluate RUN           measure a run again, with other --evaluate.* settings or --data.*
  log-likelihood RUN     log p(x) by importance sampling, annealing, particle filters, or exactly
  gaps RUN               how many nats the bound loses: to q's family, and to the encoder
  cost RUN               bound against time: q optimized for each x, beside the encoder
  posterior RUN          true posterior, encoder's q and best q, for a two-dimensional z
  gradients RUN          bias, variance and signal-to-noise ratio of gradient estimators
  forecast RUN           what the model says follows a sequence's first frames, against what did
  compare RUN RUN ...    models side by side, and their differences: log p(x), samples, codes
use
  encode RUN [FILE]      the mean and standard deviation of q(z | x), of your own x or of its data
  sample RUN             draw from the model: z ~ p(z), x ~ p(x | z); or by a denoising chain
  export RUN             a folder to share: safetensors, configuration, measurements, model card
look
  runs [DIR]             what has been run below runs, or DIR: states, settings, results
  report RUN             draw a run's figures and its HTML page from its files
  experiments            the experiments, with expected and measured results
  data                   the data sets: which are on disk, what is downloaded, fingerprints
  doctor                 versions, devices, precision, folders of data and caches
  completion SHELL       what makes bash or zsh complete commands, experiments and options

  vaejax run digits_vae --model.latent-dim 2 --seeds 0 1 2 --name small
  vaejax run --config small --train.epochs 400
  vaejax evaluate RUN --data.name mine.npz
  vaejax encode RUN mine.npy --out codes.npz
  vaejax runs

EXPERIMENT is a path to an experiment file or its stem. RUN is a folder
<out>/<experiment>/<hash>/seed-<n>, or that of a hash with one seed; or, of what is below runs, its
--name or the first digits of its hash.
`vaejax run EXPERIMENT --help` lists every setting, with its type and default.
"""

# The module of `vaejax.commands` that has each.
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
    """Run one command; returns the exit code: 0, 2 for an error that the person can mend, 130 or
    143 when stopped by Ctrl-C or SIGTERM."""
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
        return _fail(f"{given}: expected one of {', '.join(COMMANDS)}; see vaejax --help")
    from vaejax.errors import UserError

    try:
        _check_first(arguments[0], arguments[1:])
        return _function(arguments[0])(arguments[1:]) or 0
    except UserError as error:
        from vaejax.arguments import in_options

        return _fail(in_options(error))
    except KeyboardInterrupt:
        print("vaejax: stopped; what was saved before is intact", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has seen enough
        return 0
    except OSError as error:
        return _fail(
            f"{error.filename or 'the disk'}: {error.strerror or error}; what was saved before is "
            "intact: correct this and run the same command to resume"
        )
    except Exception as error:
        if not _is_of_jax_at_start(error):
            raise
        return _fail(_why_jax_does_not_start(error))


def _check_first(command: str, arguments: list[str]) -> None:
    """Raises UserError for an experiment or a run that is not there, before what takes seconds to
    import."""
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
    """What carries out a command. What is imported stays: to look for garbage among it takes a
    third of the time."""
    name, collects = f"vaejax.commands.{COMMANDS[command]}", gc.isenabled()
    if name not in sys.modules:
        gc.disable()
        try:
            importlib.import_module(name)
        finally:
            gc.freeze()
            if collects:
                gc.enable()
    return getattr(sys.modules[name], command.replace("-", "_"))


def _is_of_jax_at_start(error: Exception) -> bool:
    """Whether JAX refuses to start on this machine or with these environment variables."""
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
    except Exception as again:
        return (type(again), str(again)) == (type(error), str(error))
    return False


def _why_jax_does_not_start(error: Exception) -> str:
    reason = str(error).split(" (set JAX_PLATFORMS", 1)[0].split(" (you may need", 1)[0]
    reason = reason.rstrip(". ")
    platforms = os.environ.get("JAX_PLATFORMS")
    if isinstance(error, (RuntimeError, AssertionError)) and platforms:
        return (
            f"JAX does not start with JAX_PLATFORMS={platforms}: "
            f"{reason or 'this machine has no such device, or no plugin for it'}; expected one of "
            "cpu, cuda, tpu that is here: set JAX_PLATFORMS=cpu, or unset it"
        )
    return (
        f"JAX does not start: {reason or type(error).__name__}; correct or unset the environment "
        "variable that is named, set JAX_PLATFORMS=cpu to run without an accelerator, or "
        "reinstall vaejax"
    )


def _fail(message: str) -> int:
    print(f"vaejax: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
