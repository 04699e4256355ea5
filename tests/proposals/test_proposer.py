"""From the sampler to a claim. As a script, this is a worker on the study in a journal, for tests of two processes."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.errors import SearchFailed
from kerastuna.search.proposals.claims import Claim
from kerastuna.search.proposals.distributions import ParameterSpace, Values, values_key
from kerastuna.search.proposals.narrowing import Narrower
from kerastuna.search.proposals.proposer import REFUSALS_IN_A_ROW, Proposer
from kerastuna.search.proposals.samplers import sampler_for
from kerastuna.search.proposals.start import FIRST_TRIALS, MOST_DRAWN, Start
from kerastuna.search.study.attributes import is_rejection, is_trained
from kerastuna.search.study.budget import Budget, Size
from kerastuna.search.study.events import Announcer, SearchObserver
from kerastuna.search.study.liveness import LONG_AGO_SECONDS, this_worker
from kerastuna.search.study.retries import retry
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import open_study
from kerastuna.spaces.errors import InfeasibleArchitecture

SAMPLERS = ["random", "tpe", "nsga2", "qmc"]
"""Those that need none of the extra packages."""


def space_of(declare: Callable[[keras_tuner.HyperParameters], Any]) -> ParameterSpace:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return ParameterSpace(hp.space)


def declare_networks(hp: keras_tuner.HyperParameters) -> None:
    hp.Int("width", 1, 10)
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("head", ["gap", "dense"])
    with hp.conditional_scope("head", ["dense"]):
        hp.Int("units", 4, 32, step=2)


NETWORKS = space_of(declare_networks)
"""Infinitely many; about one in three is within `BUDGET` and feasible."""
BUDGET = Budget(5000)


def size_of(values: Values) -> Size:
    """Of a network of `NETWORKS`; those of width 2 are infeasible."""
    if values["width"] == 2:
        raise InfeasibleArchitecture("the window would shrink the map below one pixel")
    params = 900 * int(values["width"]) + 100 * int(values.get("units", 0))
    return Size(params, 7, 8, summary=f"{values['width']} | {values['head']}")


def accuracy(values: Values) -> float:
    """The best networks are the largest that fit."""
    return -abs(float(values.get("width", 0)) - 5) - float(values.get("rate", 0))


def opened(storage: BaseStorage) -> optuna.Study:
    return open_study(storage, "s", directions=["maximize"], identity={}, pruner=NopPruner(), seed=0)


def proposer_of(
    study: optuna.Study,
    sampler: str | BaseSampler = "random",
    seed: int = 0,
    *,
    budget: Budget | None = BUDGET,
    measure: Callable[[Values], Size | None] | None = size_of,
    **options: Any,
) -> Proposer:
    stored = StoredStudy(study, study._storage)
    return Proposer(stored, sampler_for(sampler, seed), seed, budget=budget, measure=measure, **options)


class Listener(SearchObserver):
    """Keeps the records of refused proposals."""

    def __init__(self, told: list[Any]) -> None:
        self._told = told

    def proposal_refused(self, record: Any) -> None:
        self._told.append(record)


def sizes(claim: Claim) -> dict[str, Any]:
    """What was counted of a claim's network."""
    return {name: claim.attributes[name] for name in vars(Size(1)) if name in claim.attributes}


def claimed(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def search(
    study: optuna.Study, proposer: Proposer, trials: int | None, space: ParameterSpace = NETWORKS
) -> list[Claim]:
    """Claim and tell until there is no more."""
    claims: list[Claim] = []
    while (claim := proposer.next(space, trials)) is not None:
        claims.append(claim)
        study.tell(claim.number, accuracy(claim.values))
    return claims


def states(study: optuna.Study) -> dict[str, int]:
    return dict(Counter(trial.state.name for trial in study.trials))


# The budget


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(900, 9000), seed=st.integers(0, 2**32 - 1), sampler=st.sampled_from(SAMPLERS))
def test_nothing_over_the_budget_is_ever_claimed_and_every_refusal_is_recorded(
    limit: int, seed: int, sampler: str
) -> None:
    study = opened(InMemoryStorage())
    measured: list[Values] = []

    def measure(values: Values) -> Size:
        measured.append(values)
        return size_of(values)

    claims = search(study, proposer_of(study, sampler, seed, budget=Budget(limit), measure=measure), 6)
    assert [sizes(claim) for claim in claims] == [vars(size_of(claim.values)) for claim in claims]
    assert all(claim.attributes["params"] <= limit for claim in claims)
    assert len(claims) == 6 == sum(map(is_trained, study.trials))
    assert [trial.user_attrs["hyperparameters"] for trial in study.trials] == measured
    for trial in study.trials:
        values = trial.user_attrs["hyperparameters"]
        if not is_rejection(trial):
            assert trial.constraints == {"params": trial.user_attrs["params"] - limit}
        elif values["width"] == 2:
            assert trial.user_attrs["reason"] == "infeasible"
        else:
            assert trial.user_attrs["reason"] == "over_budget"
            assert trial.user_attrs["params"] == size_of(values).params > limit
            assert trial.constraints == {"params": trial.user_attrs["params"] - limit}
        assert NETWORKS.encode(values)[0] == trial.params


