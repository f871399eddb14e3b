"""The runner on a toy measurement: saving, resuming, budgets, signals; and all that a new
measurement has to bring."""

import dataclasses
import json
import os
import signal

import jax
import numpy as np
import pytest

from tests.pairs import linear_gaussian
from tests.runs import a_run
from vaejax.commands import measure
from vaejax.errors import UserError
from vaejax.evaluation import (
    MEASUREMENTS,
    Measurement,
    Part,
    Section,
    Table,
    at_once,
    carry_out,
    per_example,
    rows_in,
)
from vaejax.evaluation.runner import read
from vaejax.experiment import Config
from vaejax.inference import amortized, diagonal_gaussian
from vaejax.networks import MLP
from vaejax.types import Params

COUNT, BLOCK, COST = 10, 3, 5
XS = np.random.RandomState(0).randn(COUNT, 3).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Toy:
    """How noisy sums are measured."""

    scale: float = 1.0
    budget: int | None = None
    minutes: float | None = None


def toy(after=lambda block: None, at_top=False):
    """x summed, with noise of each example's own; `after` is called with the rows of each block."""

    def parts(run, settings):
        def one(scale, index, example):
            noise = jax.random.normal(jax.random.fold_in(jax.random.key(0), index))
            return {"sums": example.x.sum() + scale * noise}

        each = per_example(one, settings.scale, run.examples("test"), block=BLOCK, cost=COST)

        def blocks(found, may_spend):
            for arrays in each(found, may_spend):
                yield arrays
                after(rows_in(arrays))

        identity = {"scale": settings.scale}
        return [
            Part("sums", identity, COUNT, blocks, rows_in),
            at_once("total", identity, lambda: {"total": np.asarray(XS.sum())}),
        ]

    return Measurement(
        name="toy",
        version=1,
        settings=Toy,
        undefined=lambda run, settings: "too large" if settings.scale > 100 else None,
        parts=parts,
        summarize=lambda run, settings, arrays: {"mean": float(arrays["sums"]["sums"].mean())},
        section=lambda about, arrays: Section(
            "Sums",
            "a toy",
            [Table(["", "nats"], [["mean", f"{about['summary']['mean']:.3f}"]])],
            [f"of {rows_in(arrays['sums'])}"],
            [],
        ),
        at_top=at_top,
    )


@pytest.fixture
def run(tmp_path):
    model, _ = linear_gaussian(np.ones((3, 2)), 0.5)
    q = amortized(diagonal_gaussian(2), MLP((), (4,)), (3,))
    params = Params(model.init(jax.random.key(0)), q.init(jax.random.key(1)))
    return a_run(model, q, params, XS, folder=tmp_path)


def test_a_posterior_of_another_shape_of_x_is_refused(run):
    assert run.posterior(XS[0]).event_shape == (2,)
    with pytest.raises(
        ValueError, match=r"posterior: expected one x of shape \(3,\); got shape \(10, 3\)"
    ):
        run.posterior(XS)


def uninterrupted(run, tmp_path_factory):
    model = run.generative, run.inference, run.params
    other = a_run(*model, XS, folder=tmp_path_factory.mktemp("other"))
    return carry_out(other, toy(), Toy()).arrays


def equal(found, expected):
    assert found.keys() == expected.keys()
    for part, arrays in expected.items():
        assert found[part].keys() == arrays.keys()
        for name, values in arrays.items():
            np.testing.assert_array_equal(found[part][name], values)


