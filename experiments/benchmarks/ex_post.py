"""log p(x) of an autoencoder with a density fitted to its codes, compared with that of a VAE.

On the same test images and by the same estimator (`fitted_log_likelihood`: a Gaussian is fitted to
p(z | x) of each image, and AIS starts from it), log p(x) of

  VAE           its own p(z) = N(0, I), the encoder's mean where each fit starts
  AE, gaussian  p(z) one full-covariance Gaussian fitted to the training codes
  AE, mixture   p(z) a full-covariance mixture, its size chosen by held-out codes
  AE, flow      p(z) affine coupling layers

If the run has no validation split, the last sixth of the training images chooses sizes and stops
the flow; the encoder has seen them. The error of the estimator is measured on images that each
model simulates, between two bounds (bidirectional Monte Carlo). Results are kept in the folder
ex_post of each run and are not measured again.

Command:  python experiments/benchmarks/ex_post.py AE_RUN VAE_RUN [MODEL ...]
          (runs of `vaejax run mnist_ae --train.epochs 50` and `vaejax run mnist_vae`)
Expected: errors of at most 0.3 nats; the VAE ahead
Measured: see ex_post.json. VAE minus AE, nats, paired over 100 test images: one Gaussian 11.35
          +- 0.58 (data) +- 0.03 (Monte Carlo); a mixture of 50 Gaussians 0.73 +- 0.59 +- 0.03,
          which does not tell them apart. The VAE had 200 epochs, the AE 50. The flow: not measured
"""

import sys
import time

import common
import jax
import numpy as np

import vaejax
from vaejax.evaluation import (
    Run,
    ex_post_model,
    fit_code_density,
    fit_posterior,
    fitted_log_likelihood,
    mean_and_errors,
)
from vaejax.marginal_likelihood import bidirectional_monte_carlo

IMAGES, SIMULATED = 100, 16
ESTIMATOR = {"num_chains": 16, "num_temperatures": 200}
FIT = {"max_steps": 1000, "draws_per_step": 8}
NUM_SAMPLES = 2000
MODELS = ("VAE", "AE, gaussian", "AE, mixture", "AE, flow")
KEY = jax.random.key(0, impl="threefry2x32")


def training_codes(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(for the fit, for choosing)."""
    codes = run.encode(run.examples("train").x).mean
    if len(run.dataset.validation):
        return codes, run.encode(run.examples("validation").x).mean
    cut = len(codes) * 5 // 6
    return codes[:cut], codes[cut:]


def measured(run: Run, name: str) -> dict[str, np.ndarray]:
    """log p(x) of the test images, and both bounds of simulated ones."""
    path = run.directory.file("ex_post") / f"{name.split()[-1]}.npz"
    if path.exists():
        return dict(np.load(path))
    path.parent.mkdir(exist_ok=True)
    examples = run.examples("test", IMAGES)
    generative, theta, about = run.generative, run.params.generative, {}
    if name != "VAE":
        started = time.perf_counter()
        codes, held_out = training_codes(run)
        density = fit_code_density(KEY, name.split()[-1], codes, held_out)
        about["fit_seconds"] = time.perf_counter() - started
        about["held_out"] = np.asarray(jax.jit(density.distribution.log_prob)(held_out))
        about["components"] = len(getattr(density.distribution, "logits", [0]))
        generative = ex_post_model(generative, density.density)
        theta = theta, density.parameters
        print(name, {k: float(np.mean(v)) for k, v in about.items()}, flush=True)
    joint = generative.joint(theta)
    started = time.perf_counter()
    arrays = fitted_log_likelihood(
        KEY,
        generative,
        theta,
        run.encode(examples.x).mean,
        examples,
        num_samples=NUM_SAMPLES,
        **ESTIMATOR,
        **FIT,
    )
    about["seconds"] = time.perf_counter() - started
    np.savez(path, **arrays, **about)
    print(name, float(arrays["log_p"].mean()), f"{about['seconds']:.0f} s", flush=True)

    def posterior(x):
        return fit_posterior(KEY, joint, run.posterior(x).mean(), x, **FIT)[0]

    both = jax.jit(
        lambda key: bidirectional_monte_carlo(
            key, joint, posterior, num_examples=SIMULATED, **ESTIMATOR
        )
    )(jax.random.fold_in(KEY, 1))
    about |= {"simulated_lower": both.value, "simulated_gap": both.diagnostics["gap"]}
    np.savez(path, **arrays, **about)
    return dict(np.load(path))


def summary(arrays) -> dict:
    row = {
        name: mean_and_errors(arrays[name], arrays[f"{name}_std_error"])
        for name in ("log_p", "importance", "bound")
    }
    row["khat_above_0.7"] = int(np.sum(arrays["importance_khat"] > 0.7))
    row["fits_not_converged"] = int(np.sum(~arrays["fit_converged"]))
    row["fits_diverged"] = int(np.sum(arrays["fit_diverged"]))
    if "simulated_gap" in arrays:
        row["gap_on_simulated"] = mean_and_errors(arrays["simulated_gap"])
        row["gap_on_simulated"]["median"] = float(np.median(arrays["simulated_gap"]))
    if "components" in arrays:
        row["components"] = int(arrays["components"])
        row["log_density_of_held_out_codes"] = mean_and_errors(arrays["held_out"])
        row["fit_seconds"] = round(float(arrays["fit_seconds"]), 1)
    row["seconds"] = round(float(arrays["seconds"]), 1)
    return row


def difference(ahead, behind) -> dict:
    error = np.hypot(ahead["log_p_std_error"], behind["log_p_std_error"])
    return mean_and_errors(ahead["log_p"].astype(np.float64) - behind["log_p"], error)


def main() -> None:
    if len(sys.argv) < 3 or set(sys.argv[3:]) - set(MODELS):
        print(__doc__.split("Command:")[1].split("Expected:")[0], file=sys.stderr)
        sys.exit(2)
    runs = {"AE": vaejax.load(sys.argv[1]), "VAE": vaejax.load(sys.argv[2])}
    if runs["AE"].data.protocol() != runs["VAE"].data.protocol():
        print("the two runs are of different data, splits or binarization", file=sys.stderr)
        sys.exit(2)
    arrays = {}
    for name in sys.argv[3:] or MODELS:
        arrays[name] = measured(runs[name.split(",")[0]], name)
        rows = {model: summary(found) for model, found in arrays.items()}
        print(name, rows[name]["log_p"], rows[name].get("gap_on_simulated"), flush=True)
        content = {
            "images": IMAGES,
            "split": "test",
            "protocol": runs["AE"].data.protocol(),
            "estimator": {"start": "diagonal Gaussian fitted to each image", **ESTIMATOR, **FIT},
            "importance_samples": NUM_SAMPLES,
            "simulated_images": SIMULATED,
            "runs": {
                kind: {
                    "experiment": run.name,
                    "epochs": run.config.train.epochs,
                    "step": run.step,
                    "parameters": run.chosen,
                }
                for kind, run in runs.items()
            },
            "nats": rows,
        }
        if "VAE" in arrays:
            content["VAE_minus"] = {
                model: difference(arrays["VAE"], found)
                for model, found in arrays.items()
                if model != "VAE"
            }
        common.write("ex_post", "mnist, dynamic, test", content)


if __name__ == "__main__":
    main()
