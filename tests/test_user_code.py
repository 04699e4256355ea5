"""Code of users is found in the working folder, imported and called; whatever is wrong becomes one line."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.errors import DataError, SpaceError
from kerastuna.search.user_code import find_module, guarded, import_attribute, is_reference

WHAT = "space 'theirs:Space'"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_of_the_working_folder_is_found_but_not_imported(folder: Path) -> None:
    (folder / "theirs_found.py").write_text("raise RuntimeError('imported')")
    find_module("theirs_found", WHAT, SpaceError)
    assert "theirs_found" not in sys.modules


def test_the_working_folder_stays_importable_for_neighbours(folder: Path) -> None:
    (folder / "theirs_first.py").write_text(
        "def late():\n    import theirs_neighbour\n    return theirs_neighbour.VALUE\n"
    )
    (folder / "theirs_neighbour.py").write_text("VALUE = 7\n")
    find_module("theirs_first", WHAT, SpaceError)
    assert import_attribute("theirs_first", "late", WHAT, SpaceError)() == 7


def test_an_installed_module_is_found(folder: Path) -> None:
    find_module("json.decoder", WHAT, SpaceError)


@pytest.mark.parametrize("module", ["theirs_gone", "json.theirs_gone"])
def test_a_missing_module_is_named(folder: Path, module: str) -> None:
    with pytest.raises(SpaceError, match=rf"^space 'theirs:Space': there is no module {module} here"):
        find_module(module, WHAT, SpaceError)


def test_a_package_that_fails_is_reported_in_one_line(folder: Path) -> None:
    (folder / "theirs_broken").mkdir()
    (folder / "theirs_broken" / "__init__.py").write_text("raise RuntimeError('first\\nsecond')")
    with pytest.raises(DataError, match=r"^module theirs_broken\.part of data cannot be imported \(") as caught:
        find_module("theirs_broken.part", "data", DataError)
    assert "\n" not in str(caught.value)


def test_attributes_may_be_nested(folder: Path) -> None:
    (folder / "theirs_nested.py").write_text("class Outer:\n    class Inner:\n        pass\n")
    find_module("theirs_nested", WHAT, SpaceError)
    assert import_attribute("theirs_nested", "Outer.Inner", WHAT, SpaceError).__qualname__ == "Outer.Inner"
    with pytest.raises(SpaceError, match=r"^space 'theirs:Space' cannot be found \(.*Gone.*\): correct it$"):
        import_attribute("theirs_nested", "Outer.Gone", WHAT, SpaceError)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), AssertionError()])
def test_a_call_that_fails_becomes_one_error_with_its_cause(error: BaseException) -> None:
    def fail() -> Any:
        raise error

    with pytest.raises(DataError, match=r"^the loader failed \(.*\): correct it$") as caught:
        guarded(fail, "the loader failed", DataError)
    assert caught.value.__cause__ is error


def test_an_interruption_is_not_an_error_of_the_user() -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupt, "the loader failed", DataError)


def test_what_a_call_prints_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: print("loading") or 5, "the loader failed", DataError) == 5
    assert capsys.readouterr() == ("", "loading\n")


@pytest.mark.parametrize("spec", ["module:Space", "package.module:Outer.Inner", "_a1:b"])
def test_a_reference_is_a_module_and_an_attribute(spec: str) -> None:
    assert is_reference(spec)


@pytest.mark.parametrize(
    "spec", ["", "mnist", "module:", ":Space", "my-module:Space", "a:b:c", "C:/data/x.npz", "a/b:c"]
)
def test_other_words_are_no_references(spec: str) -> None:
    assert not is_reference(spec)
