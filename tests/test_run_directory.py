"""A run directory: one process at a time writes there, and it knows what made it."""

import errno
import os
import socket
import subprocess
import sys

import pytest

import vaejax
from vaejax.cli import main
from vaejax.errors import UserError
from vaejax.run_directory import RunDirectory, git_commit, made_by_other_version, versions

HOLD = """
import sys
from pathlib import Path
from vaejax.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_second_process_is_refused_and_told_of_the_first(holder, tmp_path):
    before = (tmp_path / "lock").read_text()
    with pytest.raises(UserError) as error, RunDirectory(tmp_path).lock():
        pass
    assert f"in use by process {holder.pid} on {socket.gethostname()}" in str(error.value)
    assert "\n" not in str(error.value)
    assert (tmp_path / "lock").read_text() == before


def test_the_lock_of_a_killed_process_refuses_nobody(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert str(holder.pid) in (tmp_path / "lock").read_text()
    with RunDirectory(tmp_path).lock():
        assert str(os.getpid()) in (tmp_path / "lock").read_text()
        assert str(holder.pid) not in (tmp_path / "lock").read_text()
    assert not (tmp_path / "lock").exists()


def test_the_command_of_a_second_process_is_refused(tmp_path, monkeypatch):
    arguments = ["train", "digits_vae", "--model.hidden", "8", "--out", str(tmp_path)]
    second = []

    def instead_of_training(setup):
        command = [sys.executable, "-m", "vaejax.cli", *arguments]
        second.append(subprocess.run(command, capture_output=True, text=True))
        return 0

    monkeypatch.setattr("vaejax.commands.train._train", instead_of_training)
    assert main(arguments) == 0
    (found,) = second
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1 and f"in use by process {os.getpid()}" in found.stderr
    assert not list(tmp_path.rglob("checkpoints"))


def test_the_lock_ends_with_its_block(tmp_path):
    directory = RunDirectory(tmp_path / "seed-0")
    with pytest.raises(KeyboardInterrupt), directory.lock():
        with pytest.raises(UserError, match="in use by process"), directory.lock():
            pass
        raise KeyboardInterrupt
    with directory.lock():
        pass


def test_a_disk_without_locks_is_named(tmp_path, capsys, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setattr("vaejax.run_directory.fcntl.flock", refuse)
    with RunDirectory(tmp_path).lock():
        pass
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "has no file locks" in said


def test_a_run_of_another_version_is_said_to_be_so(tmp_path):
    directory = RunDirectory(tmp_path)
    assert made_by_other_version(directory) is None
    directory.write_json("manifest.json", {"versions": versions()})
    assert made_by_other_version(directory) is None
    directory.write_json("manifest.json", {"versions": {"vaejax": "0.1.0"}})
    expected = f"made by vaejax 0.1.0; this is {vaejax.__version__}"
    assert made_by_other_version(directory) == expected


@pytest.mark.parametrize("name", ["/a/mine.npz", "/a/images"])
def test_data_of_ones_own_may_move(tmp_path, name):
    """They are known by their fingerprint, which is part of the folder's name."""
    source = tmp_path / "mine.py"
    source.write_text("")
    directory = RunDirectory(tmp_path / "run")
    for place in (name, name.replace("/a/", "/b/")):
        directory.create("mine", source, {"data": {"name": place}}, seed=0)
        assert directory.read_json("config.json")["config"]["data"]["name"] == place
    with pytest.raises(UserError, match="made with another configuration"):
        directory.create("mine", source, {"data": {"name": "digits"}}, seed=0)


def test_a_damaged_manifest_is_one_line(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write_json("manifest.json", {"versions": None})
    assert "made by vaejax (unknown version)" in made_by_other_version(directory)
    directory.write_text("manifest.json", "{")
    with pytest.raises(UserError, match="is damaged"):
        made_by_other_version(directory)


def test_the_commit_is_of_the_file_that_git_tracks(tmp_path):
    """Not that of a checkout that a file only lies in, as an installed package does."""

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "mine.py").write_text("")
    assert git_commit(tmp_path / "mine.py") is None
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    (tmp_path / "other.py").write_text("")
    assert git_commit(tmp_path / "mine.py") == git("rev-parse", "HEAD")
    assert git_commit(tmp_path / "other.py") is None
    (tmp_path / "mine.py").write_text("changed = True\n")
    assert git_commit(tmp_path / "mine.py") == git("rev-parse", "HEAD") + "-dirty"
