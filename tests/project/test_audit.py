"""`make check-packages`: what pip-audit knows of the packages, and what it could not look up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

KNOWN = {"name": "wheel", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1", "2.0"]}]}
CLEAN = {"name": "zipp", "version": "4.1", "vulns": []}
SKIPPED = {"name": "yarl", "skip_reason": "not found"}


def audited(folder: Path, answer: str | None) -> tuple[int, str]:
    """Status and output of the audit where pip-audit prints `answer`; None where it is not installed."""
    if answer is not None:
        program = folder / "pip-audit"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\necho 'no connection' >&2\n")
        program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit")],
        env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.skipif(Path(sys.executable).with_name("pip-audit").exists(), reason="pip-audit itself would be run")
@pytest.mark.parametrize(
    ("packages", "status", "told"),
    [
        ([CLEAN, SKIPPED], 0, "audit: 1 of 2 packages, known vulnerabilities: 0\n"),
        (
            [KNOWN, CLEAN],
            1,
            "wheel 1.0: CVE-1, mended in 1.1, 2.0\naudit: 2 of 2 packages, known vulnerabilities: 1\n",
        ),
        ([SKIPPED], 0, "audit skipped: pip-audit's database knows none of 1 packages; it cannot be reached\n"),
        (None, 0, "audit skipped: no connection\n"),
    ],
)
def test_what_is_known_fails_the_check(tmp_path: Path, packages: list[Any] | None, status: int, told: str) -> None:
    answer = "" if packages is None else json.dumps({"dependencies": packages})
    assert audited(tmp_path, answer) == (status, told)


@pytest.mark.skipif(Path(sys.executable).with_name("pip-audit").exists(), reason="it is installed")
def test_without_pip_audit_it_says_so(tmp_path: Path) -> None:
    assert audited(tmp_path, None) == (0, "audit skipped: pip-audit is not installed\n")
