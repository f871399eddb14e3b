"""Checkpoints: what is read is what was written, or it is noticed and an older one is read."""

import gc
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.errors import UserError
from vaejax.training.checkpoint import Checkpoints
from vaejax.training.loop import Best
from vaejax.training.state import TrainState
from vaejax.types import Params

FLIPS = 30


def saved(step, best=-np.inf):
    """A state and the best so far; every array depends on the step."""
    noise = jax.random.normal(jax.random.key(step), (40, 25))
    params = Params({"dense": [noise, jnp.zeros((0, 3))]}, {"scale": noise[0, :4] + 1})
    update = (
        {"count": jnp.asarray(step), "noise": jax.random.key(9)},
        jax.tree.map(jnp.square, params),
        (),
    )
    state = TrainState(jnp.asarray(step), params, update, jax.random.key(100 + step))
    best_params = jax.tree.map(lambda a: a - 1, params)
    return state, Best(jnp.float32(best), jnp.asarray(max(step - 1, 0)), best_params)


def shapes_of(tree):
    return jax.eval_shape(lambda: tree)


def same(a, b):
    def leaves(tree):
        keys = jax.dtypes.prng_key
        return [
            np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, keys) else leaf)
            for leaf in jax.tree.leaves(tree)
        ]

    assert jax.tree.structure(a) == jax.tree.structure(b)
    pairs = zip(leaves(a), leaves(b), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def flip(folder, seed):
    """Flip one bit of one file under a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    choose = random.Random(seed)
    file = files[seed % len(files)]
    content = bytearray(file.read_bytes())
    content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
    file.write_bytes(content)


def damage(folder):
    """Cut every file of a checkpoint short."""
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with whole checkpoints of steps 3 and 5."""
    folder = tmp_path_factory.mktemp("two")
    checkpoints = Checkpoints(folder)
    checkpoints.save(*saved(3))
    checkpoints.save(*saved(5))
    return folder


@pytest.fixture
def damaged(two, tmp_path):
    """The same with a damaged checkpoint of step 5."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(two, folder)
    damage(folder / "5")
    return folder


@pytest.fixture(scope="module")
def quick_collections():
    """What other tests have left is not looked through for garbage."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("seed", range(FLIPS))
@pytest.mark.usefixtures("quick_collections")
def test_a_flipped_bit_is_harmless_or_noticed(two, tmp_path, capsys, caplog, seed):
    folder = tmp_path / "checkpoints"
    shutil.copytree(two, folder)
    flip(folder / "5", seed)
    restored = Checkpoints(folder).restore(*shapes_of(saved(5)))
    gc.collect()  # what Orbax left unread complains when it is collected
    assert not caplog.records
    said = capsys.readouterr().err
    if said:
        assert same(restored, saved(3))
        assert said.count("\n") == 1 and f"{folder / '5'} is damaged" in said
    else:
        assert same(restored, saved(5))


def test_changed_arrays_have_another_digest(two, tmp_path, capsys, monkeypatch):
    """Arrays that decode well and are not those that were written."""
    from orbax.checkpoint import Checkpointer

    read = Checkpointer.restore

    def changed(self, path, *args, **kwargs):
        tree = read(self, path, *args, **kwargs)
        if path.name == "5":
            scale = tree["best"]["params"]["inference"]["scale"]
            tree["best"]["params"]["inference"]["scale"] = np.nextafter(scale, np.float32(9))
        return tree

    monkeypatch.setattr(Checkpointer, "restore", changed)
    assert Checkpoints(two).latest_step() == 3
    assert "do not have the digest" in capsys.readouterr().err


def test_the_newest_whole_one_is_used_for_all(damaged, capsys):
    checkpoints = Checkpoints(damaged)
    assert checkpoints.latest_step() == 3
    assert same(checkpoints.restore(*shapes_of(saved(3))), saved(3))
    params, step, which = checkpoints.restore_params(shapes_of(saved(3)[0].params))
    assert same(params, saved(3)[0].params) and (step, which) == (3, "last")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "using the one of step 3" in said


def test_training_goes_on_past_a_damaged_one(damaged, capsys):
    """It is kept under another name; its step is saved again, and lower ones as well."""
    content = {p.name: p.read_bytes() for p in (damaged / "5").iterdir() if p.is_file()}
    checkpoints = Checkpoints(damaged)
    checkpoints.save(*saved(4))
    checkpoints.save(*saved(5))
    assert sorted(p.name for p in damaged.iterdir()) == ["4", "5", "damaged-5"]
    aside = damaged / "damaged-5"
    assert {p.name: p.read_bytes() for p in aside.iterdir() if p.is_file()} == content
    assert same(checkpoints.restore(*shapes_of(saved(5))), saved(5))
    assert capsys.readouterr().err == ""


def test_none_whole_is_one_line(damaged):
    damage(damaged / "3")
    checkpoints, (state, best) = Checkpoints(damaged), shapes_of(saved(3))
    for use in (
        checkpoints.latest_step,
        lambda: checkpoints.restore(state, best),
        lambda: checkpoints.restore_params(state.params),
    ):
        with pytest.raises(UserError, match=r"no intact checkpoint: .*5 is damaged.*3 is") as e:
            use()
        assert "\n" not in str(e.value)


def test_a_checkpoint_without_a_digest_is_damaged(two, tmp_path, monkeypatch):
    monkeypatch.setattr("vaejax.training.checkpoint._digest", lambda arrays: None)
    Checkpoints(tmp_path).save(*saved(1))
    monkeypatch.undo()
    with pytest.raises(UserError, match="no digest"):
        Checkpoints(tmp_path).latest_step()


def test_a_save_of_a_whole_step_keeps_it(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(*saved(0))
    checkpoints.save(*saved(0))
    assert [p.name for p in tmp_path.iterdir()] == ["0"]
    assert same(checkpoints.restore(*shapes_of(saved(0))), saved(0))


def test_the_parameters_alone(tmp_path):
    """Of a state whose update this reader knows nothing of; the best where there is one."""
    checkpoints = Checkpoints(tmp_path)
    state, best = saved(7, best=-80.5)
    checkpoints.save(state, best)
    params, step, which = checkpoints.restore_params(shapes_of(state.params))
    assert same(params, best.params) and (step, which) == (6, "best by validation")


def test_another_model_is_named(two):
    shapes = shapes_of(saved(5)[0].params)
    other = shapes._replace(inference={"scale": jax.ShapeDtypeStruct((5,), jnp.float32)})
    with pytest.raises(UserError, match=r"scale \(5,\) float32; it has \(4,\) float32"):
        Checkpoints(two).restore_params(other)
