"""The command line as a person meets it: what it prints, writes, refuses, and survives."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vaejax.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent

SMALL = (
    "--model.hidden 16 --model.latent-dim 2 --train.epochs 3 --train.validations 3 "
    "--evaluate.num-samples 50"
).split()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two seeds of a tiny VAE and a tiny autoencoder, run once for all tests of this file."""
    out = tmp_path_factory.mktemp("runs")
    assert main(["run", "digits_vae", *SMALL, "--seeds", "0", "1", "--out", str(out)]) == 0
    assert main(["run", "digits_ae", *SMALL, "--out", str(out)]) == 0
    return out


def folder(out: Path, experiment: str, seed: int = 0) -> Path:
    (found,) = out.glob(f"{experiment}/*/seed-{seed}")
    return found


def refused(capsys, arguments, *words):
    """Exit code 2 and one line on stderr, holding each of the words."""
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    error = [line for line in error if line.startswith("vaejax: ")]
    assert len(error) == 1
    assert "---" not in error[0]
    for word in words:
        assert word in error[0], error[0]


def test_help_is_quick_and_names_every_command():
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "vaejax.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < 1.0
    assert all(f"  {command} " in result.stdout for command in COMMANDS)


def test_a_run_explains_itself(runs):
    for seed in (0, 1):
        run = folder(runs, "digits_vae", seed)
        config = json.loads((run / "config.json").read_text())
        assert config["seed"] == seed
        assert config["config"]["model"]["hidden"] == [16]
        manifest = json.loads((run / "manifest.json").read_text())
        assert manifest["data"]["train"] == 1300
        assert manifest["prng"] == "threefry2x32"
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [13, 26, 39]
        for line in lines:
            assert 0 <= line["active_units"] <= 2
            assert len(line["kl_per_dimension"]) == 2
            kl = line["information_lower"] + line["aggregate_kl_upper"]
            assert abs(sum(line["kl_per_dimension"]) - kl) < 0.3  # two draws of z an example
            assert line["information_lower"] <= min(line["information_upper"], np.log(300))
        figures = {path.stem for path in (run / "figures").glob("*.png")}
        assert figures == {
            "reconstructions",
            "samples",
            "manifold",
            "codes",
            "training",
            "latents",
            "kl_per_dimension",
        }
        page = (run / "report.html").read_text()
        assert "data:image/png;base64" in page
        assert "http" not in page.replace("http-equiv", "")


def test_the_summary_is_that_of_the_arrays(runs):
    """evaluation.json against means and errors computed here from evaluation.npz."""
    run = folder(runs, "digits_vae")
    evaluation = json.loads((run / "evaluation.json").read_text())
    arrays = np.load(run / "evaluation.npz")
    entry = evaluation["summary"]["iwae"]
    values = arrays["iwae"].astype(np.float64)
    assert entry["n"] == len(values) == 297
    assert abs(entry["mean"] - values.mean()) < 1e-9
    assert abs(entry["std_error_data"] - np.std(values, ddof=1) / 297**0.5) < 1e-9
    assert entry["mean"] >= evaluation["summary"]["elbo"]["mean"]


def test_an_autoencoder_says_what_it_has_no_answer_to(runs, capsys):
    run = folder(runs, "digits_ae")
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["kind"] == "point mass"
    assert not {"iwae", "elbo", "kl"} & set(evaluation["summary"])
    page = (run / "report.html").read_text()
    assert "no log p(x)" in page
    assert not (run / "figures" / "samples.png").exists()
    refused(capsys, ["sample", str(run)], "autoencoder", "no p(z)")


def test_a_finished_run_is_reported_not_redone(runs, capsys):
    run = folder(runs, "digits_vae")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    arguments = ["run", "digits_vae", *SMALL, "--seeds", "0", "1", "--out", str(runs)]
    capsys.readouterr()
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    printed = capsys.readouterr().out
    assert "Over 2 seeds" in printed
    assert "IWAE-50" in printed


def test_evaluate_again_with_other_settings(runs, capsys):
    run = str(folder(runs, "digits_vae", 1))
    assert (
        main(["evaluate", run, "--evaluate.split", "validation", "--evaluate.examples", "20"]) == 0
    )
    assert "validation split, n = 20" in capsys.readouterr().out
    refused(capsys, ["evaluate", run, "--evaluate.examples", "100000"], "100000", "297")


