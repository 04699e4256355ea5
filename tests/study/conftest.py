"""Fixtures of the tests of study/."""

from pathlib import Path

import pytest


@pytest.fixture(params=["journal", "sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    return tmp_path / "optuna.journal" if request.param == "journal" else f"sqlite:///{tmp_path}/optuna.db"