def test_what_stands_in_the_study() -> None:
    study = opened(InMemoryStorage())
    told: list[Any] = []
    proposer = proposer_of(study, announcer=Announcer([Listener(told)]))
    for width in (10, 2, 1, 1):
        study.enqueue_trial({"width": width, "rate": 0.01, "head": "gap"})
    claims = search(study, proposer, 1)
    assert [claim.number for claim in claims] == [2]
    claim = claimed(proposer.next(NETWORKS, None))
    over, infeasible, trained, duplicate, *_, running = study.trials
    assert claim.number == running.number
    values = {"width": 10, "rate": 0.01, "head": "gap"}
    assert over.state == infeasible.state == duplicate.state == TrialState.PRUNED
    assert over.params == values
    assert over.constraints == {"params": 4000.0}
    assert over.user_attrs["hyperparameters"] == values
    assert {key: over.user_attrs[key] for key in ("reason", "params", "macs", "summary", "message")} == {
        "reason": "over_budget",
        "params": 9000,
        "macs": 7,
        "summary": "10 | gap",
        "message": "9,000 parameters, 5,000 allowed",
    }
    assert infeasible.user_attrs["reason"] == "infeasible"
    assert infeasible.user_attrs["message"] == "the window would shrink the map below one pixel"
    assert duplicate.user_attrs["reason"] == "duplicate"
    assert duplicate.user_attrs["message"] == "same hyperparameters as trial 2"
    assert (trained.state, trained.user_attrs["params"]) == (TrialState.COMPLETE, 900)
    assert running.state == TrialState.RUNNING
    assert running.user_attrs["worker"] == this_worker()
    assert running.user_attrs["last_seen"] > 0
    assert running.user_attrs["hyperparameters"] == claim.values
    assert [record["number"] for record in told] == [0, 1, *range(3, claim.number)]
    assert [record["reason"] for record in told[:3]] == ["over_budget", "infeasible", "duplicate"]


def test_refusals_cost_no_trials() -> None:
    study = opened(InMemoryStorage())
    assert len(search(study, proposer_of(study, budget=Budget(1000)), 5)) == 5
    assert states(study)["COMPLETE"] == 5
    assert states(study)["PRUNED"] > 5


def test_a_thousand_refusals_in_a_row_fail_the_search_and_name_the_smallest() -> None:
    study = opened(InMemoryStorage())
    with pytest.raises(SearchFailed) as caught:
        proposer_of(study, budget=Budget(10)).next(NETWORKS, 5)
    assert states(study) == {"PRUNED": REFUSALS_IN_A_ROW}
    assert str(caught.value) == (
        "1,000 proposals in a row did not fit 10 parameters; the smallest had 900 parameters: raise the budget to at "
        "least that, or let the space reach smaller networks"
    )


def test_a_thousand_refusals_in_a_row_end_a_search_that_has_trained_trials() -> None:
    study = opened(InMemoryStorage())
    trained: list[Values] = []

    def measure(values: Values) -> Size:  # as in a large space of which nearly all that fits is trained
        return Size(1 if len(trained) < 2 else 900, 7, 8)

    proposer = proposer_of(study, budget=Budget(10), measure=measure)
    while (claim := proposer.next(NETWORKS, 5)) is not None:
        trained.append(claim.values)
        study.tell(claim.number, 0.5)
    assert states(study) == {"COMPLETE": 2, "PRUNED": REFUSALS_IN_A_ROW}


def test_a_thousand_infeasible_proposals_fail_the_search() -> None:
    def measure(values: Values) -> Size:
        raise InfeasibleArchitecture("below one pixel")

    with pytest.raises(SearchFailed, match="1,000 proposals in a row were infeasible: the layers do not fit the input"):
        proposer_of(opened(InMemoryStorage()), measure=measure).next(NETWORKS, 5)


class Greedy(RandomSampler):
    """Asks for the largest network, always: a sampler that does not see refusals may come to that."""

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        if param_name == "width":
            return param_distribution.high
        return super().sample_independent(study, trial, param_name, param_distribution)


def test_a_sampler_that_only_proposes_what_does_not_fit_is_helped_out() -> None:
    study = opened(InMemoryStorage())
    assert len(search(study, proposer_of(study, Greedy()), 3)) == 3
    assert states(study)["PRUNED"] < 3 * 100


def test_without_a_budget_or_a_count_everything_is_claimed() -> None:
    study = opened(InMemoryStorage())
    assert not any(sizes(claim) for claim in search(study, proposer_of(study, budget=None, measure=None), 3))
    counted = [sizes(claim) for claim in search(study, proposer_of(study, budget=None, measure=lambda v: Size(99)), 6)]
    assert counted == [vars(Size(99))] * 3
    assert [sizes(claim) for claim in search(study, proposer_of(study, measure=lambda v: None), 9)] == [{}] * 3
    assert states(study) == {"COMPLETE": 9}


