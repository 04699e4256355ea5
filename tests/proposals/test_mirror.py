"""What a sampler gets to see of a study."""

from collections.abc import Sequence
from typing import Any

import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.proposals.mirror import Mirror
from kerastuna.search.study.attributes import SAMPLER_STATE, is_rejection


class Witness(BaseSampler):
    """Samples at random, notes each proposal, and remembers the trials there were before it."""

    def __init__(self) -> None:
        self._random = RandomSampler(seed=0)
        self.numbers: list[int] = []
        self.seen: list[FrozenTrial] = []

    def at(self, number: int) -> BaseSampler:
        self.numbers.append(number)
        return self

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.seen = [other for other in study.get_trials() if other.number != trial.number]

    def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
        return {}

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        study._storage.set_trial_system_attr(trial._trial_id, "noted", trial.number)
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def mirror_of(witness: Witness, learn: bool = False) -> Mirror:
    return Mirror([StudyDirection.MAXIMIZE], witness.at, learn_rejections=learn, is_rejection=is_rejection)


def make_study() -> optuna.Study:
    return optuna.create_study(storage=InMemoryStorage(), direction="maximize", sampler=RandomSampler(seed=1))


def view(mirror: Mirror, witness: Witness, study: optuna.Study) -> list[FrozenTrial]:
    mirror.sync(study.get_trials(deepcopy=False))
    mirror.ask(len(study.trials))
    return witness.seen


def add(study: optuna.Study, state: TrialState, *, n: int = 1, **arguments: Any) -> None:
    study.add_trial(
        optuna.create_trial(state=state, params={"n": n}, distributions={"n": IntDistribution(0, 9)}, **arguments)
    )


