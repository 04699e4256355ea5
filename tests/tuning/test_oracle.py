"""`OptunaOracle` keeps KerasTuner's protocol."""

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from keras_tuner.engine.trial import Trial
from optuna.pruners import BasePruner
from optuna.trial import TrialState
from oracle_support import begin, claim_of, complete, declare_nested, fail, hyperparameters, make, recorded, run

from kerastuna.search import OptunaOracle
from kerastuna.search.proposals.cautious_pruner import CautiousPruner
from kerastuna.search.study.budget import Size
from kerastuna.search.study.events import SearchObserver


def in_another_thread(call: Callable[[], Any]) -> Any:
    """What `call` returns; fails the test when it waits for a lock that nobody holds any more."""
    answer: list[Any] = []
    thread = threading.Thread(target=lambda: answer.append(call()), daemon=True)
    thread.start()
    thread.join(20)
    assert answer, "the lock was never given back"
    return answer[0]


# The space


def declare_every_kind(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("text", ["a", "b", "c"])
    hp.Choice("whole", [1, 2, 4])
    hp.Choice("real", [0.1, 0.2])
    hp.Boolean("flag")
    hp.Fixed("fixed", "as it is")
    hp.Int("int", -3, 3)
    hp.Int("int_step", 2, 11, step=3)
    hp.Int("int_log", 1, 1000, sampling="log")
    hp.Int("int_log_step", 1, 64, step=4, sampling="log")
    hp.Int("int_reverse", 1, 1000, sampling="reverse_log")
    hp.Float("float", -1.0, 1.0)
    hp.Float("float_step", 0.0, 1.0, step=0.25)
    hp.Float("float_log", 1e-4, 1.0, sampling="log")
    hp.Float("float_log_step", 0.001, 1.0, step=10, sampling="log")
    hp.Float("float_reverse", 1e-4, 1.0, sampling="reverse_log")


def test_every_kind_and_sampling_gives_its_own_values(tmp_path: Path):
    done = run(make(tmp_path, declare_every_kind, sampler="random", max_trials=60), 60, lambda values: 0.0)
    seen = {name: [values[name] for values in done] for name in done[0]}
    expected: dict[str, set[Any]] = {
        "text": {"a", "b", "c"},
        "whole": {1, 2, 4},
        "real": {0.1, 0.2},
        "flag": {False, True},
        "fixed": {"as it is"},
        "int": {-3, -2, -1, 0, 1, 2, 3},
        "int_step": {2, 5, 8, 11},
        "int_log_step": {1, 4, 16, 64},
    }
    for name, values in expected.items():
        assert set(seen[name]) == values
    assert {round(value, 9) for value in seen["float_step"]} <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {round(math.log10(value), 6) for value in seen["float_log_step"]} == {-3, -2, -1, 0}
    for name, kind, low, high in [
        ("int_log", int, 1, 1000),
        ("int_reverse", int, 1, 1000),
        ("float", float, -1.0, 1.0),
        ("float_log", float, 1e-4, 1.0),
        ("float_reverse", float, 1e-4, 1.0),
    ]:
        assert all(type(value) is kind and low <= value <= high for value in seen[name])
        assert len(set(seen[name])) > 20
    middle = {name: sorted(values)[30] for name, values in seen.items() if name not in ("flag", "text")}
    assert middle["int_log"] < 150 < 850 < middle["int_reverse"]
    assert middle["float_log"] < 0.1 < 0.9 < middle["float_reverse"]


def test_only_active_hyperparameters_have_values(tmp_path: Path):
    done = run(make(tmp_path, declare_nested, sampler="random", max_trials=25), 25, lambda values: 0.0)
    shapes = {(values["kind"], values.get("pooling")): set(values) for values in done}
    assert shapes == {
        ("cnn", "max"): {"kind", "pooling", "window", "dropout"},
        ("cnn", "none"): {"kind", "pooling", "dropout"},
        ("mlp", None): {"kind", "units", "dropout"},
    }


def test_one_name_may_have_another_range_under_another_condition(tmp_path: Path):
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("size", ["small", "large"])
        with hp.conditional_scope("size", ["small"]):
            hp.Int("units", 1, 4)
        with hp.conditional_scope("size", ["large"]):
            hp.Int("units", 100, 104)

    done = run(make(tmp_path, declare, max_trials=9), 9, lambda values: values["units"])
    assert len(done) == 9
    assert all(values["units"] in range(*((1, 5) if values["size"] == "small" else (100, 105))) for values in done)


def test_a_hyperparameter_that_shows_up_in_a_trial_is_tuned_from_then_on(tmp_path: Path):
    oracle = make(tmp_path, None, max_trials=8)
    trial = begin(oracle)
    assert trial.hyperparameters.values == {}
    trial.hyperparameters.Int("late", 1, 4, default=2)
    complete(oracle, trial, 0.0)
    assert oracle.study.trials[0].user_attrs["hyperparameters"] == {"late": 2}
    assert sorted(values["late"] for values in run(oracle, 8, lambda values: 0.0)) == [1, 3, 4]  # 2 was tried
    assert oracle.create_trial("tuner0").status == "STOPPED"


def test_a_new_entry_that_is_not_to_be_tuned_keeps_its_default_and_makes_no_new_trial(tmp_path: Path):
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("known", [1, 2])

    def search() -> OptunaOracle:
        oracle = make(tmp_path, declare, tune_new_entries=False, max_trials=1 + len(done))
        trial = begin(oracle)
        assert trial.hyperparameters.Int("new", 1, 9, default=5) == 5
        complete(oracle, trial, 0.0)
        done.append(trial.hyperparameters.values)
        return oracle

    done: list[Any] = []
    oracles = [search(), search()]  # the second goes on with the study of the first
    assert sorted(values["known"] for values in done) == [1, 2]
    assert [hp.name for hp in oracles[1].get_space().space] == ["known"]
    oracles[1].max_trials = 9
    assert oracles[1].create_trial("tuner0").status == "STOPPED"


def test_a_new_entry_that_is_not_allowed_fails_the_trial_and_frees_the_oracle(tmp_path: Path):
    oracle = make(tmp_path, allow_new_entries=False, max_trials=2)
    trial = begin(oracle)
    trial.hyperparameters.Int("new", 1, 9)
    with pytest.raises(RuntimeError, match="`allow_new_entries` is `False`"):
        complete(oracle, trial, 0.0)
    assert recorded(oracle) == [("FAIL", "error")]
    assert in_another_thread(lambda: begin(oracle)).trial_id == "0001"


@pytest.mark.parametrize("entries", ["tune_new_entries", "allow_new_entries"])
def test_a_closed_space_has_to_be_given(tmp_path: Path, entries: str):
    closed: dict[str, Any] = {entries: False}
    with pytest.raises(ValueError, match=f"{entries}=False"):
        make(tmp_path, None, **closed)


def test_a_space_is_copied_with_defaults_for_what_has_no_value_yet():
    oracle = OptunaOracle(hyperparameters=hyperparameters(declare_nested))
    space = oracle.get_space()
    space.values["kind"] = "mlp"
    space.ensure_active_values()
    assert space.values == {"kind": "mlp", "units": 8, "dropout": False}
    assert oracle.hyperparameters.values["kind"] == "cnn"


# Proposals


def test_an_exhausted_space_ends_the_search_without_a_duplicate(tmp_path: Path):
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Boolean("a")
        with hp.conditional_scope("a", [True]):
            hp.Choice("b", ["x", "y", "z"])

    done = run(make(tmp_path, declare, max_trials=50), 50, lambda values: 0.0)
    assert len(done) == len({json.dumps(values, sort_keys=True) for values in done}) == 4


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "qmc"])
def test_a_seed_gives_the_same_proposals(tmp_path: Path, sampler: str):
    def proposals(name: str, seed: int | None) -> list[Any]:
        return run(make(tmp_path / name, declare_nested, sampler=sampler, seed=seed, max_trials=12), 12, score_of)

    def score_of(values: Any) -> float:
        return values.get("units", 0) - values.get("window", 0)

    assert proposals("one", 0) == proposals("two", 0)  # KerasTuner takes 0 for none
    assert proposals("one more", 1) != proposals("two", 0)


