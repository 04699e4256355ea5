"""`kerastuna confirm` in one process: the champion it prints, and the test set opened once."""

import json
import os
from typing import Any

import numpy as np
import pytest

from kerastuna.search.commands import session
from kerastuna.search.errors import DeviceError

CONFIRM = ("confirm", "--study", "tiny", "--top", "1", "--seeds", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def confirmed(searched: Any) -> dict[str, Any]:
    status, out, err = searched.run(*CONFIRM, "--json")
    assert status == 0, err
    assert "confirmation of tiny ended after" in err
    return json.loads(out)


def test_json_by_the_contract(confirmed: dict[str, Any]) -> None:
    assert set(confirmed) == {"trial", "params", "validation", "test", "model"}
    assert confirmed["validation"]["n"] == confirmed["test"]["n"] == 1
    assert confirmed["test"]["opening"] == 1


def test_a_second_call_returns_the_same_champion(searched: Any, confirmed: dict[str, Any]) -> None:
    assert json.loads(searched.run(*CONFIRM, "--json").out) == confirmed
    lines = searched.run(*CONFIRM).out.splitlines()
    assert lines[0].startswith(f"champion: trial {confirmed['trial']}, {confirmed['params']:,} parameters")


@pytest.mark.usefixtures("storage")
def test_a_study_of_unknown_data_is_refused(kerastuna: Any) -> None:
    status, out, err = kerastuna("confirm")
    assert (status, out) == (2, "")
    assert err == "kerastuna: study 'one' was not made by kerastuna search, so its data are not known\n"


def test_the_gpu_is_not_hidden(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: list[bool] = []

    def refuse(*given: Any) -> None:
        hidden.append("CUDA_VISIBLE_DEVICES" in os.environ)
        raise DeviceError("no GPU")

    monkeypatch.setattr(session, "check_options", refuse)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert searched.run("confirm", "--study", "tiny", "--device", "gpu").status == 2
    assert hidden == [False]


@pytest.mark.parametrize("command", [(*CONFIRM,), ("search", "--study", "tiny")])
def test_a_test_set_that_cannot_be_used_is_refused_before_anything_trains(
    searched: Any, confirmed: dict[str, Any], command: tuple[str, ...]
) -> None:
    data, journal = searched.folder / "tiny.npz", searched.folder / "mlruns" / "optuna.journal"
    good, before = data.read_bytes(), journal.read_bytes()
    with np.load(data) as arrays:
        np.savez(data, **{**arrays, "y_test": arrays["y_test"] + 1})
    try:
        given = [*searched.arguments[1:], "--trials", "9"] if command[0] == "search" else []
        status, out, err = searched.run(*command, *given)
    finally:
        data.write_bytes(good)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("kerastuna: y_test of 'tiny.npz' has labels from 1 to 2: allowed are 0 to 1")
    assert journal.read_bytes() == before