def test_a_run_reports_its_own_settings_after_another_evaluation(runs, capsys):
    """`evaluate` with other settings does not end up in what `run` says, nor in its seed mean."""
    arguments = ["run", "digits_vae", *SMALL, "--seeds", "0", "1", "--out", str(runs)]
    assert main(arguments) == 0
    before = capsys.readouterr().out
    assert main(["evaluate", str(folder(runs, "digits_vae")), "--evaluate.num-samples", "1"]) == 0
    capsys.readouterr()
    assert main(arguments) == 0
    assert capsys.readouterr().out == before
    # What was measured by other settings is kept beside.
    kept = list((folder(runs, "digits_vae") / "evaluation").glob("earlier-*.json"))
    assert 1 in [json.loads(path.read_text())["settings"]["num_samples"] for path in kept]
    assert main([*arguments, "--evaluate.num-samples", "30"]) == 0
    assert "IWAE-30" in capsys.readouterr().out
    assert main(arguments) == 0


def test_a_run_measured_before_its_end_is_measured_again(runs, tmp_path, capsys):
    shutil.copytree(folder(runs, "digits_vae").parent, tmp_path / "digits_vae" / "any")
    run = tmp_path / "digits_vae" / "any" / "seed-0"
    evaluation = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(evaluation | {"step": 13}))
    (run.parent).rename(run.parent.with_name(folder(runs, "digits_vae").parent.name))
    assert main(["run", "digits_vae", *SMALL, "--out", str(tmp_path)]) == 0
    found = json.loads((folder(tmp_path, "digits_vae") / "evaluation.json").read_text())
    assert found["step"] == 39
    assert found["summary"] == evaluation["summary"]


LITTLE = (
    "--examples 30 --num-samples 60 --num-chains 4 --num-temperatures 16 --num-leapfrog 2"
).split()


@pytest.fixture(scope="module")
def measured(runs, tmp_path_factory):
    """A copy of a run whose log p(x) is estimated by all estimators, and what was printed."""
    run = tmp_path_factory.mktemp("log_likelihood") / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["log-likelihood", str(run), "--estimator", "all", *LITTLE]) == 0
    return run, printed.getvalue()


def test_log_likelihoods_come_with_protocol_errors_and_flags(measured):
    run, printed = measured
    for words in ("AIS", "importance sampling", "SMC", "bits/dim", "+- MC", "n = 30", "no bound"):
        assert words in printed
    found = {path.name.split("-")[0]: path for path in (run / "log_likelihood").glob("*.npz")}
    assert set(found) == {"importance", "annealed", "smc", "bidirectional"}
    values = {name: dict(np.load(path)) for name, path in found.items()}
    # The same images: the estimators agree within their errors, on average.
    for other in ("importance", "smc"):
        difference = values["annealed"]["value"] - values[other]["value"]
        assert abs(difference.mean()) < 4 * difference.std(ddof=1) / 30**0.5 + 0.05
    (file,) = (run / "log_likelihood").glob("*.json")
    summary = json.loads(file.read_text())["summary"]["bidirectional"]
    assert abs(summary["gap"]["mean"] - values["bidirectional"]["gap"].mean()) < 1e-6
    assert (run / "figures" / "log_likelihood.png").stat().st_size > 10_000


def test_a_budget_ends_the_work_for_a_target_and_it_goes_on_to_the_same_numbers(
    measured, runs, tmp_path, capsys
):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    target = ["--target-std-error", "0.05"]
    arguments = ["log-likelihood", str(run), "--estimator", "importance", *LITTLE, *target]
    assert main([*arguments, "--budget", str(25 * 60 + 20 * 60)]) == 0
    (file,) = (run / "log_likelihood").glob("importance*.npz")
    arrays = dict(np.load(file))
    assert arrays["rounds"].sum() <= 45 < arrays["rounds"].sum() + 25
    assert "stopped by --budget" in capsys.readouterr().out
    assert main(arguments) == 0
    whole = np.load(measured[0] / "log_likelihood" / file.name)
    for name, values in np.load(file).items():
        np.testing.assert_array_equal(values, whole[name])


