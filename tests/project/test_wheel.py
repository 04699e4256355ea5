"""The wheel holds every module of the checkout, and all of them can be imported from outside it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from support import ROOT

SOURCES = ("search", "spaces")
PACKAGE = ROOT / "search" / "package"
"""The folder that is installed as `kerastuna` itself."""
IMPORT_ALL = """
import importlib, json, sys
files = {name: importlib.import_module(name).__file__ for name in sys.argv[1:]}
print(json.dumps(files))
"""


def packages() -> list[str]:
    """The packages that pyproject.toml lists."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["tool"]["setuptools"]["packages"]


def modules() -> dict[str, str]:
    """The path inside the wheel of every module in the checkout, by its dotted name."""
    found = {}
    for path in (path for source in SOURCES for path in (ROOT / source).rglob("*.py")):
        inside = Path("kerastuna", path.relative_to(PACKAGE if path.parent == PACKAGE else ROOT))
        parts = inside.with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = inside.as_posix()
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked wheel. It is built from a copy: setuptools leaves files where it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    for source in SOURCES:
        shutil.copytree(ROOT / source, copy / source, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    built = subprocess.run(
        [*pip, "--wheel-dir", str(folder), str(copy)], capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [archive] = folder.glob("kerastuna-*.whl")
    with ZipFile(archive) as file:
        file.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_listed_packages_are_the_folders() -> None:
    folders = {path.parent for source in SOURCES for path in (ROOT / source).rglob("*.py")}
    below = sorted(".".join(("kerastuna", *folder.relative_to(ROOT).parts)) for folder in folders - {PACKAGE})
    assert packages() == ["kerastuna", *below]


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for source in SOURCES for path in (ROOT / source).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_wheel_holds_the_modules_and_the_marks_of_types_and_nothing_else(wheel: Path) -> None:
    held = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    expected = {*modules().values(), "kerastuna/search/py.typed", "kerastuna/spaces/py.typed"}
    assert {path for path in held if ".dist-info/" not in path} == expected


def test_every_module_can_be_imported_from_outside_the_checkout_and_does_nothing(wheel: Path, tmp_path: Path) -> None:
    # -S leaves out the .pth files, and with them the editable installation of the checkout.
    python = [sys.executable, "-S", "-P", "-c", IMPORT_ALL]
    path = os.pathsep.join([str(wheel), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    imported = subprocess.run(
        [*python, *modules()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    assert json.loads(imported.stdout) == {name: str(wheel / inside) for name, inside in modules().items()}
    assert list(tmp_path.iterdir()) == []
