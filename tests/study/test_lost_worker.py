"""The trials of a worker that is known to be dead, wherever it was."""

import optuna
from optuna.trial import TrialState
from study_support import opened

from kerastuna.search.study.attributes import NAME, WORKER
from kerastuna.search.study.liveness import this_worker
from kerastuna.search.study.lost_worker import fail_trials_of
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy

THERE = {**this_worker(), "host": "elsewhere"}


def test_exactly_its_running_trials_fail_and_are_enqueued_again(tmp_path) -> None:
    study = opened(open_storage(tmp_path / "journal"))
    stored = StoredStudy(study, study._storage)
    given = [
        (TrialState.RUNNING, {WORKER: THERE, NAME: "eip_1"}),
        (TrialState.RUNNING, {WORKER: THERE | {"pid": 1}}),
        (TrialState.RUNNING, {WORKER: this_worker()}),
        (TrialState.RUNNING, {}),
        (TrialState.COMPLETE, {WORKER: THERE}),
    ]
    units = optuna.distributions.IntDistribution(1, 9)
    for number, (state, attributes) in enumerate(given):
        value = 0.5 if state == TrialState.COMPLETE else None
        stored.add(
            optuna.create_trial(
                state=state,
                value=value,
                params={"units": number + 1},
                distributions={"units": units},
                user_attrs=attributes,
            )
        )
    assert fail_trials_of(stored, THERE) == [0]
    assert [trial.state.name for trial in study.trials] == ["FAIL", *["RUNNING"] * 3, "COMPLETE", "WAITING"]
    assert study.trials[0].user_attrs["reason"] == "interrupted"
    assert study.trials[5].system_attrs["fixed_params"] == {"units": 1}
    assert study.trials[5].user_attrs == {"retry_of": 0, "name": "eip_1"}
    assert fail_trials_of(stored, THERE) == []
    assert len(study.trials) == 6