def test_log_likelihoods_that_make_no_sense(measured, runs, capsys):
    run = str(measured[0])
    ask = ["log-likelihood", run]
    refused(capsys, [*ask, "--estimator", "bidirectional", "--split", "test"], "no bound")
    refused(capsys, [*ask, "--estimator", "smc", "--start", "both"], "smc starts at one place")
    refused(capsys, [*ask, "--examples", "100000"], "100000", "297")
    refused(capsys, [*ask, "--num-chains", "0"], "--num-chains must be at least 1; got 0")
    refused(capsys, [*ask, "--defensive", "1"], "--defensive", "below 1")
    refused(capsys, [*ask, "--target-std-error", "nan"], "--target-std-error must be above 0")
    refused(capsys, ["log-likelihood", str(folder(runs, "digits_ae"))], "autoencoder", "no p(z)")


def test_gradients_come_as_one_table_with_its_protocol(runs, capsys):
    run = folder(runs, "digits_vae")
    arguments = "--examples 5 --num-samples 4 --replicates 40 --reference-samples 60".split()
    assert main(["gradients", str(run), *arguments]) == 0
    printed = capsys.readouterr().out
    for words in ("sticking the landing", "DReG", "first 5 of the train split", "40 gradients"):
        assert words in printed
    (file,) = (run / "gradients").glob("*.json")
    found = json.loads(file.read_text())
    assert found["settings"]["num_samples"] == [4]
    assert found["protocol"]["data"] == "digits"
    assert {row["num_samples"] for row in found["summary"]["rows"]} == {1, 4}
    for row in found["summary"]["rows"]:
        assert row["variance"] > 0
        assert row["bias_z"] < 5
    sizes = {row["part"]: row["parameters"] for row in found["summary"]["rows"]}
    assert sizes["encoder"] == 64 * 16 + 16 + 16 * 4 + 4 + 4  # and where lambda starts
    refused(capsys, ["gradients", str(run), "--replicates", "3"], "--replicates", "20", "3")
    refused(capsys, ["gradients", str(run), "--examples", "2000"], "2000", "1300")
    refused(capsys, ["gradients", str(folder(runs, "digits_ae"))], "autoencoder", "point mass")


def test_an_evaluation_says_how_much_the_code_carries(runs):
    """The bounds add up to the KL, whatever the split; a point mass has none."""
    run = folder(runs, "digits_vae", 1)
    evaluation = json.loads((run / "evaluation.json").read_text())
    means = {
        name: entry["mean"]
        for name, entry in evaluation["summary"].items()
        if "_" in name and isinstance(entry, dict)
    }
    assert means["information_lower"] < means["information_upper"]
    assert means["information_lower"] <= np.log(evaluation["summary"]["n"]) + 1e-5
    total = means["information_lower"] + means["aggregate_kl_upper"]
    kl = evaluation["summary"]["kl"]
    parts = ("kl", "information_lower", "aggregate_kl_upper")
    error = sum(evaluation["summary"][name]["std_error_monte_carlo"] for name in parts)
    assert abs(total - kl["mean"]) < 4 * error
    page = (run / "report.html").read_text()
    assert "I_q(x; z), at least" in page
    other = json.loads((folder(runs, "digits_ae") / "evaluation.json").read_text())
    assert "information_lower" not in other["summary"]


def test_sample_writes_draws_of_the_model(runs, capsys):
    run = folder(runs, "digits_vae")
    assert main(["sample", str(run), "--count", "30"]) == 0
    arrays = np.load(run / "samples.npz")
    assert arrays["samples"].shape == (30, 8, 8)
    assert set(np.unique(arrays["samples"])) <= {0.0, 1.0}
    first = arrays["samples"]
    assert main(["sample", str(run), "--count", "30", "--seed", "1"]) == 0
    assert (np.load(run / "samples.npz")["samples"] != first).any()


def test_report_needs_only_files(runs):
    run = folder(runs, "digits_vae")
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").exists()