# What was tried


def declare_few(hp: keras_tuner.HyperParameters) -> None:
    hp.Int("width", 1, 4)
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        hp.Choice("rate", [0.1, 0.2])


FEW = space_of(declare_few)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_point_of_a_small_space_is_tried_once(sampler: str) -> None:
    study = opened(InMemoryStorage())
    claims = search(study, proposer_of(study, sampler, measure=lambda values: Size(1)), None, FEW)
    points = FEW.points(100)
    assert points is not None
    assert len(claims) == len(points) == 12
    assert {values_key(claim.values) for claim in claims} == {values_key(point) for point in points}
    before = states(study)
    assert before["COMPLETE"] == 12
    assert proposer_of(study, sampler, measure=lambda values: Size(1)).next(FEW, None) is None
    assert states(study) == before


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_point_of_a_small_space_that_fits_is_found_among_many_that_do_not(sampler: str) -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("width", 0, 29)
        hp.Int("rate", 0, 29)

    space = space_of(declare)
    study = opened(InMemoryStorage())
    proposer = proposer_of(
        study,
        sampler,
        budget=Budget(1),
        measure=lambda values: Size(1 + int(values["width"]) % 29 + int(values["rate"])),
    )
    claims = search(study, proposer, None, space)
    assert sorted(int(claim.values["width"]) for claim in claims) == [0, 29]
    refused = {values_key(t.user_attrs["hyperparameters"]) for t in study.trials if is_rejection(t)}
    assert len(refused) >= 900 - 2


def test_a_small_space_in_which_nothing_fits_fails_the_search_with_its_smallest_network() -> None:
    study = opened(InMemoryStorage())
    message = "all networks of the space did not fit 10 parameters; the smallest had 100"
    for _ in range(2):  # also when all was refused before
        with pytest.raises(SearchFailed, match=message):
            proposer_of(study, budget=Budget(10), measure=lambda values: Size(100 * int(values["width"]))).next(FEW, 5)
    assert len({values_key(trial.user_attrs["hyperparameters"]) for trial in study.trials}) == 12


def test_a_thousand_points_are_all_looked_at_before_the_search_fails() -> None:
    space = space_of(lambda hp: [hp.Int(name, 0, 9) for name in ("a", "b", "c")])
    study = opened(InMemoryStorage())
    with pytest.raises(
        SearchFailed, match="all networks of the space did not fit 1 parameters; the smallest had 2 parameters:"
    ):
        proposer_of(study, budget=Budget(1), measure=lambda values: Size(sum(map(int, values.values())) + 2)).next(
            space, None
        )
    assert len({values_key(trial.user_attrs["hyperparameters"]) for trial in study.trials}) == 1000


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_values_are_claimed_twice_in_a_space_too_large_to_list(sampler: str) -> None:
    space = space_of(lambda hp: [hp.Int(name, 0, 12) for name in ("a", "b", "c")])
    study = opened(InMemoryStorage())
    proposer = proposer_of(study, sampler, measure=lambda values: Size(1))
    claims = search(study, proposer, 40, space)
    assert len({values_key(claim.values) for claim in claims}) == len(claims) == 40


def test_a_large_space_ends_when_all_that_is_proposed_was_tried_before() -> None:
    """The sampler repeats itself, and what the space says of itself is more than what is ever sampled of it."""
    space = space_of(lambda hp: [hp.Int(name, 0, 999) for name in ("a", "b")])

    class Stuck(RandomSampler):
        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return 1

    study = opened(InMemoryStorage())
    proposer = proposer_of(study, Stuck(), measure=lambda values: Size(1))
    first, second = claimed(proposer.next(space, None)), claimed(proposer.next(space, None))
    assert first.values == {"a": 1, "b": 1}
    assert second.values != first.values  # at random, in the end
    assert 10 <= states(study)["PRUNED"] <= 30


def test_a_trial_that_failed_is_not_tried_again() -> None:
    study = opened(InMemoryStorage())
    proposer = proposer_of(study, measure=lambda values: Size(1))
    seen = set()
    while (claim := proposer.next(FEW, None)) is not None:
        seen.add(values_key(claim.values))
        claim.keep(reason="error")
        study.tell(claim.number, state=TrialState.FAIL)
    assert len(seen) == 12
    assert states(study)["FAIL"] == 12


# Enqueued and interrupted trials


