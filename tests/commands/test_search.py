"""`kerastuna search` in one process: what it prints, how it goes on, how it ends without a result."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from kerastuna.search.commands.search import is_last
from kerastuna.search.study.storage import open_storage


def study_of(folder: Path, name: str) -> optuna.Study:
    storage: BaseStorage = open_storage(folder / "mlruns" / "optuna.journal")
    return optuna.load_study(study_name=name, storage=storage)


def test_json_alone_is_on_standard_output(searched: Any) -> None:
    told = json.loads(searched.json)
    assert set(told) == {"study", "profile", "trials", "failures", "best", "champion", "mlflow", "seconds"}
    assert (told["study"], told["profile"], told["champion"]) == ("tiny", "quick", None)
    assert told["trials"]["complete"] + told["trials"]["pruned"] == 2
    assert told["best"]["params"] == 19 * told["best"]["hyperparameters"]["units"] + 2
    assert "from the user's code" in searched.err
    assert "study tiny (quick): 2 trials of 1 epoch\n" in searched.err
    assert searched.err.count("tiny ended after") == 1


def test_mlflow_has_the_study_its_trials_and_the_report(searched: Any) -> None:
    told = json.loads(searched.json)["mlflow"]
    client = MlflowClient(told["tracking_uri"])
    parent = client.get_run(told["run_id"])
    assert parent.info.status == "FINISHED"
    assert {"space", "data", "profile", "images", "validation_images", "epochs", "sampler"} <= set(parent.data.params)
    assert "report/leaderboard.csv" in {file.path for file in client.list_artifacts(told["run_id"], "report")}


def test_the_seconds_of_all_searches_are_added_up(searched: Any) -> None:
    study = study_of(searched.folder, "tiny")
    before = study.user_attrs["search_seconds"]
    assert before > 0
    status, out, err = searched.run(*searched.arguments, "--no-confirm")
    assert status == 0
    assert "2 trials of 1 epoch, 2 done" in err
    assert "next:" in out
    assert "kerastuna confirm --study tiny" in out
    assert study_of(searched.folder, "tiny").user_attrs["search_seconds"] > before


@pytest.mark.parametrize(
    "asked",
    [("--board", "rpi-pico", "--max-ram", "30000"), ("--pareto", "val_accuracy,flash", "--max-flash", "20K")],
    ids=lambda asked: asked[0][2:],
)
def test_networks_are_trained_that_fit_a_chip(kerastuna: Any, tmp_path: Path, asked: tuple[str, ...]) -> None:
    small = ("--images", "50", "--epochs", "1", "--trials", "2", "--device", "cpu", "--study", "chip", "--no-confirm")
    status, _, err = kerastuna("search", *asked, *small)
    assert status == 0, err
    trials = study_of(tmp_path, "chip").get_trials(states=[TrialState.COMPLETE])
    assert len(trials) == 2
    cost, limit = ("ram", 30_000) if "--board" in asked else ("flash", 20 * 1024)
    assert all(0 < trial.user_attrs[cost] <= limit for trial in trials)
    assert cost == "ram" or [trial.values[1] for trial in trials] == [trial.user_attrs["flash"] for trial in trials]


def test_a_target_that_nothing_reached(searched: Any) -> None:
    goal = ("--minimize", "params", "--reach", "val_accuracy=2")
    status, _, err = searched.run(*searched.arguments, "--study", "high", *goal, "--no-confirm")
    assert status == 1
    line = err.splitlines()[-1]
    assert line.startswith("kerastuna: none reached val_accuracy 2; the closest, trial ")
    assert line.endswith("give more --trials or --epochs, a larger --budget, or a lower target")


def test_a_search_without_time_has_no_result(searched: Any) -> None:
    status, out, err = searched.run(*searched.arguments, "--study", "late", "--timeout", "0.001")
    assert status == 1
    assert err.splitlines()[-1] == "kerastuna: no trial is complete yet; give more --trials or a longer --timeout"
    assert "0 complete" in out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing", "space 'tiny_space_of_commands:missing'"),
        ("TINY", "space 'tiny_space_of_commands:TINY'"),
    ],
)
def test_a_space_that_cannot_be_used_leaves_no_study(searched: Any, name: str, told: str) -> None:
    given = ("--space", f"tiny_space_of_commands:{name}", "--study", "never", "--folder", "never")
    status, out, err = searched.run(*searched.arguments, *given)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"kerastuna: {told}")
    assert not (searched.folder / "never").exists()


def test_trials_that_only_fail(searched: Any) -> None:
    (searched.folder / "failing_space_of_commands.py").write_text(
        "import keras\n\n\ndef build(hp):\n    hp.Int('n', 1, 99)\n    raise ValueError('no width')\n"
    )
    given = ("--space", "failing_space_of_commands:build", "--study", "failing")
    status, _, err = searched.run(*searched.arguments, *given, "--trials", "20")
    assert status in (1, 2)
    assert "no width" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_where_the_trials_that_failed_in_a_row_are_listed(searched: Any) -> None:
    (searched.folder / "wide_fails_in_commands.py").write_text(
        "from tiny_space_of_commands import build as small\n\n\ndef build(hp):\n"
        "    if hp.Int('n', 1, 10**6) > 1:\n        raise ValueError('no width')\n    return small(hp)\n"
    )
    given = ("--space", "wide_fails_in_commands:build", "--study", "a failing one", "--folder", "of it")
    status, _, err = searched.run(*searched.arguments, *given, "--trials", "20")
    assert status == 1
    told = "; see kerastuna trials --study 'a failing one' --folder 'of it' --all"
    assert err.splitlines()[-1].endswith(told)


def test_one_of_several_processes_is_the_last() -> None:
    study = optuna.create_study()
    for state in (TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING, TrialState.RUNNING):
        study.add_trial(create_trial(state=state, value=1.0 if state == TrialState.COMPLETE else None))
    assert not is_last(study.trials, 3, {0})  # trials run
    assert is_last(study.trials, 1, {0})  # a surplus claim is about to be withdrawn
    study.tell(3, 1.0)
    study.tell(1, 1.0)
    study.tell(4, state=TrialState.FAIL)
    processes: list[set[int]] = [{0, 4}, {1}, {2, 3}, set()]
    assert [is_last(study.trials, 3, ended) for ended in processes] == [False, True, False, False]
    assert [is_last(study.trials, None, ended) for ended in processes] == [False, True, False, False]
    assert is_last([], 3, set())


def test_a_search_whose_winner_was_tested_before_ends_well_with_the_champion_that_there_is(searched: Any) -> None:
    def parent() -> str:
        client = MlflowClient(told["mlflow"]["tracking_uri"])
        return client.get_run(told["mlflow"]["run_id"]).info.status

    given = (*searched.arguments, "--study", "opened", "--top", "1", "--int8", "off")
    told = json.loads(searched.run(*given, "--seeds", "1", "--json").out)
    status, out, err = searched.run(*given, "--seeds", "2", "--json")
    assert status == 0, err
    assert json.loads(out)["champion"] == told["champion"]
    assert f"not confirmed anew: the test set was opened for trial {told['champion']['trial']} of study 'opened'" in err
    assert parent() == "FINISHED"
    status, out, _ = searched.run(*given, "--seeds", "2")
    assert status == 0
    assert f"champion: trial {told['champion']['trial']}, " in out
    assert "kerastuna export --study opened" in out

    status, out, err = searched.run("confirm", "--study", "opened", "--top", "1", "--seeds", "2", "--int8", "off")
    assert (status, out) == (2, "")
    assert "give --again to look all the same" in err.splitlines()[-1]
    assert parent() == "FINISHED"

    study_of(searched.folder, "opened").set_user_attr("champion", None)  # as if it had been cut off after the opening
    status, out, err = searched.run(*given, "--seeds", "1", "--json")
    assert (status, json.loads(out)["champion"]) == (0, None)


def test_a_search_that_ends_short_of_its_trials_says_why(searched: Any) -> None:
    told = "the search ends 1 trial short: hardly any new network that fits was found; raise the budget"
    given = (*searched.arguments, "--study", "short", "--fix", "units=3", "--no-confirm")
    assert told in searched.run(*given).err
    assert told not in searched.run(*given, "--trials", "1").err
    assert told not in searched.run(*given, "--timeout", "0.001").err


def test_a_front_that_was_confirmed_has_its_champion(searched: Any) -> None:
    given = (*searched.arguments, "--study", "front", "--pareto", "val_accuracy,params", "--int8", "off")
    assert json.loads(searched.run(*given, "--json").out)["champion"] is None
    confirm = ("confirm", "--study", "front", "--top", "1", "--seeds", "1", "--int8", "off", "--json")
    champion = json.loads(searched.run(*confirm).out)
    assert json.loads(searched.run(*given, "--json").out)["champion"] == champion
    out = searched.run(*given).out
    assert f"champion: trial {champion['trial']}, " in out
    assert "kerastuna export --study front --trial N" in out
    assert "kerastuna export --study front  " in out


def test_what_is_told_to_be_typed_leads_to_the_study(searched: Any) -> None:
    places = ("--storage", "sqlite:///own.db", "--folder", "own runs", "--tracking-uri", "sqlite:///own records.db")
    status, out, err = searched.run(*searched.arguments, *places, "--study", "my study", "--no-confirm")
    assert status == 0, err
    study = "--study 'my study' --storage sqlite:///own.db --folder 'own runs'"
    assert f"trials {study}  " in out
    assert f"confirm {study} --tracking-uri 'sqlite:///own records.db'  " in out