def test_lists_and_doctor(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for command, words in (
        ("experiments", ("digits_vae", "Expected:", "mnist_iwae")),
        ("data", ("digits", "1300", "would fetch", "binarized_mnist")),
        ("doctor", ("jaxlib", "devices", "cache", str(tmp_path))),
    ):
        assert main([command]) == 0
        printed = capsys.readouterr().out
        assert all(word in printed for word in words)


def test_bench_reports_a_share_of_the_matmul_peak(capsys):
    assert main(["bench", "digits_vae", *SMALL[:4]]) == 0
    printed = capsys.readouterr().out
    assert "steps/s" in printed
    assert "matmul peak" in printed


def test_what_a_person_can_get_wrong(capsys, tmp_path):
    out = ["--out", str(tmp_path / "runs")]
    refused(capsys, ["walk"], "unknown command 'walk'", "run")
    refused(capsys, ["run"], "expects an experiment")
    refused(capsys, ["run", "mnist_vea"], "mnist_vea", "mnist_vae")
    refused(capsys, ["run", "digits_vae", "--train.epoch", "3"], "--train.epoch", "--train.epochs")
    refused(capsys, ["run", "digits_vae", "--train.epochs", "many"], "--train.epochs", "many")
    refused(capsys, ["run", "digits_vae", "--train.epochs", "0"], "--train.epochs", "at least 1")
    refused(capsys, ["run", "digits_vae", "--train.schedule", "fast"], "fast", "cosine")
    refused(capsys, ["run", "digits_vae", "--seeds", "1", "1"], "--seeds", "different")
    refused(capsys, ["run", "digits_vae", "--train.batch-size", "5000", *out], "5000", "1300")
    refused(capsys, ["run", "digits_vae", "--evaluate.examples", "5000", *out], "5000", "297")
    refused(capsys, ["run", "digits_vae", "--seeds", "4294967296", *out], "2^32")
    (tmp_path / "file").write_text("")
    refused(capsys, ["run", "digits_vae", "--out", str(tmp_path / "file")], "Not a directory")
    refused(capsys, ["run", "digits_vae", "--data.name", "cifar"], "cifar", "mnist")
    refused(
        capsys,
        ["run", "digits_vae", "--data.binarization", "none", *out],
        "bernoulli",
        "binarization",
        "discretized_logistic",
    )
    refused(capsys, ["run", "digits_vae", "--data.binarization", "static"], "static", "0 and 1")
    refused(capsys, ["evaluate", str(tmp_path)], "no run directory")
    broken = tmp_path / "broken.py"
    broken.write_text("config = 3\n")
    refused(capsys, ["run", str(broken)], "no experiment", "build")
    broken.write_text("import a_module_that_is_not_there\n")
    refused(capsys, ["run", str(broken)], "a_module_that_is_not_there")
    assert not (tmp_path / "runs").exists()


def test_damaged_files_of_a_run(runs, capsys):
    run = folder(runs, "digits_ae")
    content = (run / "evaluation.npz").read_bytes()
    (run / "evaluation.npz").write_bytes(content[: len(content) // 2])
    refused(capsys, ["report", str(run)], "evaluation.npz is damaged", "vaejax evaluate")
    (run / "evaluation.npz").write_bytes(content)
    original = (run / "config.json").read_text()
    (run / "config.json").write_text('{"seed": 0}')
    refused(capsys, ["sample", str(run)], "config.json is damaged")
    (run / "config.json").write_text(original)


def test_a_run_directory_of_another_configuration(runs, capsys):
    run = folder(runs, "digits_ae")
    config = json.loads((run / "config.json").read_text())
    original = (run / "config.json").read_text()
    config["config"]["train"]["learning_rate"] = 0.5
    (run / "config.json").write_text(json.dumps(config))
    arguments = ["run", "digits_ae", *SMALL, "--out", str(runs)]
    refused(capsys, arguments, "another configuration", "learning_rate: 0.5 there, 0.001 here")
    (run / "config.json").write_text(original)


def test_other_data_than_a_run_was_trained_on(tmp_path, capsys):
    path = tmp_path / "mine.npz"
    random = np.random.RandomState(0)
    arrays = {
        name: random.randint(0, 2, (200, 8, 8)).astype(np.uint8) for name in ("train", "test")
    }
    np.savez(path, **arrays)
    arguments = ["run", "digits_vae", *SMALL, "--data.name", str(path), "--out", str(tmp_path)]
    assert main(arguments) == 0
    run = folder(tmp_path, "digits_vae")
    arrays["test"] = 1 - arrays["test"]
    np.savez(path, **arrays)
    refused(capsys, ["evaluate", str(run)], "fingerprint", "comparable")
    assert main(arguments) == 0  # other data are another run
    assert len(list((tmp_path / "digits_vae").iterdir())) == 2


def test_a_file_of_data_that_moves_keeps_its_run(tmp_path, capsys):
    here, there = tmp_path / "mine.npz", tmp_path / "moved.npz"
    np.savez(here, **{name: np.eye(64).reshape(64, 8, 8) > 0 for name in ("train", "test")})
    command = ["run", "digits_vae", *SMALL, "--out", str(tmp_path / "runs"), "--data.name"]
    size = ["--train.batch-size", "32"]
    assert main([*command, str(here), *size]) == 0
    here.rename(there)
    before = sorted((tmp_path / "runs").rglob("evaluation.json"))
    assert main([*command, str(there), *size]) == 0
    assert sorted((tmp_path / "runs").rglob("evaluation.json")) == before
    run = folder(tmp_path / "runs", "digits_vae")
    assert json.loads((run / "config.json").read_text())["config"]["data"]["name"] == str(there)
    assert main(["evaluate", str(run)]) == 0


def test_grey_and_real_data_with_their_own_likelihoods(tmp_path):
    """Discretized logistic on grey digits, Gaussian on real vectors: the whole command."""
    grey = ["--data.binarization", "none", "--model.likelihood", "discretized_logistic"]
    assert main(["run", "digits_vae", *SMALL, *grey, "--out", str(tmp_path)]) == 0
    path = tmp_path / "real.npy"
    np.save(path, np.random.RandomState(0).randn(2000, 5))
    real = ["--data.name", str(path), "--model.likelihood", "gaussian"]
    assert main(["run", "digits_vae", *SMALL, *real, "--out", str(tmp_path / "real")]) == 0
    evaluation = json.loads(
        (folder(tmp_path / "real", "digits_vae") / "evaluation.json").read_text()
    )
    # White noise: no model does better than its entropy, 5/2 log(2 pi e) = 7.09 nats.
    entry = evaluation["summary"]["iwae"]
    assert -entry["mean"] > 7.09 - 4 * entry["std_error_data"]


def test_a_diverging_run_names_the_step_and_keeps_a_checkpoint(tmp_path, capsys):
    arguments = [
        "run",
        "digits_vae",
        *SMALL,
        "--train.learning-rate",
        "1e12",
        "--out",
        str(tmp_path),
    ]
    refused(capsys, arguments, "seed 0", "stopped being finite at step", "--train.learning-rate")
    assert list((folder(tmp_path, "digits_vae") / "checkpoints").glob("*/"))


def start(arguments, log, **environment):
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import vaejax.commands.train as c; c.CHECKPOINT_SECONDS = 0.0; "
            f"import sys; from vaejax.cli import main; sys.exit(main({arguments!r}))",
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_gone_on_gives_the_same_bits(tmp_path, how):
    """A run stopped in the middle, then continued, against one never stopped: every metric and
    every per-example measurement is equal, bit for bit."""
    settings = ["digits_vae", *SMALL[:4], "--train.epochs", "50", "--evaluate.num-samples", "20"]
    assert main(["run", *settings, "--out", str(tmp_path / "whole")]) == 0
    arguments = ["run", *settings, "--out", str(tmp_path / "cut")]
    with (tmp_path / "log").open("w+") as log:
        process = start(arguments, log)
        checkpoints = lambda: list(tmp_path.glob("cut/*/*/seed-0/checkpoints/[1-9]*/_CHECKPOINT*"))  # noqa: E731
        wait_for(lambda: len(checkpoints()) > 0, process)
        process.send_signal(how)
        code = process.wait()
        log.seek(0)
        text = log.read()
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 128 + signal.SIGINT)
    if how == signal.SIGINT:
        assert "run the same command to go on" in text
    assert main(arguments) == 0
    whole, cut = (folder(tmp_path / name, "digits_vae") for name in ("whole", "cut"))

    def metrics(run):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]

    # The epoch that was cut logs only its second half; the others agree exactly.
    ours, theirs = metrics(cut), metrics(whole)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) <= 1
    a, b = np.load(whole / "evaluation.npz"), np.load(cut / "evaluation.npz")
    for name in a.files:
        np.testing.assert_array_equal(a[name], b[name])
