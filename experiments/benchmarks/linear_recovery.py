"""How close a structured VAE with a linear system as p(z) comes to the system that made its data.

Dimensions of z and x (3, 5) and (5, 10), T = 200, 100 training, 20 validation and 100 test
sequences of random systems; svae_lds, 1,500 steps of 20 sequences, Adam from 0.01. Both the
learned and the true parameters go through one Kalman filter, written here in numpy: the error of
its prediction of x_t from x_1..x_(t-1), and log p(x), of the test sequences. float64.

Command:  python experiments/benchmarks/linear_recovery.py    (two systems of each size)
To reach: an error of prediction at most 5 % above, log p(x) within 1 % of the true system's
Measured: see linear_recovery.json. Errors of prediction 0.04 to 0.16 % above, log p(x) 0.02 to
0.05 % below: reached by all four systems
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import train_seeds, write

from vaejax.types import Conditions

SIZES, SYSTEMS, LENGTH = ((3, 5), (5, 10)), (0, 1), 200
COUNTS = {"train": 100, "validation": 20, "test": 100}
TRAINING = "--train.steps 1500 --train.batch-size 20 --train.learning-rate 1e-2"


class System(NamedTuple):
    """z_1 ~ N(m, P), z_t = A z_(t-1) + b + N(0, Q), x_t = C z_t + c + N(0, R)."""

    m: np.ndarray
    P: np.ndarray
    A: np.ndarray
    b: np.ndarray
    Q: np.ndarray
    C: np.ndarray
    c: np.ndarray
    R: np.ndarray


def random_system(rng, d: int, p: int) -> System:
    """Slowly decaying rotations of random angles, seen through a random matrix."""
    spectrum = np.exp(1j * rng.uniform(0.05, 0.8, d // 2))
    A = np.zeros((d, d))
    for i, value in enumerate(spectrum):
        block = [[value.real, -value.imag], [value.imag, value.real]]
        A[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = block
    if d % 2:
        A[-1, -1] = 1.0
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    A = 0.97 * turn @ A @ turn.T
    C, R = rng.normal(size=(p, d)), np.diag(rng.uniform(0.1, 0.5, p))
    return System(np.zeros(d), np.eye(d), A, np.zeros(d), 0.06 * np.eye(d), C, np.zeros(p), R)


def simulate(rng, s: System, n: int) -> np.ndarray:
    """x (n, LENGTH, p)."""
    d, p = len(s.A), len(s.C)
    Q, R = np.linalg.cholesky(s.Q), np.linalg.cholesky(s.R)
    z = s.m + rng.normal(size=(n, d)) @ np.linalg.cholesky(s.P).T
    x = np.empty((n, LENGTH, p))
    for t in range(LENGTH):
        if t:
            z = z @ s.A.T + s.b + rng.normal(size=(n, d)) @ Q.T
        x[:, t] = z @ s.C.T + s.c + rng.normal(size=(n, p)) @ R.T
    return x


def kalman(s: System, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each sequence: the squared error of the prediction of x_t, a value; log p(x) in nats."""
    n, T = x.shape[:2]
    mean, cov = np.tile(s.m, (n, 1)), s.P
    error, log_p = np.zeros(n), np.zeros(n)
    for t in range(T):
        S = s.C @ cov @ s.C.T + s.R
        away = x[:, t] - mean @ s.C.T - s.c
        error += np.mean(away**2, axis=1) / T
        solved = np.linalg.solve(S, away.T).T
        log_p -= 0.5 * (np.sum(away * solved, 1) + np.linalg.slogdet(2 * np.pi * S)[1])
        gain = np.linalg.solve(S, s.C @ cov).T
        mean = mean + away @ gain.T
        cov = cov - gain @ s.C @ cov
        mean, cov = mean @ s.A.T + s.b, s.A @ cov @ s.A.T + s.Q
    return error, log_p


def learned(run) -> System:
    """The parameters that a run ended with."""
    joint = run.joint(Conditions(jnp.ones(2, bool)))
    steps, d = joint.prior.steps, run.config.model.latent_dim

    def emitted(z):
        frame = joint.likelihood(jnp.stack([z, z])).at(0)
        return frame.mean(), frame.stddev()

    zeros = jnp.zeros(d)
    C = jax.jacobian(lambda z: emitted(z)[0])(zeros)
    c, scale = emitted(zeros)
    factors = np.asarray(steps.G, np.float64)
    covariances = factors @ np.swapaxes(factors, -1, -2)
    A, b = np.asarray(steps.A[1], np.float64), np.asarray(steps.b, np.float64)
    return System(
        b[0],
        covariances[0],
        A,
        b[1],
        covariances[1],
        np.asarray(C, np.float64),
        np.asarray(c, np.float64),
        np.diag(np.asarray(scale, np.float64) ** 2),
    )


def recovery(d: int, p: int, seed: int) -> dict:
    """Both figures of one random system."""
    rng = np.random.default_rng([d, p, seed])
    truth = random_system(rng, d, p)
    x = {split: simulate(rng, truth, n).astype(np.float32) for split, n in COUNTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "system.npz"
        lengths = {f"{split}_length": np.full(len(x[split]), LENGTH) for split in x}
        np.savez(file, **x, **lengths)
        arguments = f"--data.name {file} --model.latent-dim {d} {TRAINING}"
        trained = train_seeds("svae_lds", arguments, (seed,), Path(folder))
        system = learned(trained.runs[0])
    test = x["test"].astype(np.float64)
    (true_error, true_log_p), (error, log_p) = kalman(truth, test), kalman(system, test)
    frames, n = LENGTH, len(test)
    below = true_log_p - log_p
    return {
        "prediction_error": {"true": true_error.mean(), "learned": error.mean()},
        "error_above_true_percent": 100 * (error.mean() / true_error.mean() - 1),
        "nats_per_frame": {"true": -true_log_p.mean() / frames, "learned": -log_p.mean() / frames},
        "log_p_below_true_percent": 100 * below.mean() / abs(true_log_p.mean()),
        "nats_per_frame_below_true": [
            below.mean() / frames,
            below.std(ddof=1) / n**0.5 / frames,
        ],
        "seconds": trained.seconds,
    }


if __name__ == "__main__":
    rows = {}
    for d, p in SIZES:
        for seed in SYSTEMS:
            rows[f"z {d}, x {p}, system {seed}"] = found = recovery(d, p, seed)
            print(d, p, seed, found, flush=True)
            write("linear_recovery", "random linear systems", {"systems": rows})
