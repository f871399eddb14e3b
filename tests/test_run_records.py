"""What has been run below a folder, told from its files; and a run by its name."""

import json

import pytest

from vaejax.cli import main
from vaejax.errors import UserError
from vaejax.run_directory import RunDirectory
from vaejax.run_records import differing, find_run, find_runs, records, seed_means

TRAIN = {"steps": None, "epochs": 3, "batch_size": 10}


def make(root, digits, seed=0, step=30, name="", **model):
    """A run of 30 steps, 3 epochs of 10 batches."""
    folder = root / "toy" / digits / f"seed-{seed}"
    (folder / "checkpoints" / str(step)).mkdir(parents=True)
    config = {"model": model, "train": TRAIN, "evaluate": {"num_samples": seed}}
    saved = {"experiment": "toy", "seed": seed, "config": config, "name": name}
    (folder / "config.json").write_text(json.dumps(saved))
    (folder / "data.json").write_text(json.dumps({"num_train": 105}))
    return folder


def evaluate(folder, mean, error=0.25):
    entry = {"mean": mean, "std_error_data": error}
    about = {"summary": {"elbo": entry, "iwae": entry}, "settings": {"num_samples": 50}}
    (folder / "evaluation.json").write_text(json.dumps(about))


def test_the_state_of_each_run(tmp_path):
    finished, trained, stopped = (
        make(tmp_path, f"aaaa{i}", step=step) for i, step in enumerate((30, 30, 20))
    )
    evaluate(finished, -80.0)
    evaluate(stopped, -90.0)  # measured on its way
    running = make(tmp_path, "bbbb", step=10)
    with RunDirectory(running).lock():
        found = {record.folder: record for record in records(tmp_path)}
    states = {finished: "finished", trained: "trained", stopped: "stopped", running: "running"}
    assert {folder: record.state for folder, record in found.items()} == states
    assert (found[stopped].step, found[stopped].steps) == (20, 30)
    assert found[finished].result == ("-log p(x)", "IWAE-50", 80.0, 0.25, "nats")
    assert found[trained].result is None


def test_what_is_no_run_or_is_damaged_never_ends_the_list(tmp_path):
    make(tmp_path, "aaaa")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model": 1}')
    for index, (file, text) in enumerate(
        [
            ("config.json", "{"),
            ("data.json", "[]"),
            ("manifest.json", '{"started": 3}'),
            ("evaluation.json", '{"summary": {"iwae": 3}}'),
            ("evaluation.json", "\x00"),
        ]
    ):
        folder = make(tmp_path, f"cccc{index}")
        (folder / "experiment.py").touch()
        (folder / file).write_text(text)
    (make(tmp_path, "dddd").parent / "seeds.json").write_text('{"rows": [1]}')
    found = records(tmp_path)
    assert len(found) == 7
    assert sorted(record.state for record in found).count("damaged") == 1
    assert seed_means(found) == []


def test_only_settings_that_differ_are_said(tmp_path):
    make(tmp_path, "aaaa", latent_dim=2, hidden=[8])
    make(tmp_path, "bbbb", latent_dim=3, hidden=[8])
    make(tmp_path, "bbbb", seed=1, latent_dim=3, hidden=[8])
    settings = [{"model.latent-dim": n} for n in (2, 3, 3)]
    found = sorted(records(tmp_path), key=lambda record: record.folder)
    assert differing(found) == settings


def test_seeds_together_come_from_their_file(tmp_path):
    folders = [make(tmp_path, "aaaa", seed=seed) for seed in (0, 1)]
    row = {"name": "iwae", "label": "", "unit": "nats; a bound", "mean": 5.0}
    about = {"seeds": [0, 1], "settings": {"num_samples": 7}, "rows": [row]}
    row["std_error_seeds"] = 0.5
    (folders[0].parent / "seeds.json").write_text(json.dumps(about))
    (together,) = seed_means(records(tmp_path))
    assert (together.folder, together.seed) == (folders[0].parent, "0, 1")
    assert together.result == ("-log p(x)", "IWAE-7", 5.0, 0.5, "nats")


def test_a_run_is_found_by_folder_name_and_hash(tmp_path):
    one = make(tmp_path, "aaaa1111", name="mine")
    pair = [make(tmp_path, "aabb2222", seed=seed) for seed in (0, 1)]
    for text in (str(one), str(one.parent), "mine", "aaaa1111", "aaaa"):
        assert find_run(text, tmp_path) == one
    assert find_runs("aabb2", tmp_path) == find_runs(str(pair[0].parent)) == pair
    with pytest.raises(UserError, match=r"means 2 runs: give one of .*seed-0, .*seed-1"):
        find_run("aabb2222", tmp_path)
    for text in ("aaa", "nowhere"):  # too few digits to mean one
        with pytest.raises(
            UserError, match=rf"^there is no run {text}: .* its name .*see vaejax runs"
        ):
            find_run(text, tmp_path)


def test_a_folder_without_a_run_hides_no_run_of_its_name(tmp_path, monkeypatch):
    one = make(tmp_path / "runs", "aaaa1111", name="mine")
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_run("mine").resolve() == one


def test_a_name_of_two_configurations_is_no_member_of_a_comparison(tmp_path, monkeypatch, capsys):
    for digits in ("aaaa1111", "bbbb2222"):
        make(tmp_path / "runs", digits, name="mine")
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "mine", "mine"]) == 2
    assert "mine means 2 runs: give one of" in capsys.readouterr().err
