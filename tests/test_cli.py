"""The command line as a person meets it: what it prints, writes, refuses, and survives."""

import contextlib
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest

import vaejax
from tests.devices import first, train_and_evaluate, trainer_of_all
from vaejax.cli import COMMANDS, main
from vaejax.evaluation import MEASUREMENTS
from vaejax.evaluation.gap_arithmetic import with_log_p
from vaejax.training.checkpoint import Checkpoints

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


OUTSIDE = """from tests.pairs import digits_pair, elbo_objective
from vaejax.experiment import Config, Data, Experiment

config = Config(data=Data("digits", binarization="none"))


def build(config, data):
    return Experiment(*digits_pair(), elbo_objective)
"""


def test_data_outside_the_support_of_the_likelihood_are_refused(tmp_path, capsys):
    path = tmp_path / "outside.py"
    path.write_text(OUTSIDE)
    arguments = ["run", str(path), "--out", str(tmp_path)]
    refused(capsys, arguments, "Bernoulli is over values 0 and 1; got values from 0 to 1")


def test_help_is_quick_and_names_every_command():
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "vaejax.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < 1.0
    assert all(f"  {command} " in result.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    "command, setting",
    [(command, "--data.name") for command in MEASUREMENTS]
    + [("sample", "--count"), ("encode", "--split"), ("export", "--out"), ("compare", "--samples")],
)
def test_help_needs_no_run(command, setting, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert setting in capsys.readouterr().out


def test_no_colours_where_none_are_wanted():
    """On a terminal, which has them otherwise."""
    printed = {}
    for name in ("NO_COLOR", "COLOURS"):
        ours, theirs = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        environment |= {name: "1", "TERM": "xterm"}
        command = [sys.executable, "-m", "vaejax.cli", "runs", "--help"]
        subprocess.run(command, stdout=theirs, env=environment, check=True)
        printed[name] = os.read(ours, 100_000).decode()
        os.close(ours)
        os.close(theirs)
    assert "\x1b[" in printed["COLOURS"]
    assert "\x1b[" not in printed["NO_COLOR"] and "--json" in printed["NO_COLOR"]


def test_what_is_refused_is_refused_before_what_it_does_not_need_is_imported():
    """An unknown file or run before JAX; an unknown setting before what draws, fits and saves."""
    script = (
        "import sys\nfrom vaejax.cli import main\n"
        "for first in (['run'], ['bench'], ['evaluate'], ['compare', 'nor this']):\n"
        "    command = [*first, 'nosuch']\n"
        "    assert main(command) == 2 and 'jax' not in sys.modules\n"
        "assert main(['run', 'digits_vae', '--model.no-such', '3']) == 2\n"
        "print(*sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0 and found.stderr.count("\n") == 5, found.stderr
    heavy = {"matplotlib.pyplot", "sklearn", "scipy.stats", "orbax.checkpoint"}
    assert not heavy & set(found.stdout.split())


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


def test_codes_of_a_persons_own_examples(runs, tmp_path, capsys):
    run, xs = folder(runs, "digits_vae"), np.random.RandomState(0).random((7, 8, 8)) > 0.5
    np.save(tmp_path / "xs.npy", xs)
    out = tmp_path / "codes.npz"
    assert main(["encode", str(run), str(tmp_path / "xs.npy"), "--out", str(out)]) == 0
    assert "7 examples" in capsys.readouterr().out
    q = vaejax.load(run).posterior(xs[4].astype(np.float32))
    with np.load(out) as codes:
        assert codes["mean"].shape == codes["std"].shape == (7, 2)
        np.testing.assert_allclose(codes["mean"][4], q.mean(), rtol=1e-4, atol=1e-6)
    assert main(["encode", str(run)]) == 0
    with np.load(run / "codes.npz") as codes, np.load(run / "evaluation.npz") as measured:
        np.testing.assert_allclose(codes["mean"], measured["code"], rtol=1e-4, atol=1e-5)
    np.save(tmp_path / "other.npy", xs[:, :4])
    refused(capsys, ["encode", str(run), str(tmp_path / "other.npy")], "(n, 8, 8)", "(7, 4, 8)")
    refused(capsys, ["encode", str(run), str(tmp_path / "none.npy")], "no file")
    images = tmp_path / "images"
    images.mkdir()
    for i, x in enumerate(xs):
        PIL.Image.fromarray(np.uint8(16 * x)).save(images / f"{i}.png")
    assert main(["encode", str(run), str(images)]) == 0
    with np.load(run / "codes.npz") as found, np.load(out) as codes:
        np.testing.assert_allclose(found["mean"], codes["mean"], rtol=1e-4, atol=1e-6)
        assert found["files"].tolist() == [f"{i}.png" for i in range(7)]
    refused(capsys, ["encode", str(run), str(images / "0.png")], "single image", "a folder")


def test_a_run_is_measured_on_other_data_beside_its_own(runs, tmp_path, capsys):
    run, xs = folder(runs, "digits_vae"), np.random.RandomState(0).randint(0, 2, (30, 8, 8))
    before = (run / "evaluation.json").read_bytes()
    path = tmp_path / "other.npz"
    np.savez(path, train=xs[:20], test=xs[20:])
    assert main(["evaluate", str(run), "--data.name", str(path)]) == 0
    assert "other [" in capsys.readouterr().out
    assert (run / "evaluation.json").read_bytes() == before
    (apart,) = (run / "other_data").glob("other-static-*")
    about = json.loads((apart / "evaluation.json").read_text())
    assert about["protocol"]["data"] == "other" and about["summary"]["n"] == 10
    # What is not drawn: the error of the reconstruction from the code.
    one = vaejax.load(run)
    mean = one.encode(xs[20:]).mean
    images = jax.vmap(lambda z: one.joint().likelihood(z).mean())(mean)
    errors = np.sum((xs[20:] - images) ** 2, axis=(1, 2))
    assert abs(about["summary"]["squared_error"]["mean"] - errors.mean()) < 1e-3
    np.savez(path, train=xs[:20, :4], test=xs[20:, :4])
    refused(capsys, ["evaluate", str(run), "--data.name", str(path)], "(4, 8)", "(8, 8)")
    refused(capsys, ["gaps", str(run), "--data.name", "lds"], "sequences", "values 0 and 1")


def test_several_seeds_are_summarized_in_a_file(runs):
    assert main(["run", "digits_vae", *SMALL, "--seeds", "0", "1", "--out", str(runs)]) == 0
    about = json.loads((folder(runs, "digits_vae").parent / "seeds.json").read_text())
    values = [
        json.loads((folder(runs, "digits_vae", s) / "evaluation.json").read_text())["summary"]
        for s in about["seeds"]
    ]
    (row,) = (row for row in about["rows"] if row["name"] == "elbo")
    first, second = (-value["elbo"]["mean"] for value in values)
    assert about["seeds"] == [0, 1]
    assert abs(row["mean"] - (first + second) / 2) < 1e-9
    assert abs(row["std_error_seeds"] - abs(first - second) / 2) < 1e-9


def test_the_runs_are_listed_without_jax(runs):
    assert main(["run", "digits_vae", *SMALL, "--seeds", "0", "1", "--out", str(runs)]) == 0
    code = (
        "import sys; from vaejax.cli import main\n"
        f"assert main(['runs', {str(runs)!r}]) == 0; assert 'jax' not in sys.modules"
    )
    listed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    lines = [" ".join(line.split()) for line in listed.stdout.decode().splitlines()]
    assert len(lines) == 5  # a header, an autoencoder, a VAE's two seeds and their mean
    evaluation = json.loads((folder(runs, "digits_vae", 1) / "evaluation.json").read_text())
    entry = evaluation["summary"]["iwae"]
    result = f"{-entry['mean']:.3f} +- {entry['std_error_data']:.3f} nats"
    assert any(line.startswith("digits_vae 1 finished") and result in line for line in lines)
    (together,) = (line for line in lines if line.startswith("digits_vae 0, 1 -log p(x) <= "))
    assert "nats over seeds (IWAE-50)" in together


def test_a_name_is_shown_and_stands_for_its_run(runs, tmp_path, capsys, monkeypatch):
    shutil.copytree(runs / "digits_ae", tmp_path / "runs" / "digits_ae")
    monkeypatch.chdir(tmp_path)
    run = folder(Path("runs"), "digits_ae")
    assert main(["run", "--config", str(run), "--name", "small one"]) == 0  # the very same run
    assert f"small one ({'/'.join(run.parts[1:])})" in capsys.readouterr().out
    assert main(["report", "small one"]) == 0
    assert "<h1>small one, digits_ae, seed 0</h1>" in (run / "report.html").read_text()
    assert main(["runs"]) == 0
    assert "small one (digits_ae)" in capsys.readouterr().out
    assert main(["train", "--config", str(run), "--name", "small"]) == 0
    assert f"{run.parent}: renamed from small one to small\n" in capsys.readouterr().err
    assert main(["train", "--config", str(run), "--name", "small one"]) == 0
    refused(capsys, ["run", "digits_ae", "--name", "a/b"], "--name")
    other = [str(run), "--train.epochs", "1", "--name", "short"]
    assert main(["train", "--config", *other]) == 0
    assert main(["runs", "--json"]) == 0
    printed = capsys.readouterr().out
    listed = json.loads(printed[printed.index("{") :])["runs"]
    found = {row["name"]: (row["state"], row["steps"], row["settings"]) for row in listed}
    assert found == {
        "small one": ("finished", 39, {"train.epochs": 3}),
        "short": ("trained", 13, {"train.epochs": 1}),
    }


def test_a_run_reports_its_own_settings_after_another_evaluation(runs, capsys):
    """`evaluate` with other settings does not end up in what `run` says, nor in its seed mean."""
    arguments = ["run", "digits_vae", *SMALL, "--seeds", "0", "1", "--out", str(runs)]
    assert main(arguments) == 0
    before = capsys.readouterr().out
    assert main(["evaluate", str(folder(runs, "digits_vae")), "--evaluate.num-samples", "1"]) == 0
    capsys.readouterr()
    assert main(arguments) == 0
    assert capsys.readouterr().out == before
    seeds = folder(runs, "digits_vae").parent / "seeds.json"
    for seed, there in ((0, False), (1, True)):
        few = ["--evaluate.num-samples", "1"]
        assert main(["evaluate", str(folder(runs, "digits_vae", seed)), *few]) == 0
        assert seeds.exists() is there
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
    for words in (
        "AIS",
        "importance sampling",
        "SMC",
        "bits/dim",
        "+- MC",
        "n = 30",
        "not bounds for real data",
    ):
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


def test_a_stopped_estimate_goes_on_to_the_same_numbers(measured, runs, tmp_path, capsys):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    arguments = ["log-likelihood", str(run), "--estimator", "annealed", *LITTLE]
    (file,) = (measured[0] / "log_likelihood").glob("*.json")
    about = json.loads(file.read_text())["summary"]["annealed"]
    block = 25 * about["evaluations_per_estimate"]
    refused(capsys, [*arguments, "--budget", str(block - 1)], "--budget", "first block")
    assert main([*arguments, "--budget", str(block)]) == 0
    printed = capsys.readouterr().out
    assert "n = 25" in printed and "stopped by budget" in printed
    assert main(arguments) == 0
    (ours,) = (run / "log_likelihood").glob("annealed*.npz")
    whole = np.load(measured[0] / "log_likelihood" / ours.name)
    for name, values in np.load(ours).items():
        np.testing.assert_array_equal(values, whole[name])


TARGET = ["--estimator", "importance", *LITTLE, "--target-std-error", "0.05"]


@pytest.fixture(scope="module")
def aimed(runs, tmp_path_factory):
    """The arrays of importance sampling that works for a target error, and what was printed."""
    run = tmp_path_factory.mktemp("aimed") / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["log-likelihood", str(run), *TARGET]) == 0
    (file,) = (run / "log_likelihood").glob("importance*.npz")
    return file, printed.getvalue()


def test_a_target_error_is_worked_for(aimed, runs, tmp_path):
    file, printed = aimed
    more = np.load(file)
    reached = more["std_error"] <= 0.05
    assert more["rounds"].max() > 1
    assert reached.mean() > 0.5
    assert (more["rounds"][~reached] == 64).all()
    assert f"target standard error not reached: {np.sum(~reached)} (" in printed
    # As many draws at once, and other ones: 60 have tails too heavy to compare each example.
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    arguments = ["log-likelihood", str(run), "--estimator", "importance", *LITTLE]
    assert main([*arguments, "--num-samples", "4000", "--seed", "1"]) == 0
    (once,) = (run / "log_likelihood").glob("importance*.npz")
    np.testing.assert_allclose(more["value"], np.load(once)["value"], atol=1.0)


def test_a_budget_ends_the_work_for_a_target_and_it_goes_on_to_the_same_numbers(
    aimed, runs, tmp_path, capsys
):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    arguments = ["log-likelihood", str(run), *TARGET]
    assert main([*arguments, "--budget", str(25 * 60 + 20 * 60)]) == 0
    (file,) = (run / "log_likelihood").glob("importance*.npz")
    arrays = dict(np.load(file))
    assert arrays["rounds"].sum() <= 45 < arrays["rounds"].sum() + 25
    assert "stopped by budget" in capsys.readouterr().out
    assert main(arguments) == 0
    assert file.name == aimed[0].name
    whole = np.load(aimed[0])
    for name, values in np.load(file).items():
        np.testing.assert_array_equal(values, whole[name])


def test_double_precision_agrees_with_single(runs, tmp_path):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    arguments = ["log-likelihood", str(run), "--estimator", "importance", *LITTLE]
    code = f"import sys; from vaejax.cli import main; sys.exit(main({[*arguments, '--float64']!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)  # the precision is the process's
    assert main(arguments) == 0
    found = [np.load(f)["value"] for f in (run / "log_likelihood").glob("importance*.npz")]
    single, double = sorted(found, key=lambda values: values.itemsize)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, atol=6.0)  # other draws, few and heavy-tailed
    assert abs(np.median(single - double)) < 0.3