def traits(trials: Sequence[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [(t.state, t.params, t.distributions, t.values, t.intermediate_values, t.constraints) for t in trials]


REFUSAL: dict[str, Any] = {"user_attrs": {"reason": "over_budget"}, "constraints": {"params": 5.0}}


def test_trained_trials_are_seen_as_they_are() -> None:
    study, witness = make_study(), Witness()
    add(study, TrialState.COMPLETE, value=0.5, intermediate_values={1: 0.1, 2: 0.5})
    add(study, TrialState.PRUNED, value=0.3, intermediate_values={1: 0.3}, user_attrs={"reason": "stopped_early"})
    add(study, TrialState.RUNNING, n=7)
    assert traits(view(mirror_of(witness), witness, study)) == traits(study.trials)


def test_failures_are_passed_over_and_what_waits_is_not_there() -> None:
    study, witness = make_study(), Witness()
    add(study, TrialState.FAIL, user_attrs={"reason": "not_finite"}, intermediate_values={1: float("nan")})
    study.enqueue_trial({"n": 3})
    add(study, TrialState.COMPLETE, value=1.0)
    seen = view(mirror_of(witness), witness, study)
    assert [trial.state for trial in seen] == [TrialState.FAIL, TrialState.COMPLETE]
    assert (seen[0].params, seen[0].intermediate_values) == ({}, {})


def test_refusals_are_hidden() -> None:
    study, witness = make_study(), Witness()
    add(study, TrialState.PRUNED, **REFUSAL)
    add(study, TrialState.COMPLETE, value=1.0, constraints={"params": -3.0})
    seen = view(mirror_of(witness), witness, study)
    assert [trial.state for trial in seen] == [TrialState.FAIL, TrialState.COMPLETE]
    assert [trial.constraints for trial in seen] == [{}, {}]


def test_refusals_are_learnt_with_their_constraints() -> None:
    study, witness = make_study(), Witness()
    add(study, TrialState.PRUNED, **REFUSAL)
    add(study, TrialState.PRUNED, user_attrs={"reason": "duplicate"})
    add(study, TrialState.COMPLETE, value=1.0, constraints={"params": -3.0})
    seen = view(mirror_of(witness, learn=True), witness, study)
    assert [trial.state for trial in seen] == [TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE]
    assert [trial.constraints for trial in seen] == [{"params": 5.0}, {}, {"params": -3.0}]


def test_the_constraints_of_the_goal_are_always_seen_and_the_budgets_only_where_they_are_learnt() -> None:
    both = {"val_accuracy": 0.1, "params": -5.0}
    for learn, expected in ((False, {"val_accuracy": 0.1}), (True, both)):
        study, witness = make_study(), Witness()
        mirror = Mirror(
            [StudyDirection.MAXIMIZE],
            witness.at,
            learn_rejections=learn,
            is_rejection=is_rejection,
            demands={"val_accuracy"},
        )
        add(study, TrialState.COMPLETE, value=0.5, constraints=both)  # met when it was over
        running = study.ask({"n": IntDistribution(0, 9)})
        view(mirror, witness, study)
        for name, value in both.items():  # and met while it ran
            running.set_constraint(name, value)
        study.tell(running, 0.7)
        assert [trial.constraints for trial in view(mirror, witness, study) if trial.values] == [expected] * 2


def test_a_running_trial_of_another_process_is_followed_to_its_end() -> None:
    study, witness = make_study(), Witness()
    mirror = mirror_of(witness)
    trials = [study.ask() for _ in range(4)]
    for trial in trials:
        trial.suggest_int("n", 0, 9)
    assert [trial.state.name for trial in view(mirror, witness, study)] == ["RUNNING"] * 4
    trials[0].report(0.25, 1)
    study.tell(trials[0], 0.5)
    trials[1].report(0.125, 1)
    study.tell(trials[1], state=TrialState.PRUNED)
    study.tell(trials[2], state=TrialState.FAIL)
    seen = view(mirror, witness, study)
    assert traits(seen[:2]) == traits(study.trials[:2])
    assert [trial.state.name for trial in seen[2:4]] == ["FAIL", "RUNNING"]


def test_a_trial_that_is_refused_while_it_runs_is_hidden() -> None:
    """One that was enqueued, and that another process has seen running before it was counted."""
    study, witness = make_study(), Witness()
    mirror = mirror_of(witness)
    trials = [study.ask() for _ in range(2)]
    trials[0].suggest_int("n", 0, 9)
    view(mirror, witness, study)
    for trial in trials:
        trial.set_user_attr("reason", "over_budget")  # the reason comes first, then the state
        view(mirror, witness, study)
        trial.suggest_int("m", 0, 9)
        view(mirror, witness, study)
        study.tell(trial, state=TrialState.PRUNED)
    assert {trial.state for trial in view(mirror, witness, study) if trial.params} <= {TrialState.FAIL}


def test_a_trial_seen_before_its_last_parameter_is_known_with_all_in_the_end() -> None:
    study, witness = make_study(), Witness()
    mirror = mirror_of(witness)
    trial = study.ask()
    view(mirror, witness, study)
    trial.suggest_int("n", 0, 9)
    running = [t for t in view(mirror, witness, study) if t.state == TrialState.RUNNING and t.params]
    assert traits(running) == traits(study.trials)
    trial.suggest_int("m", 0, 9)
    study.tell(trial, 0.5)
    assert traits([t for t in view(mirror, witness, study) if t.values]) == traits(study.trials)


def test_an_accepted_proposal_is_one_trial_here_and_there() -> None:
    study, witness = make_study(), Witness()
    mirror = mirror_of(witness)
    proposal = mirror.ask(0)
    proposal.suggest_int("n", 0, 9)
    state = mirror.proposed(proposal).system_attrs
    assert state == {"noted": 0}
    study.add_trial(
        optuna.create_trial(
            state=TrialState.RUNNING,
            params=proposal.params,
            distributions=proposal.distributions,
            user_attrs={SAMPLER_STATE: state},
        )
    )
    mirror.accept(proposal, 0, {"params": -2.0})
    study.tell(0, 0.75)
    seen = view(mirror, witness, study)
    assert traits(seen) == traits(study.trials)
    assert seen[0].system_attrs == state

    another = Witness()
    again = view(mirror_of(another), another, study)
    assert traits(again) == traits(seen)
    assert again[0].system_attrs == state


def test_what_is_copied_does_not_touch_the_storage() -> None:
    study, witness = make_study(), Witness()
    add(study, TrialState.COMPLETE, value=1.0, constraints={"params": -1.0}, user_attrs={SAMPLER_STATE: {"noted": 0}})
    view(mirror_of(witness, learn=True), witness, study)
    assert study.trials[0].user_attrs == {SAMPLER_STATE: {"noted": 0}}


def test_a_proposal_may_come_from_another_sampler() -> None:
    study, witness = make_study(), Witness()
    mirror = mirror_of(witness)
    mirror.ask(3, RandomSampler(seed=0))
    assert witness.numbers == []
    mirror.ask(4)
    assert witness.numbers == [4]
    assert study.trials == []


OUTCOMES = st.lists(st.sampled_from(["complete", "stopped", "failed", "refused", "duplicate"]), max_size=12)


@settings(max_examples=50, deadline=None)
@given(outcomes=OUTCOMES, learn=st.booleans())
def test_one_process_sees_every_trial_under_its_number_now_and_when_it_starts_again(
    outcomes: list[str], learn: bool
) -> None:
    study, witness = make_study(), Witness()
    mirror = mirror_of(witness, learn)
    for number, outcome in enumerate(outcomes):
        mirror.sync(study.get_trials(deepcopy=False))
        proposal = mirror.ask(number)
        assert proposal.number == number
        proposal.suggest_int("n", 0, 9)
        excess = {"refused": {"params": 7.0}, "duplicate": {}}.get(outcome, {"params": -7.0})
        refused = outcome in ("refused", "duplicate")
        reason = {"refused": "over_budget", "duplicate": "duplicate", "stopped": "stopped_early"}.get(outcome)
        study.add_trial(
            optuna.create_trial(
                state=TrialState.PRUNED if refused else TrialState.RUNNING,
                params=proposal.params,
                distributions=proposal.distributions,
                user_attrs={SAMPLER_STATE: mirror.proposed(proposal).system_attrs}
                | ({"reason": reason} if reason else {}),
                constraints=dict(excess),
            )
        )
        if refused:
            mirror.refuse(proposal, number, excess)
            continue
        mirror.accept(proposal, number, excess)
        study._storage.set_trial_intermediate_value(study.trials[number]._trial_id, 1, 0.5)
        state = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}[outcome]
        study.tell(number, 0.5 if outcome == "complete" else None, state=state)
    seen = view(mirror, witness, study)
    another = Witness()
    again = view(mirror_of(another, learn), another, study)
    assert len(seen) == len(again) == len(outcomes)
    assert [trial.state for trial in seen] == [trial.state for trial in again]
    learnt = [trial.number for trial in seen if trial.state != TrialState.FAIL]
    assert traits([seen[number] for number in learnt]) == traits([again[number] for number in learnt])
    assert learnt == [
        number for number, outcome in enumerate(outcomes) if outcome in ("complete", "stopped", "refused" * learn)
    ]
