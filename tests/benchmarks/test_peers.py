"""The benchmark of the peers as a command: which searches it runs, keeps and refuses, and how it ends."""

import json
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peers
import pytest
from side_by_side import one_search
from side_by_side.contenders import MAIN
from side_by_side.measures import Search

from kerastuna.search.errors import InputError

ON = {"images": [9, 9], "fingerprint": "f", "hardware": "cpu", "backend": "b", "versions": "v"}


class Searches:
    """Stands in for the processes that search."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, str]] = []
        self.expected: list[Any] = []
        self.ends_after = 99
        self.error: BaseException = KeyboardInterrupt()

    def __call__(self, name: str, seed: int, setting: Any, expected: Any, folder: Path) -> dict[str, Any]:
        if len(self.begun) == self.ends_after:
            raise self.error
        self.begun.append((seed, name))
        self.expected.append(expected)
        search = Search(name, seed, 48, 1, {"complete": 1}, 3, 1.0, None, None, 0, 0, 1.0, [(5.0, 0.5)])
        return {"search": asdict(search), **ON}


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    searches = Searches()
    monkeypatch.setattr(peers, "search", searches)
    monkeypatch.setattr(peers, "is_installed", lambda name: True)
    return searches


def run(folder: Path, *arguments: str) -> int:
    return peers.main(["--contenders", "random", "optuna", "--seeds", "2", "--results", str(folder), *arguments])


def test_each_seed_begins_with_another_contender() -> None:
    orders = [peers.order(MAIN, seed) for seed in range(1, 8)]
    assert orders[0] == list(MAIN)
    assert [order[0] for order in orders] == [*MAIN, MAIN[0]]
    assert all(sorted(order) == sorted(MAIN) for order in orders)


def test_the_same_command_goes_on_with_what_is_missing(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searches.ends_after = 3
    assert run(tmp_path) == 130
    path = tmp_path / "peers-short.json"
    assert capsys.readouterr().err == (
        f"peers: interrupted; searches in {path}: 3; the same command without --overwrite goes on, --redraw {path} "
        "shows them\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    searches.ends_after = 99
    assert run(tmp_path) == 0
    assert searches.begun == [(1, "random"), (1, "optuna"), (2, "optuna"), (2, "random")]
    assert searches.expected == [None, ON, ON, ON]
    assert len(json.loads(path.read_text())["searches"]) == 4
    assert run(tmp_path) == 0
    assert len(searches.begun) == 4


def test_an_interruption_before_the_first_end_promises_nothing(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searches.ends_after = 0
    assert run(tmp_path) == 130
    assert capsys.readouterr().err == "peers: interrupted; no search was finished\n"


def test_a_run_in_which_the_machine_changes_ends(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searches.ends_after, searches.error = 2, InputError("the searches before have hardware cpu, now gpu")
    assert run(tmp_path) == 2
    assert capsys.readouterr().err == "peers: the searches before have hardware cpu, now gpu\n"
    assert len(json.loads((tmp_path / "peers-short.json").read_text())["searches"]) == 2


def test_another_setting_overwrites_only_what_it_is_told_to(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    path = tmp_path / "peers-short.json"
    before = path.read_text()
    capsys.readouterr()
    assert run(tmp_path, "--seconds", "24") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), path.read_text()) == ("", 1, before)
    assert "(seconds 48.0, now 24.0)" in err
    searches.ends_after = 5
    assert run(tmp_path, "--seconds", "24", "--overwrite") == 130
    told = json.loads(path.read_text())
    assert (told["setting"]["seconds"], len(told["searches"])) == (24, 1)
    searches.ends_after = 4
    searches.begun.clear()
    assert run(tmp_path, "--seconds", "24") == 0
    assert len(searches.begun) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--seeds", text] for text in ("0", "-1", "two")),
        *(["--seconds", text] for text in ("0", "-1", "nan", "inf", "soon")),
        *([option, "0"] for option in ("--images", "--validated", "--epochs")),
        ["--name", "../x"],
        ["--contenders", "nobody"],
    ],
)
def test_a_wrong_argument_gets_one_line(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, *arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert arguments[0] in err
    assert searches.begun == []


@pytest.mark.parametrize("kind", ["missing", "a folder", "no JSON", "no text"])
def test_a_file_that_cannot_be_read_gets_one_line(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "peers-short.json"
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(b"no" if kind == "no JSON" else b"\xff")
    for arguments in (["--redraw", str(path)], *([] if kind == "missing" else [[]])):
        assert run(tmp_path, *arguments) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "peers-short.json" in err
    assert searches.begun == []


def test_a_folder_that_cannot_be_made_gets_one_line(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(tmp_path / "file" / "results") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert searches.begun == []


def test_signals_that_follow_the_first_one_do_not_disturb_the_end(
    searches: Searches, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: Any) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(peers, "search", killed)
    assert run(tmp_path) == 130
    assert capsys.readouterr().err == "peers: interrupted; no search was finished\n"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_data_that_are_not_there_end_the_run_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna_integration", reason="needs the extra bench")
    pytest.importorskip("tensorboard", reason="needs the extra bench")

    def run_here(command: list[str], **given: Any) -> subprocess.CompletedProcess[str]:
        one_search.main(command[3:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(peers, "subprocess", SimpleNamespace(run=run_here))
    assert run(tmp_path / "results", "--data", str(tmp_path / "gone.npz")) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "gone.npz" in err