def test_enqueued_trials_come_first_and_what_they_leave_open_is_sampled() -> None:
    study = opened(InMemoryStorage())
    full = {"width": 3, "rate": 0.5e-3, "head": "dense", "units": 6}
    study.enqueue_trial(NETWORKS.encode(full)[0], user_attrs={"name": "reference"})
    study.enqueue_trial({"width": 1})
    first, second, third = search(study, proposer_of(study), 3)
    assert (first.values, sizes(first)) == (full, vars(Size(3300, 7, 8, summary="3 | dense")))
    assert study.trials[0].user_attrs["name"] == "reference"
    assert study.trials[0].user_attrs["worker"] == this_worker()
    assert second.values["width"] == 1
    assert 1e-4 <= float(second.values["rate"]) <= 1e-1
    assert [first.number, second.number] == [0, 1]
    assert third.number >= 2


@pytest.mark.parametrize("wrong", [{"width": 99}, {"units": 5}, {"head": "conv"}, {"width": "wide"}])
def test_an_enqueued_trial_outside_the_space_is_refused_and_the_search_goes_on(wrong: dict[str, Any]) -> None:
    """Enqueued with Optuna's own method, which does not know the space."""
    study = opened(InMemoryStorage())
    study.enqueue_trial({"width": 1, "rate": 0.01, "head": "dense", "units": 6} | wrong)
    if all(isinstance(value, int) for value in wrong.values()):
        with pytest.warns(UserWarning, match="is out of range"):
            claims = search(study, proposer_of(study), 2)
    else:
        claims = search(study, proposer_of(study), 2)
    assert len(claims) == 2
    assert study.trials[0].state == TrialState.PRUNED
    assert study.trials[0].user_attrs["reason"] == "infeasible"
    assert study.trials[0].user_attrs["message"].startswith("enqueued with values that are not in the space: ")


def interrupt(study: optuna.Study, claim: Claim, values: Values | None = None) -> None:
    if values is not None:
        claim.keep(hyperparameters=dict(values))
    claim.keep(reason="interrupted")
    retry(study, study.tell(claim.number, state=TrialState.FAIL))


@pytest.mark.parametrize("late", [False, True])
def test_an_interrupted_trial_is_claimed_again_first_and_once(late: bool) -> None:
    study = opened(InMemoryStorage())
    proposer = proposer_of(study)
    claims = search(study, proposer, 3)
    interrupted = claimed(proposer.next(NETWORKS, 5))
    # KerasTuner may meet a hyperparameter only while it builds: what was noted at the claim is then overwritten.
    interrupt(study, interrupted, {**interrupted.values, "late": 1} if late else None)
    again = claimed(proposer.next(NETWORKS, 5))
    assert again.values == interrupted.values
    assert study.trials[again.number].user_attrs["retry_of"] == interrupted.number
    for _ in range(3):
        interrupt(study, again)
        last, again = again, claimed(proposer.next(NETWORKS, 5))
        assert again.values == interrupted.values
        assert study.trials[again.number].user_attrs["retry_of"] == last.number
    other = claimed(proposer.next(NETWORKS, 5))
    assert other.values not in [interrupted.values, *(claim.values for claim in claims)]
    assert len([trial for trial in study.trials if trial.state == TrialState.WAITING]) == 0


def test_an_interrupted_trial_that_nobody_enqueued_is_not_forgotten() -> None:
    """Its process was killed between failing it and enqueuing it."""
    study = opened(InMemoryStorage())
    claim = claimed(proposer_of(study).next(NETWORKS, 5))
    claim.keep(reason="interrupted")
    study.tell(claim.number, state=TrialState.FAIL)
    again = claimed(proposer_of(study).next(NETWORKS, 5))
    assert again.values == claim.values
    assert study.trials[again.number].user_attrs["retry_of"] == claim.number


@pytest.mark.parametrize("late", [False, True])
def test_of_two_retries_of_one_trial_the_second_is_refused(late: bool) -> None:
    """Two processes enqueued it at the same moment. The first may note other hyperparameters while it builds."""
    study = opened(InMemoryStorage())
    proposer = proposer_of(study)
    claim = claimed(proposer.next(NETWORKS, 5))
    interrupt(study, claim)
    study.enqueue_trial(study.trials[claim.number].params, user_attrs={"retry_of": claim.number})
    first = claimed(proposer.next(NETWORKS, 5))
    if late:
        first.keep(hyperparameters={**first.values, "late": 1})
        study.tell(first.number, 0.5)
        proposer = proposer_of(study)  # which does not know them as they were at first
    other = claimed(proposer.next(NETWORKS, 5))
    assert other.values != first.values
    second = study.trials[first.number + 1]
    assert (second.state, second.user_attrs["reason"]) == (TrialState.PRUNED, "duplicate")
    assert is_rejection(second)


@pytest.mark.parametrize("restart", [False, True])
def test_the_values_of_an_interrupted_trial_may_be_proposed_again(restart: bool) -> None:
    study = opened(InMemoryStorage())
    single = space_of(lambda hp: hp.Int("width", 1, 1))
    proposer = proposer_of(study, measure=lambda values: Size(1))
    for _ in range(3):
        interrupt(study, claimed(proposer.next(single, None)))
        if restart:
            proposer = proposer_of(study, measure=lambda values: Size(1))
    search(study, proposer, None, single)
    assert states(study) == {"FAIL": 3, "COMPLETE": 1}


