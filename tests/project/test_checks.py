"""`make check`, the hooks of pre-commit and continuous integration run the same checks."""

import os
import re
import subprocess

import yaml
from support import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
CI = (ROOT / ".ci" / "run").read_text().splitlines()


def checks() -> list[str]:
    """The targets that `make check` consists of."""
    [listed] = re.findall(r"^CHECKS := (.+)$", MAKEFILE, flags=re.MULTILINE)
    return listed.split()


def test_make_check_runs_every_check() -> None:
    [rule] = re.findall(r"^check:(.*)\n(.*)$", MAKEFILE, flags=re.MULTILINE)
    assert rule == (" $(CHECKS)", "")
    assert re.findall(r"^(check-\w+):", MAKEFILE, flags=re.MULTILINE) == checks()


def test_the_hooks_are_the_checks() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"make --silent {check}" for check in checks()]
    for hook in hooks:
        assert hook["id"] == hook["entry"].split()[-1]
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False  # the commands check everything
        assert [name for name in ("search/cli.py", "pyproject.toml") if not re.search(hook["files"], name)] == []


def test_continuous_integration_runs_the_tests_and_the_checks() -> None:
    assert "make check" in CI
    assert any(line.startswith("make test") for line in CI)


def test_coverage_is_measured_by_the_tests_themselves() -> None:
    # Without what a `make` that runs these tests was given itself, such as COVERAGE=1.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = {name: value for name, value in environment.items() if name not in ("ARGS", "COVERAGE")}
    commands = {
        target: subprocess.run(
            ["make", "--dry-run", "--old-file=.venv/.ready", *target.split()],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for target in ("test", "coverage", "test COVERAGE=1")
    }
    assert "--cov" not in commands["test"]
    assert commands["coverage"] == commands["test COVERAGE=1"]
    assert commands["coverage"].replace(" --cov", "").split() == commands["test"].split()