def test_what_a_budget_stopped_goes_on_to_the_same_bits(run, tmp_path_factory):
    seen = []
    measurement = toy(seen.append)
    some = carry_out(run, measurement, Toy(budget=7 * COST))
    assert (some.about["stopped_by"], rows_in(some.arrays["sums"])) == ("budget", 6)
    assert read(run.directory, f"{some.stem}.json")[1].keys() == {"sums"}
    rest = carry_out(run, measurement, Toy())
    assert seen == [3, 6, 9, 10]  # nothing is measured twice
    assert (rest.stem, rest.about["stopped_by"]) == (some.stem, None)
    equal(rest.arrays, uninterrupted(run, tmp_path_factory))
    about, arrays = read(run.directory, f"{rest.stem}.json")
    assert about == json.loads(json.dumps(rest.about | {"files": about["files"]}))
    equal(arrays, rest.arrays)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_signal_stopped_goes_on_to_the_same_bits(run, tmp_path_factory, capsys, number):
    before = signal.getsignal(number)

    def kill(rows):
        if rows == 6:
            os.kill(os.getpid(), number)

    some = carry_out(run, toy(kill), Toy())
    assert (some.signal, some.about["stopped_by"]) == (number, "a signal")
    assert rows_in(some.arrays["sums"]) == 6 and "stopping" in capsys.readouterr().err
    assert signal.getsignal(number) is before
    equal(carry_out(run, toy(), Toy()).arrays, uninterrupted(run, tmp_path_factory))


def test_an_end_at_once_loses_one_block_at_most(run, tmp_path_factory):
    def crash(rows):
        if rows == 6:
            raise MemoryError

    with pytest.raises(MemoryError):
        carry_out(run, toy(crash), Toy())
    seen = []
    equal(carry_out(run, toy(seen.append), Toy()).arrays, uninterrupted(run, tmp_path_factory))
    assert seen == [9, 10]


def test_too_little_for_a_first_block_is_refused(run):
    with pytest.raises(UserError, match="stopped by budget before the first block"):
        carry_out(run, toy(), Toy(budget=COST))
    with pytest.raises(UserError, match="stopped by minutes before the first block"):
        carry_out(run, toy(), Toy(minutes=-1.0))


def test_a_signal_before_the_first_block_ends_it(run):
    measurement = toy()

    def parts(run, settings):
        os.kill(os.getpid(), signal.SIGINT)
        return measurement.parts(run, settings)

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, measurement._replace(parts=parts), Toy())


def test_a_signal_before_there_is_enough_for_a_summary_ends_it(run, tmp_path_factory):
    """What was measured is kept."""

    def too_little(run, settings, arrays):
        raise UserError("too few")

    def kill(rows):
        if rows == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, toy(kill)._replace(summarize=too_little), Toy())
    seen = []
    equal(carry_out(run, toy(seen.append), Toy()).arrays, uninterrupted(run, tmp_path_factory))
    assert seen[0] == 6


def test_what_is_not_defined_for_a_run_says_why(run):
    with pytest.raises(UserError, match="too large"):
        carry_out(run, toy(), Toy(scale=1000.0))
    assert not run.directory.file("toy").exists()


def test_other_settings_have_files_of_their_own(run):
    one, other = (carry_out(run, toy(), Toy(scale=scale)) for scale in (1.0, 2.0))
    assert one.stem != other.stem
    assert len(list(run.directory.file("toy").glob("*.json"))) == 2
    assert np.any(one.arrays["sums"]["sums"] != other.arrays["sums"]["sums"])


def test_at_the_top_there_is_the_last_one_and_the_others_are_kept(run):
    measurement = toy(at_top=True)
    for scale in (1.0, 2.0):
        measured = carry_out(run, measurement, Toy(scale=scale))
        assert measured.stem == "toy"
        about, arrays = read(run.directory, "toy.json")
        assert about["settings"]["scale"] == scale
        # The file has all parts in one.
        assert arrays["toy"].keys() == {"sums", "total"}
        np.testing.assert_array_equal(arrays["toy"]["sums"], measured.arrays["sums"]["sums"])
    kept = sorted(path.suffix for path in run.directory.file("toy").iterdir())
    assert kept == [".json", ".npz"]


def test_a_new_measurement_is_one_measurement(run, monkeypatch, capsys):
    """Named in the table it has its command's options, files, and printed section."""
    monkeypatch.setitem(MEASUREMENTS, "toy", toy())
    run = dataclasses.replace(run, config=Config())
    monkeypatch.setattr(measure, "run_argument", lambda command, rest: (run, rest))
    assert measure.measure("toy", ["--scale", "0.0"]) == 0
    printed = capsys.readouterr().out
    for words in ("a toy", f"{XS.sum(axis=1).mean():.3f}", "of 10", "(summary)"):
        assert words in printed
    with pytest.raises(UserError, match="scale"):
        measure.measure("toy", ["--scale", "much"])