# Several at once


def test_running_trials_take_their_places() -> None:
    study = opened(InMemoryStorage())
    proposer = proposer_of(study)
    claims = [claimed(proposer.next(NETWORKS, 3)) for _ in range(3)]
    assert proposer.next(NETWORKS, 3) is None
    study.tell(claims[0].number, 1.0)
    study.tell(claims[1].number, state=TrialState.PRUNED)
    assert proposer.next(NETWORKS, 3) is None
    claims[2].keep(reason="error")
    study.tell(claims[2].number, state=TrialState.FAIL)
    assert proposer.next(NETWORKS, 3) is not None


def in_between(study: optuna.Study, meanwhile: Callable[[], Any], **options: Any) -> Proposer:
    """A proposer during whose first count something happens in another process."""
    pending = [meanwhile]

    def measure(values: Values) -> Size:
        if pending:
            pending.pop()()
        return Size(1)

    return proposer_of(study, measure=measure, **options)


def test_who_comes_second_for_the_last_place_steps_back() -> None:
    study = opened(InMemoryStorage())
    study.enqueue_trial({"width": 1, "rate": 0.01, "head": "gap"})
    search(study, proposer_of(study), 1)
    others: list[Claim | None] = []
    other = proposer_of(study, seed=1)
    proposer = in_between(study, lambda: others.append(other.next(NETWORKS, 2)), seed=2)
    assert proposer.next(NETWORKS, 2) is None
    assert sizes(claimed(others[0]))
    assert Counter(t.state.name for t in study.trials if not is_rejection(t)) == {
        "COMPLETE": 1,
        "RUNNING": 1,
        "WAITING": 1,
    }
    waiting = next(trial for trial in study.trials if trial.state == TrialState.WAITING)
    for one in (proposer, other):
        assert one.next(NETWORKS, 2) is None
    assert claimed(other.next(NETWORKS, 3)).values == waiting.user_attrs["hyperparameters"]
    assert study.trials[waiting.number].state == TrialState.RUNNING
    assert proposer.next(NETWORKS, 3) is None


@pytest.mark.parametrize("taken", [False, True])
def test_a_proposal_leaves_the_last_place_to_a_trial_that_is_enqueued_meanwhile(taken: bool) -> None:
    """The retry of a reference, whose process was killed, would otherwise wait in a study that is full."""
    study = opened(InMemoryStorage())
    search(study, proposer_of(study), 1)

    def meanwhile() -> None:
        study.enqueue_trial({"width": 1, "rate": 0.01, "head": "gap"}, user_attrs={"name": "reference"})
        if taken:
            assert claimed(proposer_of(study).next(NETWORKS, 2)).attributes["name"] == "reference"

    claim = in_between(study, meanwhile).next(NETWORKS, 2)
    if not taken:
        assert claimed(claim).attributes["name"] == "reference"
    else:
        assert claim is None
    assert [t.state for t in study.trials if not is_rejection(t)][1:].count(TrialState.RUNNING) == 1


def test_a_proposal_leaves_the_last_place_to_a_trial_that_fails_meanwhile() -> None:
    """Its process was killed, and nobody has enqueued it again yet."""
    study = opened(InMemoryStorage())
    search(study, proposer_of(study), 1)
    lost = claimed(proposer_of(study).next(NETWORKS, 3))

    def meanwhile() -> None:
        claimed(proposer_of(study, seed=1).next(NETWORKS, 3))
        lost.keep(reason="interrupted")
        study.tell(lost.number, state=TrialState.FAIL)

    claim = claimed(in_between(study, meanwhile, seed=2).next(NETWORKS, 3))
    assert claim.attributes["retry_of"] == lost.number


def test_who_comes_second_for_an_enqueued_trial_proposes_another() -> None:
    study = opened(InMemoryStorage())
    for width in (1, 3):
        study.enqueue_trial({"width": width, "rate": 0.01, "head": "gap"})
    others: list[Claim | None] = []
    other = proposer_of(study)
    proposer = in_between(study, lambda: others.append(other.next(NETWORKS, 2)))
    assert claimed(proposer.next(NETWORKS, 2)).values["width"] == 1
    assert claimed(others[0]).values["width"] == 3
    assert proposer.next(NETWORKS, 2) is None


def test_an_enqueued_trial_that_another_process_took_for_abandoned_is_left_to_it() -> None:
    """This one stood still between taking it and naming its hyperparameters."""
    study = opened(InMemoryStorage())
    study.enqueue_trial({"width": 1, "rate": 0.01, "head": "gap"})
    claim = claimed(in_between(study, lambda: study.tell(0, state=TrialState.FAIL)).next(NETWORKS, 2))
    assert claim.number == 1
    assert study.trials[0].state == TrialState.FAIL


