"""`vaejax sample`."""

import dataclasses
from pathlib import Path

from vaejax.commands.common import run_and_options
from vaejax.commands.sample_sequences import sample_sequences
from vaejax.errors import UserError
from vaejax.evaluation import chain_samples
from vaejax.evaluation.evaluation_figures import samples_figure
from vaejax.evaluation.run import stream
from vaejax.evaluation.section import Figure, is_image
from vaejax.evaluation.streams import SAMPLE

CHAIN_STEPS = 200  # steps of a denoising autoencoder's chain, from a training image to a sample


@dataclasses.dataclass(frozen=True)
class Options:
    count: int = 64
    """Number of samples."""
    seed: int = 0
    """Seed of the samples."""
    chain_steps: int = CHAIN_STEPS
    """Steps of a denoising autoencoder's chain; other models draw z from p(z)."""
    forecast: int | None = None
    """Number of frames by which to continue test sequences, in place of drawing new ones."""
    example: int | None = None
    """Index of the one test sequence to continue; by default the first 3 are continued."""
    start: int | None = None
    """Number of frames that the model sees, by default all; draws are shown beside later ones."""
    actions: Path | None = None
    """A .npy file of actions, (time, action) or (count, time, action).
    They act on the new sequences, or on the frames that follow."""


def sample(arguments: list[str]) -> int:
    """Draw x from a run's model; write samples.npz and, of images, samples.png."""
    run, options = run_and_options("sample", arguments, Options)
    if options.count < 1 or not 0 <= options.seed < 2**32:
        raise UserError(
            "--count must be at least 1 and --seed from 0 to 2^32 - 1; got "
            f"{options.count} and {options.seed}"
        )
    if options.chain_steps < 1:
        raise UserError(f"--chain-steps must be at least 1; got {options.chain_steps}")
    if run.data.is_sequence and run.kind == "latent variable":
        return sample_sequences(run, options)
    for name in ("forecast", "example", "start", "actions"):
        if getattr(options, name) is not None:
            raise UserError(
                f"--{name} is for models of sequences; this run's model is not one: leave it out"
            )
    key = stream(options.seed, SAMPLE)
    source = "z ~ p(z)"
    if run.kind != "point mass":
        _, means, samples = run.sample(key, options.count)
    elif run.corrupt is None:
        raise UserError(
            f"{run.directory.path} is an autoencoder: it has no p(z) to draw z from, so it has "
            "no samples; digits_vae and mnist_vae train the same networks with a p(z)"
        )
    else:
        source = f"chain, step {options.chain_steps}"
        means, samples = chain_samples(key, run, options.count, num_steps=options.chain_steps)
        print(
            "this model has no p(z): each sample is the end of a chain that starts at a training "
            f"image and repeats corrupt, encode, draw x, {options.chain_steps} times"
        )
    arrays = {"samples": samples} if means is None else {"means": means, "samples": samples}
    run.directory.write_arrays("samples.npz", arrays)
    meaning = "samples = x ~ p(x)" if means is None else "means = E[x|z], samples = x ~ p(x|z)"
    which = f"{run.chosen} parameters (step {run.step:,})"
    print(f"{options.count} samples of {run.directory.label}, {which}")
    print(f"arrays: {run.directory.file('samples.npz')} ({meaning})")
    if is_image(samples):
        shown = {"samples": samples} if means is None else {"sample_means": means} | arrays
        png, _ = Figure("samples", lambda: samples_figure(shown, source)).drawn
        run.directory.write_bytes("samples.png", png)
        print(f"picture: {run.directory.file('samples.png')}")
    return 0
