"""Every module has a test file where one looks for it, and every test file is of a module in its package."""

from pathlib import Path

import pytest
from support import ROOT, TESTS

WITHOUT_A_TEST_FILE = {
    "search/__init__.py": "tests/test_public_names.py tests the names that it offers",
    "search/export/c_kernels.py": "tests/export/test_c_program.py compiles it and compares every value",
    "spaces/__init__.py": "tests/test_public_names.py tests the names that it offers",
}
"""Modules that need no test file of their own, each with the reason."""

PACKAGES = ["spaces", *sorted(path.name for path in (ROOT / "search").iterdir() if (path / "__init__.py").is_file())]


def modules() -> list[Path]:
    """The modules of the checkout that hold code, by their paths in it."""
    paths = (path for source in ("search", "spaces") for path in (ROOT / source).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in paths if path.read_text().strip())


def place_of_tests(module: Path) -> Path:
    """The place of the tests of `module`: tests/spaces/test_cost.py for spaces/cost.py."""
    package = module.parent if module.parts[0] == "spaces" else module.parent.relative_to("search")
    return Path("tests", package, f"test_{module.name}")


def test_every_module_has_a_test_file() -> None:
    missing = [
        f"{module} has no {place_of_tests(module)}"
        for module in modules()
        if str(module) not in WITHOUT_A_TEST_FILE and not (ROOT / place_of_tests(module)).is_file()
    ]
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


@pytest.mark.parametrize("module", WITHOUT_A_TEST_FILE)
def test_a_module_that_is_excused_exists_and_has_no_test_file(module: str) -> None:
    assert Path(module) in modules()
    assert not (ROOT / place_of_tests(Path(module))).is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_test_file_of_a_package_is_of_a_module(package: str) -> None:
    source = ROOT / package if package == "spaces" else ROOT / "search" / package
    names = [path.stem for path in source.glob("*.py")]
    files = [path.stem.removeprefix("test_") for path in (TESTS / package).glob("test_*.py")]
    assert [file for file in files if not any(file == name or file.startswith(f"{name}_") for name in names)] == []