def test_a_proposal_that_another_process_took_for_abandoned_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    study = opened(InMemoryStorage())
    proposer = proposer_of(study, measure=lambda values: Size(1))
    search(study, proposer_of(study, measure=lambda values: Size(1)), 1)
    twice, keep = [True], StoredStudy.keep

    def failing(stored: StoredStudy, number: int, **attributes: Any) -> None:
        if twice:
            twice.clear()
            study.tell(number, state=TrialState.FAIL)
        keep(stored, number, **attributes)

    monkeypatch.setattr(StoredStudy, "keep", failing)
    study.enqueue_trial(study.trials[0].params)
    assert claimed(proposer.next(NETWORKS, 2)).number == 2
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "RUNNING"]


class Elsewhere:
    """A worker on another machine, which trains trials of a study."""

    def __init__(self, study: optuna.Study) -> None:
        self._stored = StoredStudy(study, study._storage)

    def takes(self, width: int, **attributes: Any) -> int:
        values = {"width": width, "rate": 0.01, "head": "gap"}
        params, distributions = NETWORKS.encode(values)
        worker = {"worker": this_worker() | {"host": "elsewhere"}, "last_seen": time.time(), "hyperparameters": values}
        state = TrialState.RUNNING
        return self._stored.add(
            optuna.create_trial(
                state=state, params=params, distributions=distributions, user_attrs={**worker, **attributes}
            )
        )


def test_a_study_full_of_trials_of_others_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerastuna.search.proposals.proposer.LOOK_SECONDS", 0.0)
    study = opened(InMemoryStorage())
    number = Elsewhere(study).takes(3)
    waited: list[int] = []

    def waits() -> bool:
        waited.append(1)
        if len(waited) == 3:
            study.tell(number, 0.5)
        return True

    assert proposer_of(study).next(NETWORKS, 1, waits) is None
    assert len(waited) == 3
    assert states(study)["COMPLETE"] == 1
    number = Elsewhere(study).takes(4)
    assert proposer_of(study).next(NETWORKS, 2, lambda: False) is None
    assert proposer_of(study).is_full(2, lambda: False)


def test_the_place_of_a_worker_that_died_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study would have ended one short."""
    monkeypatch.setattr("kerastuna.search.proposals.proposer.LOOK_SECONDS", 0.0)
    study = opened(InMemoryStorage())
    number = Elsewhere(study).takes(3)
    stored = StoredStudy(study, study._storage)

    def waits() -> bool:
        stored.keep(number, last_seen=time.time() - 2 * LONG_AGO_SECONDS)
        return True

    claim = claimed(proposer_of(study).next(NETWORKS, 1, waits))
    assert (claim.values["width"], study.trials[claim.number].user_attrs["retry_of"]) == (3, number)
    assert study.trials[number].user_attrs["reason"] == "interrupted"


def test_nobody_waits_for_a_trial_of_this_process_or_of_another_program() -> None:
    study = opened(InMemoryStorage())
    Elsewhere(study).takes(3)
    proposer = proposer_of(study)
    claimed(proposer.next(NETWORKS, 2))  # KerasTuner's chief: it could not end while another one is waited for
    assert proposer.next(NETWORKS, 2, waits=lambda: pytest.fail("waits")) is None
    other = opened(InMemoryStorage())
    other.ask().suggest_int("width", 1, 10)
    assert proposer_of(other).next(NETWORKS, 1, waits=lambda: pytest.fail("waits")) is None
    assert proposer_of(other).is_full(1, waits=lambda: pytest.fail("waits"))


def test_who_comes_second_for_the_same_values_is_a_duplicate() -> None:
    """Two processes that know the same make the same proposal, by the same seed."""
    study = opened(InMemoryStorage())
    claims: list[Claim | None] = []
    other = proposer_of(study, measure=lambda values: Size(1))
    told: list[Any] = []
    proposer = in_between(study, lambda: claims.append(other.next(NETWORKS, 9)), announcer=Announcer([Listener(told)]))
    own = claimed(proposer.next(NETWORKS, 9))
    assert own.values != claimed(claims[0]).values
    duplicates = [t for t in study.trials if t.user_attrs.get("reason") == "duplicate"]
    assert [t.user_attrs["hyperparameters"] for t in duplicates] == [claimed(claims[0]).values]
    assert duplicates[0].state == TrialState.PRUNED
    assert duplicates[0].number in [record["number"] for record in told]


def test_a_claim_is_one_line_in_the_journal(tmp_path: Path) -> None:
    """A process that is killed leaves a whole claim, with its worker, or none."""
    path = tmp_path / "journal"
    study = opened(open_storage(path))
    proposer = proposer_of(study, measure=lambda values: Size(1))
    for _ in range(5):
        before = path.read_bytes().count(b"\n")
        claim = claimed(proposer.next(NETWORKS, None))
        assert path.read_bytes().count(b"\n") == before + 1
        assert study.trials[claim.number].user_attrs["worker"] == this_worker()
        study.tell(claim.number, 0.5)


def test_two_processes_reach_the_number_of_trials_together(tmp_path: Path) -> None:
    """Both have the study's seed, and so make the same proposals when they know the same."""
    path = tmp_path / "journal"
    study = opened(open_storage(path))
    study.enqueue_trial({"width": 1, "rate": 0.01, "head": "gap"})
    study.enqueue_trial({"width": 3, "rate": 0.01, "head": "gap"})
    command = [sys.executable, __file__, str(path), "25"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        proposer = proposer_of(study, "tpe")
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        print(file=other.stdin, flush=True)
        here = [claim.number for claim in search(study, proposer, 25)]
        numbers = [here, json.loads(other.communicate(timeout=120)[0])]
    trained = [trial for trial in study.trials if is_trained(trial)]
    assert sorted(numbers[0] + numbers[1]) == [trial.number for trial in trained]
    assert len(trained) == 25
    assert min(map(len, numbers)) > 0
    assert len({values_key(trial.user_attrs["hyperparameters"]) for trial in trained}) == 25
    assert all(trial.user_attrs["params"] <= BUDGET.params for trial in trained)
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]