def test_log_likelihoods_that_make_no_sense(measured, runs, capsys):
    run = str(measured[0])
    ask = ["log-likelihood", run]
    refused(capsys, [*ask, "--estimator", "bidirectional", "--split", "test"], "not be a bound")
    refused(
        capsys,
        [*ask, "--estimator", "smc", "--start", "both"],
        "--start both is for estimator annealed; got smc",
    )
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
    for words in (
        "sticking the landing",
        "DReG",
        "first 5 examples of the train split",
        "40 gradients",
    ):
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


def test_what_is_of_sequences_is_refused_of_images(runs, capsys):
    run = str(folder(runs, "digits_vae"))
    refused(capsys, ["sample", run, "--forecast", "5"], "--forecast", "sequences")
    refused(capsys, ["forecast", run], "not a state-space model")
    filters = ["log-likelihood", run, "--estimator", "filter"]
    refused(capsys, filters, "state-space model", "importance")


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
        ("data", ("digits", "1300", "would download", "binarized_mnist")),
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
    refused(capsys, ["gap", "first"], "unknown command 'gap': perhaps you meant gaps; see")
    refused(capsys, ["run", "digit_vae"], "'digit_vae': perhaps you meant digits_vae, or the path")
    refused(capsys, ["run", "nosuch"], "expected one of", "mnist_vae", "digits_vae")
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
    misspelled = ["--train.step", "20", "--modle.latent-dim=3"]
    refused(
        capsys,
        ["run", "digits_vae", *misspelled],
        "Unrecognized options: --train.step, --modle.latent-dim; perhaps you meant "
        "--model.latent-dim, --train.steps; see vaejax run digits_vae --help",
    )
    refused(capsys, ["run", "digits_vae", "20"], "Unrecognized options: 20; see")
    refused(capsys, ["evaluate", str(tmp_path)], "there is no run", "its name", "vaejax runs")
    broken = tmp_path / "broken.py"
    broken.write_text("config = 3\n")
    refused(capsys, ["run", str(broken)], "is not an experiment", "build")
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
    refused(capsys, arguments, "seed 0", "became NaN or infinite at step", "--train.learning-rate")
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


