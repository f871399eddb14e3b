"""What a comparison says of its members' training and protocol."""

from types import SimpleNamespace

import pytest

from vaejax.evaluation.compared import (
    Compared,
    by_protocol,
    fairness,
    training_of,
    what_differs,
)
from vaejax.run_directory import RunDirectory
from vaejax.training import Train


def a_member(folder, process, seconds, steps=20, protocol=()):
    directory = RunDirectory(folder)
    folder.mkdir()
    directory.write_json("manifest.json", {"started": "now", "command": [], "process": process})
    for step in (steps // 2, steps):
        directory.log({"step": step, "steps_per_second": steps / seconds})
    protocol = {"data": "digits", "binarization": "dynamic"} | dict(protocol)
    data = SimpleNamespace(num_train=100, protocol=lambda: protocol)
    config = SimpleNamespace(train=Train(steps=steps))
    return SimpleNamespace(directory=directory, data=data, config=config)


@pytest.mark.parametrize("processes, seconds", [((1, 1), 8.0), ((1, 2), 16.0)])
def test_runs_of_equal_time_both_count_unless_they_shared_it(tmp_path, processes, seconds):
    runs = [a_member(tmp_path / str(i), process, 8.0) for i, process in enumerate(processes)]
    assert training_of(runs) == {"steps": 20, "seeds": 2, "seconds": seconds}


def test_runs_of_other_data_are_apart_and_it_says_in_what(tmp_path):
    one, other, third = (
        Compared(label, [a_member(tmp_path / label, 1, 1.0, protocol=protocol)])
        for label, protocol in (("a", {}), ("b", {"binarization": "static"}), ("c", {}))
    )
    groups = by_protocol([one, other, third])
    assert groups == [[one, third], [other]]
    assert "a and b cannot be compared: binarization dynamic and static" in what_differs(groups)
    assert "data digits" not in what_differs(groups)
    noted = Compared("d", [a_member(tmp_path / "d", 1, 1.0, protocol={"note": "shorter"})])
    for groups, words in (
        ([[one], [noted]], "note none and shorter"),
        ([[noted], [one]], "note shorter and none"),
    ):
        assert what_differs(groups).endswith(f"cannot be compared: {words}")
    changed = {name: 30 * name for name in "efghi"}
    far = Compared("far", [a_member(tmp_path / "far", 1, 1.0, protocol=changed)])
    line = what_differs([[one], [far]])
    assert "e none and eeeee" in line and line.endswith("2 more differ") and len(line) < 150


def test_one_model_is_unlike_none(tmp_path):
    alone = Compared("a", [a_member(tmp_path / str(seed), 1, 1.0) for seed in range(2)])
    assert fairness([alone], "tuned")[1:] == [
        "tuned",
        "one model, whose runs differ only in their seed",
    ]