# The same again


OUTCOMES = ["complete", "complete", "complete", "stopped_early", "error", "interrupted"]


def lived(storage: Callable[[], BaseStorage], sampler: str, trials: int, restarts: Sequence[int]) -> list[Any]:
    """All a study holds after a search whose trials end in all ways, begun anew before the claims of these numbers."""
    study = opened(storage())
    for width in (1, 10, 3):
        study.enqueue_trial({"width": width, "rate": 0.01, "head": "gap"})
    proposer = proposer_of(study, sampler)
    count = 0
    while True:
        if count in restarts:
            study = opened(storage())
            proposer = proposer_of(study, sampler)
        if (claim := proposer.next(NETWORKS, trials)) is None:
            break
        outcome = OUTCOMES[count % len(OUTCOMES)]
        count += 1
        claim.report(1, {}, accuracy(claim.values) / 2, study.pruner)
        if outcome == "complete":
            study.tell(claim.number, accuracy(claim.values))
            continue
        claim.keep(reason=outcome)
        state = TrialState.PRUNED if outcome == "stopped_early" else TrialState.FAIL
        told = study.tell(claim.number, state=state)
        if outcome == "interrupted":
            retry(study, told)
    ignored = ("worker", "last_seen", "sampler_state")
    return [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            trial.constraints,
            {key: value for key, value in trial.user_attrs.items() if key not in ignored},
        )
        for trial in study.trials
    ]


@pytest.mark.parametrize(
    ("sampler", "trials", "restarts"),
    [
        ("random", 30, [1, 4, 13, 30, 40]),
        ("tpe", 30, [1, 4, 13, 30, 40]),  # ten random ones first
        ("qmc", 30, [1, 4, 13, 30, 40]),
        ("nsga2", 110, [4, 140, 145, 150, 151, 160]),  # populations of 50 complete ones
    ],
)
def test_a_search_that_is_interrupted_and_resumed_makes_the_same_trials(
    sampler: str, trials: int, restarts: list[int], tmp_path: Path
) -> None:
    whole = lived(InMemoryStorage, sampler, trials, [])
    parts = lived(lambda: open_storage(tmp_path / "journal"), sampler, trials, restarts)
    assert parts == whole
    reasons = Counter(attributes.get("reason") for *_, attributes in whole)
    assert min(reasons[reason] for reason in ("over_budget", "infeasible", *OUTCOMES[3:])) > 0


def test_another_seed_makes_other_trials() -> None:
    def first_values(seed: int) -> list[Values]:
        study = opened(InMemoryStorage())
        return [claim.values for claim in search(study, proposer_of(study, "tpe", seed), 5)]

    assert first_values(0) == first_values(0)
    assert all(one != other for one, other in zip(first_values(0), first_values(1), strict=True))


def test_a_database_serves_as_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    assert lived(lambda: open_storage(url), "random", 4, [2]) == lived(InMemoryStorage, "random", 4, [])


# What the sampler learns


class Witness(RandomSampler):
    def __init__(self) -> None:
        super().__init__(seed=0)
        self.seen: list[FrozenTrial] = []

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.seen = [other for other in study.get_trials() if other.number != trial.number]


