"""What an oracle reads from its study: it is opened, gone on with and shared."""

import time
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.trial import TrialState
from oracle_support import begin, complete, declare_nested, make, recorded, script

from kerastuna.search import OptunaOracle
from kerastuna.search.errors import SpaceError, StudyError
from kerastuna.search.study.liveness import claim_attributes, this_worker
from kerastuna.spaces.errors import InputError


def test_a_budget_that_nothing_counts_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="params are limited or optimised, but there is nothing to count them"):
        make(tmp_path, budget=15_000).create_trial("tuner0")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": 0}, "budget of 0 parameters"),
        ({"budget": "15000"}, "budget='15000': give a whole number"),
        ({"budget": 1.5}, "budget=1.5: give a whole number"),
        ({"sampler": "magic"}, "sampler 'magic' is unknown"),
        ({"pruner": "shears"}, "pruner 'shears' is unknown"),
        ({"infeasible": "ignore"}, "infeasible='ignore'"),
    ],
)
def test_arguments_that_are_not_allowed_are_told_at_once(given: dict[str, Any], told: str):
    with pytest.raises(InputError, match=told):
        OptunaOracle(**given)


def test_a_seed_that_is_not_given_is_drawn_once_and_kept(tmp_path: Path):
    first = make(tmp_path, seed=None)
    first.study  # noqa: B018  opened
    again = make(tmp_path, seed=None)
    assert again.study.user_attrs["drawn_seed"] == again.seed == first.seed


def test_a_seed_of_zero_is_a_seed():
    assert OptunaOracle(seed=0).seed == 0


def test_the_seed_of_the_training_depends_on_the_study_and_the_values():
    oracle = OptunaOracle(seed=1)
    seed = oracle.training_seed({"a": 1, "b": 2})
    assert seed == oracle.training_seed({"b": 2, "a": 1})
    assert len({seed, oracle.training_seed({"a": 1}), OptunaOracle(seed=2).training_seed({"a": 1, "b": 2})}) == 3


def test_enqueued_values_come_first_under_their_name(tmp_path: Path):
    oracle = make(tmp_path, declare_nested, max_trials=9)
    values = {"kind": "mlp", "units": 24, "dropout": True}
    oracle.enqueue(values, name="classic")
    assert begin(oracle).hyperparameters.values == values
    assert oracle.study.trials[0].user_attrs["name"] == "classic"
    with pytest.raises(SpaceError, match="'units' = 25 is outside the space"):
        oracle.enqueue(values | {"units": 25})


def test_a_trial_is_saved_and_goes_on_under_its_id_when_it_is_reloaded_in_the_same_process(tmp_path: Path):
    before = make(tmp_path)
    complete(before, begin(before), 0.5)
    trial = begin(before)
    after = make(tmp_path)
    after.reload()
    assert set(after.trials) == {"0000", "0001"}
    again = begin(after)
    assert (again.trial_id, again.hyperparameters.values) == (trial.trial_id, trial.hyperparameters.values)
    after.report(again.trial_id, 1, {"score": 0.6})
    complete(after, again, 0.7)
    assert recorded(after) == [("COMPLETE", None), ("COMPLETE", None)]
    assert begin(after).trial_id == "0002"


def test_a_trial_that_was_only_taken_from_the_queue_is_not_reloaded_but_tried_again(tmp_path: Path):
    before = make(tmp_path)
    before.enqueue({"x": 0.5})
    before.stored.take_waiting(**claim_attributes())
    after = make(tmp_path)
    after.reload()
    with after.searching():
        assert begin(after).hyperparameters.values == {"x": 0.5}
        assert recorded(after) == [("FAIL", "interrupted"), ("RUNNING", None)]


def test_a_trial_of_a_process_that_died_comes_first_under_a_new_id(tmp_path: Path):
    died = script(tmp_path)
    oracle = make(tmp_path, max_trials=2)
    oracle.reload()
    assert recorded(oracle) == [("FAIL", "interrupted"), ("WAITING", None)]
    assert set(oracle.trials) == set()
    trial = begin(oracle)
    assert died["trial_id"] == "0000"
    assert (trial.trial_id, trial.hyperparameters.values) == ("0001", died["values"])
    complete(oracle, trial, 0.5)
    complete(oracle, begin(oracle), 0.5)
    assert oracle.create_trial("tuner0").status == "STOPPED"