LONG = ["digits_vae", *SMALL[:4], "--train.epochs", "50", "--evaluate.num-samples", "20"]


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    assert main(["run", *LONG, "--out", str(out)]) == 0
    return folder(out, "digits_vae")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_gone_on_gives_the_same_bits(never_stopped, tmp_path, how):
    """A run stopped in the middle, then continued, against one never stopped: every metric and
    every per-example measurement is equal, bit for bit."""
    arguments = ["run", *LONG, "--out", str(tmp_path / "cut")]
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
        assert "run the same command to resume" in text
    assert main(arguments) == 0
    whole, cut = never_stopped, folder(tmp_path / "cut", "digits_vae")

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


def test_one_and_eight_devices_agree(tmp_path):
    """The same random numbers, the same results to reduction order."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.devices", str(tmp_path / "8.npz")]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    trainer = trainer_of_all()
    train_and_evaluate(trainer, tmp_path / "1.npz")
    one, eight = (np.load(tmp_path / f"{count}.npz") for count in (1, 8))
    assert (one["used"], eight["used"]) == (1, 8)
    # A checkpoint of eight devices is read on the one that this process has.
    shapes = first(trainer.start([jax.random.key(0)]))
    state, _ = Checkpoints(tmp_path / "8.checkpoint").restore(*shapes)
    for i, leaf in enumerate(jax.tree.leaves(state.params)):
        np.testing.assert_array_equal(leaf, eight[f"p{i}"])
    for name in set(one.files) - {"used", "khat"}:
        np.testing.assert_allclose(one[name], eight[name], rtol=2e-4, atol=2e-4, err_msg=name)


FEW = "--examples 4 --max-steps 200".split()


def test_gaps_are_in_order_and_go_on_where_they_stopped(runs, tmp_path, capsys):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    # Enough steps to converge: a fit cut at the first learning rate may end below where it began.
    # Enough temperatures that log p(x) is not short by more than its error.
    arguments = ["gaps", str(run), "--num-temperatures", "400", "--families", "diagonal"]
    assert main([*arguments, "--examples", "4"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "approximation gap",
        "amortization gap",
        "generalization gap",
        "every fit converged",
    ):
        assert words in printed
    (found,) = (run / "gaps").glob("*.json")
    files = {split: next((run / "gaps").glob(f"{split}-*.npz")) for split in ("train", "test")}
    before = dict(np.load(files["test"]))
    assert main([*arguments, "full", "--examples", "6"]) == 0  # two more, and a family
    assert json.loads(found.read_text())["summary"]["names"] == ["diagonal"]
    (other,) = set((run / "gaps").glob("*.json")) - {found}
    about = json.loads(other.read_text())
    assert about["summary"]["own_family"] == "diagonal"
    for split in ("train", "test"):
        arrays = np.load(files[split])
        for name in ("annealed", "diagonal", "full"):
            assert len(arrays[name]) == 6
        for name in ("diagonal", "full"):
            gaps = about["summary"][split][name]
            assert gaps["out_of_order"] == []
            log_p = with_log_p(arrays)["log_p"]
            for field, high, low in (
                ("approximation", log_p, arrays[name]),
                ("amortization", arrays[name], arrays["amortized"]),
            ):
                np.testing.assert_allclose(gaps[field]["mean"], np.mean(high - low), atol=1e-4)
    after = np.load(files["test"])
    for name, values in before.items():
        np.testing.assert_array_equal(after[name][:4], values)
    page = (run / "report.html").read_text()
    assert "What the encoder costs" in page and "    approximation gap" in page
    assert main([*arguments[:-1], "full", "--examples", "6"]) == 0  # nothing is lost
    (last,) = set((run / "gaps").glob("*.json")) - {found, other}
    assert json.loads(last.read_text())["summary"]["names"] == ["full", "diagonal"]


TINY_MADE = (
    "--model.hidden 16 --train.epochs 2 --train.validations 2 --seeds 0 1 --evaluate.examples 40"
).split()


@pytest.fixture(scope="module")
def explicit(tmp_path_factory):
    """Two seeds of a tiny MADE: p(x) without a z."""
    out = tmp_path_factory.mktemp("explicit")
    assert main(["run", "digits_made", *TINY_MADE, "--out", str(out)]) == 0
    return out


def test_an_explicit_run_has_an_exact_log_p_samples_and_completions(explicit, capsys):
    for seed in (0, 1):
        run = folder(explicit, "digits_made", seed)
        evaluation = json.loads((run / "evaluation.json").read_text())
        assert evaluation["kind"] == "no latent variable"
        assert evaluation["parameters"] == "best by validation"
        arrays = np.load(run / "evaluation.npz")
        entry = evaluation["summary"]["log_p"]
        assert abs(entry["mean"] - arrays["log_p"].mean(dtype=np.float64)) < 1e-9
        assert (entry["n"], entry["std_error_monte_carlo"]) == (40, None)
        known = arrays["completions_known"]
        assert known.sum() == 32
        np.testing.assert_array_equal(
            arrays["completions"][:, known], arrays["originals"][:, known]
        )
        assert (arrays["completions"] != arrays["originals"]).any()
        figures = {path.stem for path in (run / "figures").glob("*.png")}
        assert figures == {"samples", "completions", "training"}
        assert "without z" in (run / "report.html").read_text()
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [13, 26]
        assert "active_units" not in lines[0]
    other = [np.load(folder(explicit, "digits_made", seed) / "evaluation.npz") for seed in (0, 1)]
    assert (other[0]["log_p"] != other[1]["log_p"]).all()
    capsys.readouterr()
    assert main(["run", "digits_made", *TINY_MADE, "--out", str(explicit)]) == 0  # reported
    printed = capsys.readouterr().out
    for words in ("-log p(x), exact", "bits/dim", "exact, no sampling", "Over 2 seeds"):
        assert words in printed
    assert main(["sample", str(run), "--count", "30"]) == 0
    assert np.load(run / "samples.npz")["samples"].shape == (30, 8, 8)
    assert main(["report", str(run)]) == 0


def test_what_needs_a_z_is_refused_of_an_explicit_run(explicit, capsys):
    run = str(folder(explicit, "digits_made"))
    for command, words in (
        ("log-likelihood", "exact: use vaejax evaluate, which prints it"),
        ("gaps", "no q(z | x) and no gap"),
        ("cost", "no q(z | x) to optimize"),
        ("posterior", "no posterior p(z | x)"),
        ("gradients", "exact, so there is no estimator"),
    ):
        refused(capsys, [command, run], words)
    refused(capsys, ["run", "digits_made", "--model.orders", "0"], "--model.orders", "at least 1")


def test_an_autoencoder_has_no_gap_but_a_best_code(runs, tmp_path, capsys):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_ae"), run)
    refused(capsys, ["gaps", str(run)], "no gap is defined", "--map")
    refused(capsys, ["cost", str(run)], "no bound to optimize", "--map")
    assert main(["gaps", str(run), "--map", *FEW]) == 0
    (found,) = (run / "gaps").glob("*.json")
    summary = json.loads(found.read_text())["summary"]
    assert summary["test"]["best"]["amortization"]["mean"] > 0
    assert "log_p" not in summary["test"]
    refused(
        capsys, ["gaps", str(folder(runs, "digits_vae")), "--map"], "--map is for an autoencoder"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("digits_collapse --noise -1", ("--noise must be finite and 0 or more", "-1")),
        ("digits_collapse --objective.free-bits nan", ("--objective.free-bits", "nan")),
        ("digits_collapse --objective.refine-learning-rate inf", ("refine-learning-rate", "inf")),
        ("digits_collapse --objective.free-bits 1 --objective.refine-steps 2", ("give only one",)),
        ("digits_collapse --context-scale 0", ("--context-scale must be finite and above 0",)),
        ("digits_collapse --encoder-hidden 10 0", ("--encoder-hidden", "(10, 0)")),
        ("digits_encoders --encoder-hidden 0", ("--encoder-hidden", "(0,)")),
        ("digits_encoders --family box", ("family", "box")),
    ],
)
def test_settings_of_encoders_that_make_no_sense(arguments, words, tmp_path, capsys):
    refused(capsys, ["run", *arguments.split(), "--out", str(tmp_path)], *words)
    assert not any(tmp_path.iterdir())


def test_gaps_that_make_no_sense(runs, capsys):
    run = str(folder(runs, "digits_vae"))
    refused(capsys, ["gaps", run, "--examples", "100000"], "100000", "must be at most")
    refused(capsys, ["gaps", run, "--max-steps", "150"], "multiple of 100; got 150")
    refused(capsys, ["gaps", run, "--families", "full", "full"], "each once")


def test_the_cost_of_optimizing_q_beside_the_encoder(runs, tmp_path, capsys):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    assert main(["cost", str(run), *FEW]) == 0
    assert "one forward pass" in capsys.readouterr().out
    (file,) = (run / "cost").glob("*.json")
    summary = json.loads(file.read_text())["summary"]
    best = summary["encoder"]["bound"]
    error = np.hypot(best["std_error_monte_carlo"], summary["amortized"]["std_error_monte_carlo"])
    assert best["mean"] > summary["amortized"]["mean"] - 3 * error
    assert min(summary["seconds"].values()) > 0
    assert (run / "figures" / "cost.png").stat().st_size > 10_000


def test_the_posterior_of_a_two_dimensional_model_on_a_grid(runs, tmp_path, capsys):
    run = tmp_path / "seed-0"
    shutil.copytree(folder(runs, "digits_vae"), run)
    assert main(["posterior", str(run), "--example", "7", "--max-steps", "300"]) == 0
    (file,) = (run / "posterior").glob("*.json")
    found = json.loads(file.read_text())["summary"]
    assert all(abs(q["mass"] - 1) < 0.01 for q in found["qs"].values())
    gaps = {name: q["gap"] for name, q in found["qs"].items()}
    assert min(gaps.values()) > -0.01
    assert gaps["full"] <= gaps["diagonal"] + 0.02 <= gaps["amortized"] + 0.04
    # Quadrature against importance sampling with the encoder's q, which the grid has nothing of.
    assert main(["evaluate", str(run), "--evaluate.num-samples", "5000"]) == 0
    iwae = np.load(run / "evaluation.npz")
    assert abs(found["log_p"] - iwae["iwae"][7]) < 5 * iwae["iwae_std_error"][7] + 0.01
    refused(capsys, ["posterior", str(run), "--example", "297"], "from 0 to 296 in the test split")


FEW_COMPARED = (
    "--examples 4 --samples 40 --num-chains 4 --num-temperatures 5 --chain-steps 20 "
    "--ex-post gaussian"
).split()


def test_models_side_by_side(runs, tmp_path, capsys):
    """Two seeds of a VAE, an autoencoder: what is defined has a number with its errors, what is not
    its reason; measured once."""
    members = [str(folder(runs, name).parent) for name in ("digits_vae", "digits_ae")]
    arguments = ["compare", *members, *FEW_COMPARED, "--out", str(tmp_path / "a")]
    assert main(arguments) == 0
    printed, progress = capsys.readouterr()
    assert "model 2 of 2: digits_ae, seed 0: ex-post gaussian" in progress
    about = json.loads((tmp_path / "a" / "comparison.json").read_text())
    assert about["settings"]["ex_post"] == ["gaussian"]
    vae, ae = about["models"]
    assert list(vae["generators"]) == ["prior", "ex-post gaussian"]
    assert list(ae["generators"]) == ["N(0, I)", "ex-post gaussian"]
    assert ae["generators"]["N(0, I)"]["log_p"]["kind"] == "not defined"
    assert "the codes need not be N(0, I)" in printed
    assert "The control is a density fitted to the codes of a model that has a p(z)" in printed
    for model, way in ((vae, "prior"), (vae, "ex-post gaussian"), (ae, "ex-post gaussian")):
        found = model["generators"][way]["log_p"]
        assert found["kind"] == "estimated" and found["n"] == 4
        assert found["std_error_monte_carlo"] > 0
    assert vae["generators"]["prior"]["log_p"]["std_error_seeds"] > 0
    assert "digits_ae (ex-post gaussian) minus digits_vae (prior)" in printed
    for seed in (0, 1):  # by the encoder's own q, of the same images
        arrays = np.load(next((folder(runs, "digits_vae", seed) / "compare").glob("*.npz")))
        iwae = np.load(folder(runs, "digits_vae", seed) / "evaluation.npz")
        error = np.hypot(arrays["prior/log_p_std_error"], iwae["iwae_std_error"][:4])
        assert np.all(np.abs(arrays["prior/log_p"] - iwae["iwae"][:4]) < 4 * error + 0.2)
    page = (tmp_path / "a" / "comparison.html").read_text()
    assert page.count("data:image/png;base64") == 4
    assert "http" not in page and "The question" in page
    written = {path: path.stat().st_mtime_ns for path in runs.rglob("compare/*")}
    assert main([*arguments[:-1], str(tmp_path / "b")]) == 0
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("compare/*")} == written
    again = json.loads((tmp_path / "b" / "comparison.json").read_text())
    assert again == about


def test_runs_that_cannot_be_compared_are_refused(runs, tmp_path, capsys):
    vae, ae = (str(folder(runs, name)) for name in ("digits_vae", "digits_ae"))
    refused(capsys, ["compare", vae], "two or more runs", "got 1")
    refused(capsys, ["compare", vae, str(tmp_path)], "there is no run")
    refused(capsys, ["compare", vae, ae, "--against", "me"], "--against me: expected one of")
    refused(capsys, ["compare", vae, ae, "--examples", "1"], "--examples must be at least 2")
    refused(capsys, ["train", "digits_compare"], "no model of its own", "vaejax run digits_compare")
    other = ["digits_ae", *SMALL, "--data.binarization", "threshold", "--out", str(tmp_path)]
    assert main(["run", *other]) == 0
    other = str(folder(tmp_path, "digits_ae"))
    refused(capsys, ["compare", vae, other], "binarization dynamic", "threshold", "--allow-differ")
    out = tmp_path / "apart"
    apart = ["compare", ae, other, "--allow-different", *FEW_COMPARED, "--out", str(out)]
    assert main(apart) == 0
    assert sorted(path.name for path in out.glob("*.html")) == [
        "comparison-1.html",
        "comparison-2.html",
    ]


COMPARISON = """\"\"\"A chain, and no z.\"\"\"
from vaejax.experiment import Comparison, Member

