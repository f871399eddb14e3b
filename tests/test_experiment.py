"""A saved configuration, of this version and of an earlier one."""

import dataclasses

import pytest

from vaejax.errors import UserError
from vaejax.experiment import MLP, Config, from_json, to_json


@dataclasses.dataclass(frozen=True)
class Extended:
    width: int  # no default
    depth: int = 2
    inner: MLP = dataclasses.field(default_factory=MLP)


def test_there_and_back():
    config = Config(model=MLP(latent_dim=3, hidden=(7, 5)))
    assert from_json(Config, to_json(config)) == config


def test_fields_that_came_later_take_their_defaults():
    saved = to_json(Config(model=MLP(latent_dim=3)))
    del saved["model"]["activation"]
    del saved["evaluate"]
    assert from_json(Config, saved) == Config(model=MLP(latent_dim=3))
    assert from_json(Extended, {"width": 4}) == Extended(4)


@pytest.mark.parametrize(
    "saved, words",
    [
        ({"depth": 3}, r"has fields \['depth'\]; expected \['depth', 'inner', 'width'\]"),
        ({"width": 4, "height": 3}, "another version"),
        ({"width": 4, "inner": {"unknown": 1}}, "MLP has fields"),
        ({"width": 4, "inner": 3}, "MLP has fields 3"),
    ],
)
def test_what_is_refused(saved, words):
    with pytest.raises(UserError, match=words):
        from_json(Extended, saved)