def test_everything_comes_back_from_the_study_without_the_project_folder(tmp_path: Path):
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    first = make(tmp_path / "one", storage=storage, study_name="shared", max_trials=3)
    trial = begin(first)
    trial.hyperparameters.Choice("late", [7, 8])
    complete(first, trial, 0.25)
    second = make(tmp_path / "two", storage=storage, study_name="shared", max_trials=3)
    assert second.get_best_trials()[0].score == 0.25
    assert second.get_best_trials()[0].hyperparameters.values["late"] == 7
    assert set(begin(second).hyperparameters.values) == {"x", "late"}


def test_what_is_read_back_is_what_ended(tmp_path: Path):
    before = make(tmp_path)
    trial = begin(before)
    for epoch, score in enumerate((0.1, 0.9, 0.9, 0.2), start=1):
        before.report(trial.trial_id, epoch, {"score": score, "loss": 1 - score})
    before.update_trial(trial.trial_id, {"score": 0.9, "loss": 0.1, "size": 7.0}, step=1)  # weights were restored
    trial.status = "COMPLETED"
    before.end_trial(trial)
    after = make(tmp_path)
    after.reload()
    states = [oracle.get_best_trials()[0].get_state() for oracle in (before, after)]
    told = [{name: state[name] for name in ("trial_id", "metrics", "score", "best_step", "status")} for state in states]
    assert told[0] == told[1]
    assert (told[1]["score"], told[1]["best_step"], set(told[1]["metrics"]["metrics"])) == (
        0.9,
        1,
        {"score", "loss", "size"},
    )


def test_two_processes_share_trials_duplicates_and_the_last_place(tmp_path: Path):
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("x", [0.0, 0.25, 0.5, 0.75])

    one, two = (make(tmp_path, declare, max_trials=3) for _ in range(2))
    seen = [begin(oracle).hyperparameters.values["x"] for oracle in (one, two)]
    complete(one, one.trials["0000"], seen[0])
    seen.append(begin(one).hyperparameters.values["x"])
    assert len(set(seen)) == 3
    assert two.create_trial("b").status == "STOPPED"
    assert two.get_best_trials()[0].trial_id == "0000"


def test_another_study_of_the_same_name_is_refused(tmp_path: Path):
    make(tmp_path, budget=None).study  # noqa: B018  made
    for changed, told in [
        ({"seed": 1}, "seed: 0, now 1"),
        ({"objective": "val_loss"}, "other directions|objective"),
        ({"identity": {"epochs": 3}}, "epochs"),
    ]:
        with pytest.raises((StudyError, ValueError), match=told):
            make(tmp_path, **changed).study  # noqa: B018


def test_other_objectives_of_a_sum_are_another_study(tmp_path: Path):
    make(tmp_path, objective=["val_loss", "loss"]).study  # noqa: B018
    with pytest.raises(StudyError, match="objective"):
        make(tmp_path, objective=["val_loss", "accuracy"]).study  # noqa: B018


def test_an_abandoned_trial_leaves_its_values_to_the_next(tmp_path: Path):
    oracle = make(tmp_path)
    values = begin(oracle).hyperparameters.values
    oracle.abandon_all("interrupted")
    assert (oracle.trials, oracle.ongoing_trials) == ({}, {})
    assert recorded(oracle) == [("FAIL", "interrupted"), ("WAITING", None)]
    assert begin(oracle).hyperparameters.values == values
    oracle.abandon_all("interrupted")
    assert begin(oracle).hyperparameters.values == values


@pytest.mark.parametrize("given", [{"wait": False}, {}])
def test_a_study_full_of_trials_of_others_ends_the_search_or_is_waited_for(given: dict[str, Any], tmp_path: Path):
    oracle = make(tmp_path, max_trials=1, **given)
    elsewhere = {"worker": this_worker() | {"host": "elsewhere"}, "last_seen": time.time(), "hyperparameters": {"x": 0}}
    oracle.study.add_trial(optuna.create_trial(state=TrialState.RUNNING, user_attrs=elsewhere))
    oracle.deadline = time.monotonic() + (0.5 if not given else 1000)
    began = time.monotonic()
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert (time.monotonic() - began >= 0.5) == (not given)


def test_the_result_of_a_trial_that_was_taken_for_dead_is_left_out(tmp_path: Path):
    oracle = make(tmp_path)
    trial = begin(oracle)
    oracle.study.tell(0, state=TrialState.FAIL)  # by a process that has not heard of this one for an hour
    with pytest.warns(UserWarning, match="trial 0 was taken for dead by another process"):
        complete(oracle, trial, 0.5)
    assert recorded(oracle) == [("FAIL", None)]
    assert begin(oracle).trial_id == "0001"