@pytest.mark.parametrize("later_seed", [5, None])
def test_resuming_proposes_what_going_on_would_have(tmp_path: Path, later_seed: int | None):
    """Without a seed too: the study has the one that it began with."""
    whole = run(make(tmp_path / "whole", max_trials=14, seed=5), 14)
    parts: list[Any] = []
    for until in (5, 11, 14):  # TPE begins to learn after 10
        oracle = make(tmp_path / "parts", max_trials=until, seed=later_seed if parts else 5)
        oracle.reload()
        parts += run(oracle, 14)
    assert parts == whole


def test_the_protocol_of_populate_space(tmp_path: Path):
    oracle = make(tmp_path, max_trials=1)
    response = oracle.populate_space("0000")
    assert response["status"] == "RUNNING"
    assert set(response["values"]) == {"x"}
    assert oracle.populate_space("0001")["status"] == "STOPPED"


def test_a_subclass_may_change_what_is_proposed(tmp_path: Path):
    class Doubled(OptunaOracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            response = super().populate_space(trial_id)
            response.setdefault("values", {})["x"] = 0.5
            return response

    oracle = make(tmp_path, kind=Doubled, max_trials=1)
    assert run(oracle, 2) == [{"x": 0.5}]
    assert oracle.study.trials[0].user_attrs["hyperparameters"] == {"x": 0.5}


def test_a_subclass_may_propose_by_itself(tmp_path: Path):
    class Own(OptunaOracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "RUNNING", "values": {"x": len(self.trials) / 10}}

    oracle = make(tmp_path, kind=Own, max_trials=3)
    assert run(oracle, 9) == [{"x": 0.0}, {"x": 0.1}, {"x": 0.2}]
    assert [trial.value for trial in oracle.study.trials] == [0.0, 0.1, 0.2]
    assert oracle.get_best_trials()[0].score == 0.2


def interrupt(oracle: OptunaOracle) -> None:
    """A search that is interrupted in its first trial."""
    with oracle.searching():
        begin(oracle)
        raise KeyboardInterrupt


def test_what_a_subclass_proposed_is_tried_again_where_it_was_interrupted(tmp_path: Path):
    class First(OptunaOracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            if self.study.trials:
                return super().populate_space(trial_id)
            return {"status": "RUNNING", "values": {"x": 0.125, "unknown": 1}}

    oracle = make(tmp_path, kind=First)
    with pytest.raises(KeyboardInterrupt):
        interrupt(oracle)
    assert begin(oracle).hyperparameters.values == {"x": 0.125}
    assert recorded(oracle) == [("FAIL", "interrupted"), ("RUNNING", None)]


def test_an_error_between_a_claim_and_its_return_leaves_nothing_running(tmp_path: Path):
    def broken(hp: Any, counted: Any) -> Any:
        raise ValueError("in the user's space")

    oracle = make(tmp_path, measure=broken)
    oracle.enqueue({"x": 0.5})
    with pytest.raises(ValueError, match="in the user's space"), oracle.searching():
        begin(oracle)
    assert recorded(oracle) == [("FAIL", "interrupted"), ("WAITING", None)]


def test_a_search_that_is_interrupted_leaves_the_trials_of_another_one_of_the_same_process(tmp_path: Path):
    one, other = make(tmp_path), make(tmp_path)
    with other.searching():
        kept = begin(other)
        with pytest.raises(KeyboardInterrupt):
            interrupt(one)
        complete(other, kept, 0.5)
    assert recorded(other) == [("COMPLETE", None), ("FAIL", "interrupted"), ("WAITING", None)]


def test_an_oracle_may_be_idle(tmp_path: Path):
    class Waiting(OptunaOracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "IDLE"}

    oracle = make(tmp_path, kind=Waiting)
    assert oracle.create_trial("tuner0").status == "IDLE"
    assert oracle.tuner_ids == {"tuner0"}
    assert oracle.trials == {}


# Trials


def test_a_tuner_has_one_trial_at_a_time(tmp_path: Path):
    oracle = make(tmp_path, max_trials=3)
    first = begin(oracle, "a")
    assert begin(oracle, "a") is first
    assert begin(oracle, "b").trial_id != first.trial_id
    complete(oracle, first, 1.0)
    assert begin(oracle, "a").trial_id == "0002"
    assert oracle.create_trial("c").status == "STOPPED"
    assert oracle.tuner_ids == {"a", "b"}


def test_failures_do_not_count_towards_max_trials(tmp_path: Path):
    oracle = make(tmp_path, max_trials=3)
    for number in range(6):
        assert oracle.remaining_trials() == 3 - number // 2
        trial = begin(oracle)
        complete(oracle, trial, 0.5) if number % 2 else fail(oracle, trial)
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert oracle.remaining_trials() == 0
    assert recorded(oracle) == [("FAIL", "error"), ("COMPLETE", None)] * 3
    assert oracle.study.trials[0].user_attrs["message"] == "it broke"


def test_without_max_trials_there_is_no_end(tmp_path: Path):
    oracle = make(tmp_path, max_trials=None)
    assert len(run(oracle, 12)) == 12
    assert oracle.remaining_trials() is None


def test_an_invalid_trial_is_tried_again_under_its_id(tmp_path: Path):
    oracle = make(tmp_path, max_retries_per_trial=2, max_trials=1)
    trial = begin(oracle)
    trial.hyperparameters.Int("late", 1, 4)  # known from now on, but not part of what seeds the trial
    seed = oracle.seed_of(trial)
    fail(oracle, trial, "INVALID")
    again = begin(oracle)
    assert (again.trial_id, again.hyperparameters.values) == (trial.trial_id, trial.hyperparameters.values)
    assert oracle.seed_of(again) == seed == oracle.study.trials[0].user_attrs["seed"]
    complete(oracle, again, float("nan"))
    complete(oracle, begin(oracle), 0.75)
    assert recorded(oracle) == [("COMPLETE", None)]
    assert oracle.trials["0000"].score == oracle.study.trials[0].value == 0.75


def test_retries_have_an_end(tmp_path: Path):
    oracle = make(tmp_path, max_retries_per_trial=1)
    for _ in range(2):
        fail(oracle, begin(oracle), "INVALID")
    assert oracle.trials["0000"].status == "FAILED"
    assert begin(oracle).trial_id == "0001"
    assert recorded(oracle) == [("FAIL", "error"), ("RUNNING", None)]


def test_a_failed_trial_is_not_tried_again(tmp_path: Path):
    oracle = make(tmp_path, max_retries_per_trial=3)
    fail(oracle, begin(oracle))
    assert begin(oracle).trial_id == "0001"


def test_failures_in_a_row_end_the_search_and_the_next_process_begins_to_count_anew(tmp_path: Path):
    oracle = make(tmp_path, max_consecutive_failed_trials=2)
    fail(oracle, begin(oracle))
    complete(oracle, begin(oracle), 0.5)
    fail(oracle, begin(oracle))
    last = begin(oracle)
    with pytest.raises(RuntimeError, match=r"consecutive failures exceeded the limit of 2.\nthe fourth"):
        fail(oracle, last, message="the fourth")
    assert [state for state, _ in recorded(oracle)] == ["FAIL", "COMPLETE", "FAIL", "FAIL"]
    assert in_another_thread(lambda: begin(oracle)).trial_id == "0004"
    again = make(tmp_path, max_consecutive_failed_trials=2)
    again.reload()
    fail(again, begin(again))
    complete(again, begin(again), 0.5)


def test_a_score_that_is_not_a_number_is_a_failure(tmp_path: Path):
    oracle = make(tmp_path)
    complete(oracle, begin(oracle), 0.1)
    complete(oracle, begin(oracle), float("nan"))
    assert recorded(oracle) == [("COMPLETE", None), ("FAIL", "not_finite")]
    assert oracle.trials["0001"].status == "FAILED"
    assert [trial.trial_id for trial in oracle.get_best_trials(5)] == ["0000"]


def test_an_infinite_score_is_the_worst(tmp_path: Path):
    oracle = make(tmp_path, objective=keras_tuner.Objective("loss", "min"))
    complete(oracle, begin(oracle), math.inf)
    complete(oracle, begin(oracle), 3.0)
    assert [trial.score for trial in oracle.get_best_trials(2)] == [3.0, math.inf]


def test_the_objective_may_be_a_name_or_several():
    assert OptunaOracle("val_accuracy").objective == keras_tuner.Objective("val_accuracy", "max")
    assert OptunaOracle("val_loss").objective.direction == "min"
    assert OptunaOracle().objective.name == "default_objective"
    several = OptunaOracle(["val_accuracy", keras_tuner.Objective("cost", "min")]).objective
    assert several.get_value({"val_accuracy": 0.75, "cost": 2.0}) == 1.25
    with pytest.raises(ValueError, match="Could not infer optimization direction"):
        OptunaOracle("cost")


def test_the_direction_of_a_metric_is_the_objectives(tmp_path: Path):
    oracle = make(tmp_path)
    trial = begin(oracle)
    oracle.update_trial(trial.trial_id, {"score": 1.0, "other": 2.0})
    assert oracle.get_trial(trial.trial_id).metrics.get_direction("score") == "max"


def test_metrics_without_the_objective_are_refused_and_the_oracle_is_free(tmp_path: Path):
    oracle = make(tmp_path)
    trial = begin(oracle)
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.update_trial(trial.trial_id, {"loss": 1.0})
    assert in_another_thread(lambda: oracle.update_trial(trial.trial_id, {"score": 1.0})).trial_id == trial.trial_id


def test_the_score_is_the_last_value_not_the_best(tmp_path: Path):
    oracle = make(tmp_path)
    trial = begin(oracle)
    for step, score in enumerate([0.2, 0.9, 0.4]):
        oracle.update_trial(trial.trial_id, {"score": score}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    ended = oracle.get_trial(trial.trial_id)
    assert (ended.score, ended.best_step) == (0.4, 2)


def test_trials_made_by_hand_can_be_the_best(tmp_path: Path):
    oracle = make(tmp_path)
    complete(oracle, begin(oracle), 0.5)
    for score in (0.9, 0.1):
        own = Trial(oracle.get_space(), status="COMPLETED")
        own.score = score
        oracle.trials[own.trial_id] = own
        assert not oracle.report(own.trial_id, 1, {"score": score})
    assert [trial.score for trial in oracle.get_best_trials(2)] == [0.9, 0.5]
    oracle.end_trial(oracle.trials["0000"])  # told once; the study is not told again
    assert recorded(oracle) == [("COMPLETE", None)]


def test_of_equals_the_smaller_network_is_the_best(tmp_path: Path):
    oracle = make(tmp_path)
    for params in (300, 100, 200):
        trial = begin(oracle)
        claim_of(oracle, trial).keep(params=params)
        complete(oracle, trial, 0.5)
    assert [trial.trial_id for trial in oracle.get_best_trials(3)] == ["0001", "0002", "0000"]


# Stopping early


class StopAt(BasePruner):
    """Stops a trial at an epoch when its value is below a bound."""

    def __init__(self, epoch: int, bound: float) -> None:
        self.epoch, self.bound = epoch, bound

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.last_step == self.epoch and trial.intermediate_values[self.epoch] < self.bound


def test_a_trial_that_was_stopped_early_counts_but_is_never_among_the_best(tmp_path: Path):
    oracle = make(tmp_path, pruner=StopAt(2, 0.5), max_trials=2)
    stopped = begin(oracle)
    assert [oracle.report(stopped.trial_id, epoch, {"score": 0.1}) for epoch in (1, 2)] == [False, True]
    complete(oracle, stopped, 0.99)
    other = begin(oracle)
    assert not any(oracle.report(other.trial_id, epoch, {"score": 0.6}) for epoch in (1, 2, 3))
    complete(oracle, other, 0.2)
    assert recorded(oracle) == [("PRUNED", "stopped_early"), ("COMPLETE", None)]
    assert oracle.trials["0000"].status == "COMPLETED"  # KerasTuner has no other word
    for reader in (oracle, make(tmp_path, pruner=StopAt(2, 0.5), max_trials=2)):
        assert [trial.trial_id for trial in reader.get_best_trials(5)] == ["0001"]
        assert reader.create_trial("tuner0").status == "STOPPED"


def test_a_retry_forgets_that_the_trial_was_stopped(tmp_path: Path):
    oracle = make(tmp_path, pruner=StopAt(1, 0.5), max_retries_per_trial=1)
    trial = begin(oracle)
    assert oracle.report(trial.trial_id, 1, {"score": 0.1})
    fail(oracle, trial, "INVALID")
    complete(oracle, begin(oracle), 0.3)
    assert recorded(oracle) == [("COMPLETE", None)]


def test_a_pruner_by_name_is_told_the_epochs_of_a_search(tmp_path: Path):
    oracle = make(tmp_path, pruner="halving")
    with oracle.searching(epochs=5):
        assert isinstance(oracle.study.pruner, CautiousPruner)


def stopped_at(oracle: OptunaOracle, scores: list[float], epochs: int) -> list[int | None]:
    """The epoch at which each trial is stopped, with so many epochs of its own and the same score after each."""
    ends: list[int | None] = []
    for score in scores:
        trial = begin(oracle)
        told = (epoch for epoch in range(1, epochs) if oracle.report(trial.trial_id, epoch, {"score": score}, epochs))
        ends.append(next(told, None))
        complete(oracle, trial, score)
    return ends


@pytest.mark.parametrize("pruner", ["halving", "hyperband", "median"])
def test_a_pruner_by_name_goes_by_the_trials_own_epochs_where_the_search_has_none(tmp_path: Path, pruner: str):
    oracle = make(tmp_path, pruner=pruner, max_trials=None)
    scores = [1 - number / 30 for number in range(30)]
    with oracle.searching():
        ends = [end for end in stopped_at(oracle, scores, 20) if end]
        assert ends
        assert 4 <= min(ends) <= max(ends) <= 10  # from a fifth of the epochs to a half


def test_the_epochs_of_a_search_go_before_those_of_a_trial(tmp_path: Path):
    oracle = make(tmp_path, pruner="halving", max_trials=None)
    with oracle.searching(epochs=10):
        assert stopped_at(oracle, [0.9, 0.8, 0.7, 0.6, 0.5], 20) == [None, None, None, None, 2]


def test_a_trial_that_must_not_be_stopped_keeps_its_values(tmp_path: Path):
    oracle = make(tmp_path, pruner=StopAt(1, 0.5))
    assert not oracle.report(begin(oracle).trial_id, 1, {"score": 0.1}, may_stop=False)
    assert oracle.study.trials[0].intermediate_values == {1: 0.1}


def test_a_users_own_pruner_decides_to_the_end(tmp_path: Path):
    oracle = make(tmp_path, pruner=StopAt(3, 0.5))
    with oracle.searching(epochs=3):
        assert oracle.report(begin(oracle).trial_id, 3, {"score": 0.1})


def test_metrics_without_the_objective_are_not_held_against_a_trial(tmp_path: Path):
    oracle = make(tmp_path, pruner=StopAt(1, 0.5))
    assert not oracle.report(begin(oracle).trial_id, 1, {"loss": 0.1})


def test_the_deadline_ends_the_search(tmp_path: Path):
    oracle = make(tmp_path, max_retries_per_trial=1)
    fail(oracle, begin(oracle), "INVALID")
    oracle.deadline = 0.0
    assert oracle.create_trial("tuner0").status == "STOPPED"
    oracle.abandon_all("timeout")  # the one that waits to be tried again
    assert recorded(oracle) == [("FAIL", "timeout"), ("WAITING", None)]


# The budget and who watches


class Watcher(SearchObserver):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def proposal_refused(self, record: Any) -> None:
        self.heard.append(("refused", record["number"], record["reason"], record["params"]))

    def trial_started(self, record: Any) -> dict[str, str]:
        self.heard.append(("started", record["number"]))
        return {"mlflow_run_id": f"run {record['number']}"}

    def epoch_ended(self, number: int, epoch: int, metrics: Any) -> None:
        self.heard.append(("epoch", number, epoch, metrics["score"]))

    def trial_ended(self, record: Any) -> None:
        self.heard.append(("ended", record["number"], record["state"], record["reason"], record["value"]))


def test_observers_hear_of_every_step_and_refusals_take_no_place(tmp_path: Path):
    watcher = Watcher()
    measure = lambda hp, costs: Size(int(100 * hp.get("x")))  # noqa: E731
    oracle = make(tmp_path, budget=50, measure=measure, observers=[watcher], max_trials=1)
    for x in (0.75, 0.25):
        oracle.enqueue({"x": x})
    trial = begin(oracle)
    assert trial.trial_id == "0001"
    oracle.report(trial.trial_id, 1, {"score": 0.5})
    complete(oracle, trial, 0.5)
    assert watcher.heard == [
        ("refused", 0, "over_budget", 75),
        ("started", 1),
        ("epoch", 1, 1, 0.5),
        ("ended", 1, "COMPLETE", None, 0.5),
    ]
    assert oracle.study.trials[1].user_attrs["mlflow_run_id"] == "run 1"
    assert set(oracle.trials) == {"0001"}


def test_the_display_tells_of_the_best_trial_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    oracle = make(tmp_path)
    oracle.verbose = 1
    for score in (0.3, 0.1, 0.5):
        complete(oracle, begin(oracle), score)
    told = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("Best score So Far")]
    assert told == ["0.3", "0.3", "0.5"]


def test_methods_of_one_oracle_take_turns(tmp_path: Path):
    oracle = make(tmp_path, max_trials=8)
    trials: list[Trial] = []

    def work(tuner_id: str) -> None:
        for _ in range(2):
            trial = begin(oracle, tuner_id)
            trials.append(trial)
            complete(oracle, trial, trial.hyperparameters.get("x"))

    threads = [threading.Thread(target=work, args=(f"tuner{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(trial.trial_id for trial in trials) == [f"{number:04d}" for number in range(8)]
    assert {trial.state for trial in oracle.study.trials} == {TrialState.COMPLETE}
