"""Code of users: found in the working folder, imported, called, and refused in one line if it fails."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kerastuna.search.errors import DataError, InputError, SpaceError
from kerastuna.search.user_code import find_module, guarded, import_attribute, is_reference


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The working folder, which is not on the path yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("code_of_a_user"):
            del sys.modules[name]


def refusal(function: Callable[[], object], error: type[InputError]) -> str:
    with pytest.raises(error) as caught:
        function()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("spec", ["module:attribute", "package.module:Class.method", "_a1:b"])
def test_references(spec: str) -> None:
    assert is_reference(spec)


@pytest.mark.parametrize(
    "spec",
    ["", ":", "module", "module:", ":attribute", "my-module:f", "a b:c", "a:b:c", "a:b()", "https://host/set", "1:2"],
)
def test_what_is_no_reference(spec: str) -> None:
    assert not is_reference(spec)


def test_a_module_of_the_working_folder_is_found_and_not_imported(folder: Path) -> None:
    (folder / "code_of_a_user.py").write_text("raise AssertionError('imported')")
    find_module("code_of_a_user", "space 'x'", SpaceError)
    find_module("code_of_a_user", "space 'x'", SpaceError)
    assert "code_of_a_user" not in sys.modules
    assert sys.path.count(str(folder)) == 1


def test_packages_around_a_module_are_imported(folder: Path) -> None:
    (folder / "code_of_a_user_too").mkdir()
    (folder / "code_of_a_user_too" / "__init__.py").write_text("1 / 0")
    (folder / "code_of_a_user_too" / "inner.py").touch()
    message = refusal(lambda: find_module("code_of_a_user_too.inner", "space 'x'", SpaceError), SpaceError)
    assert message == (
        "module code_of_a_user_too.inner of space 'x' cannot be imported "
        "(ZeroDivisionError: division by zero): correct it"
    )


@pytest.mark.parametrize("error", [DataError, SpaceError])
def test_a_module_that_is_not_there_is_refused_as_the_caller_asks(folder: Path, error: type[InputError]) -> None:
    message = refusal(lambda: find_module("no_such_module_at_all", "data set 'y'", error), error)
    assert message.startswith("data set 'y': there is no module no_such_module_at_all here or among the installed")


def test_an_attribute_may_be_inside_a_class() -> None:
    assert import_attribute("pathlib", "Path.cwd", "space 'x'", SpaceError)() == Path.cwd()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "",
            "space 'x' cannot be found (AttributeError: module 'code_of_a_user' has no attribute 'build'): correct it",
        ),
        ("def build(:", "module code_of_a_user of space 'x' cannot be imported (SyntaxError"),
        ("raise SystemExit(3)", "module code_of_a_user of space 'x' cannot be imported (SystemExit: 3): correct it"),
    ],
)
def test_an_attribute_that_cannot_be_imported_is_refused(folder: Path, source: str, message: str) -> None:
    (folder / "code_of_a_user.py").write_text(source)
    find_module("code_of_a_user", "space 'x'", SpaceError)
    told = refusal(lambda: import_attribute("code_of_a_user", "build", "space 'x'", SpaceError), SpaceError)
    assert told.startswith(message)


def test_what_it_prints_stays_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: print("hello") or 5, "it failed", SpaceError) == 5
    assert capsys.readouterr() == ("", "hello\n")


def test_its_failure_is_one_line_with_the_cause_and_without_passwords() -> None:
    failure = OSError("first\nhttps://me:secret@host/x")

    def fail() -> None:
        raise failure

    with pytest.raises(DataError) as caught:
        guarded(fail, "set 'y' failed", DataError)
    assert str(caught.value) == "set 'y' failed (OSError: first https://me:***@host/x): correct it"
    assert caught.value.__cause__ is failure


def test_an_interruption_is_not_a_failure() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupt, "it failed", SpaceError)