@pytest.mark.parametrize("infeasible", ["hide", "learn"])
@pytest.mark.parametrize("restart", [False, True])
def test_the_sampler_learns_of_refusals_only_when_it_shall(infeasible: str, restart: bool) -> None:
    study = opened(InMemoryStorage())
    search(study, proposer_of(study, Witness(), infeasible=infeasible), 10)
    witness = Witness()
    if restart:
        proposer_of(study, witness, infeasible=infeasible).next(NETWORKS, 11)
    else:
        study = opened(InMemoryStorage())
        search(study, proposer_of(study, witness, infeasible=infeasible), 11)
    seen = witness.seen
    standing = study.trials[: len(seen)]
    assert len(seen) >= 10
    refused = [trial.number for trial in standing if trial.user_attrs.get("reason") == "over_budget"]
    trained = [trial.number for trial in standing if is_trained(trial)]
    assert refused
    learnt = sorted(trained + (refused if infeasible == "learn" else []))
    assert [trial.number for trial in seen if trial.state != TrialState.FAIL] == learnt
    for number in learnt:
        assert (seen[number].params, seen[number].values) == (standing[number].params, standing[number].values)
        assert seen[number].constraints == (standing[number].constraints if infeasible == "learn" else {})


def work(path: str, trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = opened(open_storage(path))
    proposer = proposer_of(study, "tpe")
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps([claim.number for claim in search(study, proposer, trials)]))


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))


def test_the_first_trials_are_chosen_by_the_start_and_the_later_ones_by_the_sampler() -> None:
    study = opened(InMemoryStorage())

    def wide(values: Values) -> Size:
        return Size(size_of(values).params, receptive_field=int(values["width"]))

    start = Start(0, BUDGET, wide, looks_for_small=False)
    proposer = proposer_of(study, "tpe", start=start)
    for number in range(FIRST_TRIALS):
        expected = start.point(len(study.trials), NETWORKS)
        claim = proposer.next(NETWORKS, None)
        assert claim is not None
        assert (claim.number, claim.values) == (number, expected)
        claim.complete(accuracy(claim.values), [accuracy(claim.values)], {})
    assert not any(map(is_rejection, study.trials))
    claim = proposer.next(NETWORKS, None)
    assert claim is not None
    assert claim.values != start.point(claim.number, NETWORKS)


def test_a_start_without_a_point_leaves_it_to_the_sampler() -> None:
    study = opened(InMemoryStorage())
    start = Start(0, Budget(1), size_of, looks_for_small=False)
    claim = proposer_of(study, "tpe", start=start).next(NETWORKS, None)
    assert claim is not None
    assert size_of(claim.values).params <= 5000


def test_a_start_that_finds_nothing_is_not_asked_again() -> None:
    drawn: list[Values] = []

    def counting(values: Values) -> Size:
        drawn.append(values)
        return size_of(values)

    start = Start(0, Budget(1), counting, looks_for_small=False)
    proposer = proposer_of(opened(InMemoryStorage()), "tpe", budget=Budget(1), start=start)
    with pytest.raises(SearchFailed):
        proposer.next(NETWORKS, None)
    assert len(drawn) == MOST_DRAWN  # by one proposal of a thousand


@pytest.mark.parametrize("restarts", [False, True])
def test_a_start_that_once_found_nothing_is_asked_again_for_the_next_claim(restarts: bool) -> None:
    """By a process that goes on with the study too: it knows nothing of the time before."""
    asked: list[int] = []

    class Seldom:
        def point(self, number: int, space: ParameterSpace) -> None:
            asked.append(number)

    study = opened(InMemoryStorage())
    options: Any = {"start": Seldom(), "measure": lambda values: Size(1)}
    proposer = proposer_of(study, "tpe", **options)
    for number in range(3):
        claim = claimed(proposer.next(NETWORKS, None))
        assert claim.number == number
        claim.complete(0.5, [0.5], {})
        proposer = proposer_of(study, "tpe", **options) if restarts else proposer
    assert asked == [0, 1, 2]


def test_a_proposal_over_the_budget_is_made_narrower_and_trained_next() -> None:
    study = opened(InMemoryStorage())
    proposer = proposer_of(study, "tpe", narrower=Narrower(BUDGET, size_of))
    search(study, proposer, 40)
    trials = study.trials
    narrowed = [trial for trial in trials if "narrowed_from" in trial.user_attrs]
    assert len(narrowed) > 10
    for trial in narrowed:
        refused, proposed = trials[trial.number - 1].user_attrs, trial.user_attrs["narrowed_from"]
        assert refused["reason"] == "over_budget"
        assert refused["hyperparameters"] == {**trial.user_attrs["hyperparameters"], **proposed}
        assert trial.state == TrialState.COMPLETE
        assert trial.user_attrs["params"] <= 5000
    tried = [values_key(trial.user_attrs["hyperparameters"]) for trial in trials if is_trained(trial)]
    assert len(set(tried)) == 40


def test_what_is_narrowed_does_not_depend_on_restarts() -> None:
    def numbers(restarts: int) -> list[Any]:
        study = opened(InMemoryStorage())
        for trials in range(20 // restarts, 21, 20 // restarts):
            search(study, proposer_of(study, "tpe", narrower=Narrower(BUDGET, size_of)), trials)
        return [(trial.number, trial.params) for trial in study.trials]

    assert numbers(1) == numbers(4)
