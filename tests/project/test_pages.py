"""README.md and docs/: commands that exist, settings that are complete, and a site without broken links."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from support import ROOT

from kerastuna.search.commands.cli import COMMANDS
from kerastuna.search.commands.parser import make_parser
from kerastuna.search.commands.typed import VARIABLES

MAKEFILE = (ROOT / "Makefile").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
FROM_THE_NET = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
)
"""What a browser fetches by itself; a link that a reader follows is none of it."""


def commands(page: str) -> list[str]:
    """What a page says that one can type: lines of shell blocks and indented lines, and code in the text."""
    text = (ROOT / page).read_text()
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fence.findall(text) if language == "bash"]
    text = fence.sub("", text)
    blocks.append("\n".join(re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)))
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    spans = [
        " ".join(span.split()) for span in re.findall(r"`([^`]+)`", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))
    ]
    typed = [
        re.split(r"   +|\s#|\s\.\.\.$", line.removeprefix("srun ").removeprefix(".venv/bin/"))[0]
        for line in [*lines, *spans]
    ]
    return [command for command in typed if re.match(r"(kerastuna|make) \S", command)]


def parse(arguments: list[str]) -> None:
    """Fails where the command does not take `arguments`; N is any number."""
    parser = make_parser(dict.fromkeys(COMMANDS, lambda options: 0))
    try:
        parser.parse_args(["1" if argument == "N" else argument for argument in arguments])
    except SystemExit as end:
        if end.code:
            pytest.fail(f"kerastuna does not take: {shlex.join(arguments)}")


@cache
def dry_run(command: str) -> str:
    """What `make` would run for `command`."""
    _, *rest = shlex.split(command)
    # Without what a `make` that runs these tests was given itself.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
    command_line = ["make", "--dry-run", "--old-file=.venv/.ready", *rest]
    return subprocess.run(command_line, cwd=ROOT, env=own, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_every_command_of_a_page_exists(page: str) -> None:
    for command in commands(page):
        program, *arguments = shlex.split(command)
        if program == "make":
            names = re.findall(r"(?<= )([A-Z_]+)=", command)
            assert [name for name in names if not re.search(rf"[(,]{name}[),]", MAKEFILE)] == [], command
            found = re.findall(r"^\.venv/bin/kerastuna (.*)$", dry_run(command), flags=re.MULTILINE)
            assert bool(found) == (arguments[0] in ("search", "ui", "export")), command
            arguments = shlex.split(found[0]) if found else ["--version"]
        parse(arguments)


def test_commands_are_found_where_a_page_has_them() -> None:
    readme, machines = commands("README.md"), commands("docs/many_machines.md")
    assert "make search SPACE=my_space:MySpace DATA=my.npz BUDGET=5000 TRIALS=10" in readme
    assert "make search PROFILE=full" in readme
    assert sum(command.startswith("kerastuna search --study wide") for command in machines) == 2
    assert "kerastuna bench chip" in commands("docs/goals.md")
    assert {f"kerastuna {name}" for name in COMMANDS} <= set(commands("docs/settings.md"))


def test_the_settings_are_all_those_of_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser(dict.fromkeys(COMMANDS, lambda options: 0)).parse_args(["search", "--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE))
    assert len(options) > 30
    rows = [line.split("|") for line in SETTINGS.splitlines() if line.startswith("|")]
    assert sorted(options - set(re.findall(r"--[a-z-]+", " ".join(cell for row in rows for cell in row[2:])))) == []
    assert set(re.findall(r"`?\b([A-Z_]+)=", " ".join(row[1] for row in rows))) == set(VARIABLES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The build of `make check-docs`, to `folder`."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=False)


def test_the_site_needs_nothing_from_the_net(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}
    assert {"index.html", *(page.replace(".md", ".html") for page in PAGES[1:])} <= set(pages)
    assert [name for name, page in pages.items() if FROM_THE_NET.search(page)] == []
    assert "docs/trials.png" in pages["index.html"]
    assert (site / "docs" / "trials.png").is_file()


def test_an_anchor_that_is_not_there_ends_the_build(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    for name in ("docs", "benchmarks/results"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"):
        (tmp_path / "copy" / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "copy" / name)
    with (tmp_path / "copy" / "docs" / "goals.md").open("a") as page:
        page.write("\n[a chip](export.md#nowhere)\n")
    built = build(tmp_path / "copy", tmp_path / "site")
    assert built.returncode == 1
    assert "export.md#nowhere" in built.stderr
