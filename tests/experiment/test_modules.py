"""The modules that an experiment imports from beside it belong to it."""

import sys

import pytest

from vaejax.errors import UserError
from vaejax.experiment import identity, load
from vaejax.experiment.modules import modules_beside

FILES = {
    "mine.py": "import os\nimport first.inner as inner\nfrom third import WIDTH\n"
    "from vaejax.experiment import MLP, Config\n"
    "config = Config(model=MLP(hidden=(WIDTH + inner.WIDTH,)))\n"
    "def build(config, data):\n    import late\n    return late.built\n",
    "first/__init__.py": "from .other import x\n",
    "first/inner.py": "from . import deep\nfrom .other import y\nWIDTH = deep.WIDTH\n",
    "first/other.py": "x = y = 0\n",
    "first/deep.py": "WIDTH = 3\n",
    "first/unused.py": "",
    "third.py": "import mine_too\nWIDTH = 4\n",
    "mine_too.py": "import third\n",
    "late.py": "built = 'built'\n",
    "unused.py": "",
    "vaejax.py": "this is no Python",
    "spaces/apart.py": "",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_they_are_found_wherever_they_are_imported(folder):
    found = modules_beside(folder / "mine.py", folder)
    names = "first first.deep first.inner first.other late mine_too third"
    assert " ".join(found) == names
    assert found["first"] == folder / "first" / "__init__.py"
    (folder / "spaced.py").write_text("from spaces.apart import x\n")  # of a folder without a file
    assert list(modules_beside(folder / "spaced.py", folder)) == ["spaces.apart"]


def test_they_are_of_this_folder_each_time(folder, tmp_path_factory):
    """Two experiments with modules of the same names, loaded one after the other."""
    other = tmp_path_factory.mktemp("other")
    for name, text in FILES.items():
        (other / name).parent.mkdir(exist_ok=True)
        (other / name).write_text(text.replace("3", "30").replace("'built'", "'other'"))
    before = list(sys.path)
    files = [load(folder / "mine.py"), load(other / "mine.py"), load(folder / "mine.py")]
    assert [file.config.model.hidden for file in files] == [(7,), (34,), (7,)]
    assert [file.build(file.config, None) for file in files] == ["built", "other", "built"]
    assert sys.path == before


def test_they_are_part_of_the_identity(folder):
    def made():
        file = load(folder / "mine.py")
        return identity(file, file.config, "")

    first = made()
    (folder / "unused.py").write_text("x = 1\n")
    (folder / "late.py").write_text('"""What it says of itself."""\n\nbuilt = "built"\n')
    assert made() == first
    (folder / "late.py").write_text("built = 'built otherwise'\n")
    assert made() != first


def test_one_that_is_no_python_is_one_line(folder):
    (folder / "late.py").write_text("def\n")
    with pytest.raises(UserError, match=r"cannot import the experiment .*late.py, line 1"):
        load(folder / "mine.py")


def test_a_build_that_changes_its_config_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import dataclasses\nfrom vaejax.experiment import Config\n"
        "@dataclasses.dataclass\nclass Mine:\n    width: int = 8\n"
        "@dataclasses.dataclass(frozen=True)\nclass Own(Config):\n"
        "    mine: Mine = dataclasses.field(default_factory=Mine)\n"
        "config = Own()\n"
        "def build(config, data):\n    config.mine.width *= 2\n"
    )
    file = load(tmp_path / "mine.py")
    with pytest.raises(UserError, match=r"changed its config \(mine.width: 8 before, 16 after"):
        file.build(file.config, None)