comparison = Comparison(
    members=(
        Member("DAE", "digits_dae", ("--model.hidden", "16", "--model.latent-dim", "2")),
        Member("orders", "digits_made", ("--model.hidden", "16", "--model.orders", "2")),
    ),
)
"""


def test_a_file_that_compares_trains_its_members_once(tmp_path, capsys):
    """Without a validation split, with a chain, and with an explicit model of several orders."""
    path = tmp_path / "pair.py"
    path.write_text(COMPARISON)
    few = [word.replace("--", "--compare.", 1) for word in FEW_COMPARED]
    shared = ["--train.epochs", "2", "--data.validation", "0", "--out", str(tmp_path / "runs")]
    arguments = ["run", str(path), *shared, *few]
    refused(capsys, [*arguments, "--train.epoch", "3"], "--train.epoch")
    assert not list(tmp_path.rglob("checkpoints"))
    assert main(arguments) == 0
    assert "A chain, and no z." in (tmp_path / "runs" / "pair" / "comparison.html").read_text()
    about = json.loads((tmp_path / "runs" / "pair" / "comparison.json").read_text())
    chained, ordered = about["models"]
    assert list(chained["generators"]) == ["chain", "N(0, I)", "ex-post gaussian"]
    assert "1,250 training codes" in chained["generators"]["ex-post gaussian"]["how"]
    exact = ordered["generators"]["in order"]["log_p"]
    evaluated = np.load(folder(tmp_path / "runs", "digits_made") / "evaluation.npz")
    assert exact["kind"] == "exact" and abs(exact["mean"] - evaluated["log_p"][:4].mean()) < 1e-3
    assert any(line.startswith("orders differs in") for line in about["fairness"])
    before = [path.stat().st_mtime_ns for path in tmp_path.rglob("metrics.jsonl")]
    assert main(arguments) == 0
    assert [path.stat().st_mtime_ns for path in tmp_path.rglob("metrics.jsonl")] == before
    ordered_run = str(folder(tmp_path / "runs", "digits_made"))
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copytree(
        Path(ordered_run).parent, tmp_path / "elsewhere" / "digits_made" / "copy"
    )
    alone = ["compare", ordered_run, str(copy), *FEW_COMPARED, "--out", str(tmp_path / "alone")]
    assert main(alone) == 0
    about = json.loads((tmp_path / "alone" / "comparison.json").read_text())
    assert about["findings"][0].startswith("Of the models as they were trained")
    assert about["settings"]["ex_post"] == []  # without an autoencoder
    assert "The question" not in (tmp_path / "alone" / "comparison.html").read_text()
    assert len({model["label"] for model in about["models"]}) == 2
