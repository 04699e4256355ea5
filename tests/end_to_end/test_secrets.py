"""A password in every address and variable: it is in nothing that a search prints, and in no file that it leaves."""

import textwrap
from pathlib import Path

import numpy as np
import pytest
from support import call_kerastuna

SECRETS = {
    "STORAGE": "stor4ge-pw",
    "PGPASSWORD": "pgp4ss-pw",
    "MLFLOW_TRACKING_PASSWORD": "mlfl0w-pw",
    "MLFLOW_TRACKING_TOKEN": "t0ken-of-mlflow",
    "DATABRICKS_TOKEN": "dapi0123456789abcdef",
    "AWS_SECRET_ACCESS_KEY": "4ws-secret-key",
    "DATABASE_URL": "d4tabase-pw",
}
SPACE = """
    import os
    import sys

    import keras

    def build(hp):
        units = hp.Int("units", 1, 9)
        print(*sys.argv, *os.environ.values(), file=sys.stderr)
        if units % 2 == 0:
            raise ValueError(" ".join([*sys.argv, *os.environ.values()]))
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(units, activation="relu"))
        model.add(keras.layers.Dense(2, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""


def _found(text: bytes) -> list[str]:
    return [name for name, secret in SECRETS.items() if secret.encode() in text]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "tiny.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (tmp_path / "space_that_tells_all.py").write_text(textwrap.dedent(SPACE))
    for name, secret in SECRETS.items():
        if name != "STORAGE":
            monkeypatch.setenv(name, f"postgresql://me:{secret}@host/db" if name.endswith("URL") else secret)
    return tmp_path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_password_leaves_a_search(folder: Path, capfd: pytest.CaptureFixture[str], workers: str) -> None:
    arguments = (
        *("search", "--space", "space_that_tells_all:build", "--data", "tiny.npz", "--budget", "500"),
        *("--trials", "3", "--epochs", "1", "--device", "cpu", "--study", "secret", "--no-confirm"),
        *("--workers", workers),
        f"--storage=sqlite:///file:optuna.db?uri=true&password={SECRETS['STORAGE']}",  # which SQLite ignores
    )
    ended = call_kerastuna(folder, *arguments, check=None)
    printed = capfd.readouterr()
    for text in (ended.stdout, ended.stderr, printed.out, printed.err):
        assert _found(text.encode(errors="replace")) == []
    assert "***" in ended.stderr  # what the space printed came this far
    left = [path for path in folder.rglob("*") if path.is_file()]
    assert {"optuna.db", "mlflow.db"} <= {path.name for path in left}
    assert {str(path): found for path in left if (found := _found(path.read_bytes()))} == {}
    assert b"***" in (folder / "optuna.db").read_bytes()  # and what it raised


@pytest.mark.parametrize(
    ("option", "commands"), [("--storage", ("trials", "studies", "repair")), ("--tracking-uri", ("search", "ui"))]
)
@pytest.mark.parametrize(
    "url",
    [
        "me:{pw}@host",
        "nope://me:{pw}@host/x",
        "postgresql+nope://me:{pw}@host/x?sslpassword={pw}",
        "http://me:{pw}@127.0.0.1:70000/x",
        "http://{pw}@127.0.0.1:99999",
        "mysql://me:{pw}@ho st",
    ],
)
def test_a_refused_address_shows_no_password(folder: Path, option: str, commands: tuple[str, ...], url: str) -> None:
    given = url.format(pw=SECRETS["STORAGE"])
    before = sorted(folder.iterdir())
    for command in commands:
        ended = call_kerastuna(folder, command, f"{option}={given}", check=2)
        assert SECRETS["STORAGE"] not in ended.stdout + ended.stderr
    assert sorted(folder.iterdir()) == before
