"""The space that a user names, as files in the working folder hold it."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from kerastuna.search.commands.user_space import check_space, load_space, space_slug
from kerastuna.search.datasets.task import Classification
from kerastuna.search.errors import SpaceError
from kerastuna.spaces.convnet import ConvNet

SHAPE = (8, 8, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, whose modules are forgotten at the end."""
    modules = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, name: str, program: str) -> None:
    (folder / f"{name}.py").write_text(textwrap.dedent(program))


SPACES = """
    import keras_tuner

    class Told(keras_tuner.HyperModel):
        def __init__(self, input_shape, classes):
            super().__init__()
            self.told = (input_shape, classes)
        def build(self, hp): ...

    class Untold(keras_tuner.HyperModel):
        def __init__(self):
            super().__init__()
            self.told = ()
        def build(self, hp): ...

    class Anything(keras_tuner.HyperModel):
        def __init__(self, **kwargs):
            super().__init__()
            self.told = kwargs
        def build(self, hp): ...

    class Demanding(keras_tuner.HyperModel):
        def __init__(self, width):
            super().__init__()
        def build(self, hp): ...

    class Filled(keras_tuner.HyperModel):
        def __init__(self, parameters=None):
            self.told = parameters
            super().__init__()
        def build(self, hp): ...

    class Sized(keras_tuner.HyperModel):
        def __init__(self, parameters, smaller):
            self.told = parameters, smaller
            super().__init__()
        def build(self, hp): ...

    class Picky(keras_tuner.HyperModel):
        def __init__(self, classes):
            raise RuntimeError(f"not\\nfor {classes}")
        def build(self, hp): ...

    class Namespace:
        instance = Untold()

    def build(hp): ...

    class NoModel: ...
    number = 3
"""


def test_a_class_is_told_what_it_asks_for(folder: Path) -> None:
    write(folder, "my_spaces", SPACES)
    assert load_space("my_spaces:Told", SHAPE, Classification(5)).told == (SHAPE, 5)
    assert load_space("my_spaces:Untold", SHAPE, Classification(5)).told == ()
    assert load_space("my_spaces:Anything", SHAPE, Classification(5)).told == {"input_shape": SHAPE, "classes": 5}
    assert load_space("my_spaces:Filled", SHAPE, Classification(5), 700).told == 700
    assert load_space("my_spaces:Filled", SHAPE, Classification(5), 700, smaller=True).told is None
    assert load_space("my_spaces:Sized", SHAPE, Classification(5), 700).told == (700, False)
    assert load_space("my_spaces:Sized", SHAPE, Classification(5), 700, smaller=True).told == (700, True)


def test_instances_and_functions_are_taken_as_they_are(folder: Path) -> None:
    write(folder, "my_spaces", SPACES)
    module: Any = sys.modules
    function = load_space("my_spaces:build", SHAPE, Classification(5))
    assert function is module["my_spaces"].build
    assert (
        load_space("my_spaces:Namespace.instance", SHAPE, Classification(5)) is module["my_spaces"].Namespace.instance
    )


def test_kerastunas_own_space() -> None:
    space = load_space("kerastuna.spaces.convnet:ConvNet", SHAPE, Classification(5))
    assert isinstance(space, ConvNet)
    assert isinstance(space, keras_tuner.HyperModel)
    assert (space.input_shape, space.classes) == (SHAPE, 5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_spaces", "is not of the form module:attribute"),
        ("my_spaces", "neither convnet nor compact"),
        ("my_spaces:", "is not of the form module:attribute"),
        (":build", "is not of the form module:attribute"),
        ("my spaces:build", "is not of the form module:attribute"),
        ("my_spaces:build()", "is not of the form module:attribute"),
        ("no_such_module:build", "there is no module no_such_module here or among the installed packages"),
        ("no_such.module:build", "No module named 'no_such'"),
        ("my_spaces:missing", "cannot be found"),
        ("my_spaces:number", "is of type int: give a keras_tuner.HyperModel, or a build function"),
        ("my_spaces:NoModel", "is the class NoModel: give a keras_tuner.HyperModel, or a build function"),
        ("my_spaces:Demanding", "cannot be made with input_shape=(8, 8, 1), classes=5 (TypeError: "),
        ("my_spaces:Picky", "(RuntimeError: not for 5)"),
        ("broken:build", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("exits:build", "cannot be imported (SystemExit: 3)"),
        ("kerastuna.spaces.convnet:Missing", "cannot be found"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(spec: str, message: str, folder: Path) -> None:
    write(folder, "my_spaces", SPACES)
    write(folder, "broken", "1 / 0")
    write(folder, "exits", "raise SystemExit(3)")
    with pytest.raises(SpaceError) as caught:
        load_space(spec, SHAPE, Classification(5))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert repr(spec) in str(caught.value)


def test_what_a_space_prints_stays_off_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "chatty", "print('hello')\ndef build(hp): ...\n")
    load_space("chatty:build", SHAPE, Classification(5))
    assert capsys.readouterr() == ("", "hello\n")


def test_a_password_is_not_repeated() -> None:
    """When a URL is given in the wrong place."""
    with pytest.raises(SpaceError) as caught:
        check_space("postgresql://me:sec/ret@host/db")
    assert "ret" not in str(caught.value).replace("attribute", "")


def test_checking_does_not_import(folder: Path) -> None:
    write(folder, "loud", "raise AssertionError")
    check_space("loud:build")
    check_space("kerastuna.spaces.convnet:ConvNet")
    with pytest.raises(SpaceError, match="there is no module quiet"):
        check_space("quiet:build")


@pytest.mark.parametrize(
    ("spec", "slug"), [("kerastuna.spaces.convnet:ConvNet", "convnet"), ("a.b:Spaces.Mine", "mine"), ("a:b", "b")]
)
def test_the_slug_of_a_space(spec: str, slug: str) -> None:
    assert space_slug(spec) == slug
