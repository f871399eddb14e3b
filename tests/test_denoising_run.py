"""A denoising autoencoder from the command line: trained, measured, sampled by its chain."""

import json

import numpy as np
import pytest

from vaejax.cli import main
from vaejax.errors import UserError
from vaejax.experiment import Config, Corruption, from_json, to_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("denoising")
    small = "--model.hidden 16 --model.latent-dim 2 --train.epochs 3 --corruption.walkback 2"
    assert main(["run", "digits_dae", *small.split(), "--out", str(out)]) == 0
    (found,) = out.glob("digits_dae/*/seed-0")
    return found


def test_it_is_sampled_by_its_chain_and_says_so(run, capsys):
    capsys.readouterr()
    assert main(["sample", str(run), "--count", "9", "--chain-steps", "7"]) == 0
    printed = capsys.readouterr().out
    assert "repeats corrupt, encode, draw x, 7 times" in printed
    drawn = dict(np.load(run / "samples.npz"))
    assert drawn["means"].shape == drawn["samples"].shape == (9, 8, 8)
    assert set(np.unique(drawn["samples"])) == {0, 1}
    assert (run / "samples.png").stat().st_size > 5_000
    assert main(["sample", str(run), "--count", "9", "--chain-steps", "6"]) == 0
    assert np.any(np.load(run / "samples.npz")["samples"] != drawn["samples"])
    assert main(["sample", str(run), "--chain-steps", "0"]) == 2
    assert "--chain-steps must be at least 1; got 0" in capsys.readouterr().err


def test_its_page_names_the_chain_and_no_log_p(run):
    page = (run / "report.html").read_text()
    assert "vaejax sample" in page
    assert "no log p(x)" in page
    assert "no samples" not in page


def test_a_run_from_before_an_option_is_read_with_its_default(run):
    """As one made before there was an option; what is unknown is still refused."""
    saved = to_json(Config())
    del saved["train"]["validations"]
    assert from_json(Config, saved) == Config()
    with pytest.raises(UserError, match="another version"):
        from_json(Config, saved | {"unknown": 1})
    config = json.loads((run / "config.json").read_text())
    del config["config"]["train"]["validations"]
    (run / "config.json").write_text(json.dumps(config))
    assert main(["sample", str(run), "--chain-steps", "1"]) == 0


@pytest.mark.parametrize(
    "given",
    [("masking", 1.5), ("salt_and_pepper", 0.0), ("gaussian", -1.0), ("gaussian", float("inf"))],
)
def test_impossible_corruptions_are_refused(given):
    with pytest.raises(UserError, match="level"):
        Corruption(*given)


def test_negative_walkback_is_refused():
    with pytest.raises(UserError, match="walkback"):
        Corruption(walkback=-1)
