"""What a study is made with: the arguments, checked, and the study that they open."""

from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from optuna.samplers import CmaEsSampler

from kerastuna.search import OptunaTuner
from kerastuna.search.errors import InputError, StudyError
from kerastuna.search.proposals.cautious_pruner import CautiousPruner
from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.study.budget import Budget, Size
from kerastuna.search.study.events import Announcer
from kerastuna.search.tuning.settings import OpenStudy, StudySettings, checked_seconds, study_settings

SCORE = keras_tuner.Objective("val_accuracy", "max")


def settings(**given: Any) -> StudySettings:
    return study_settings(SCORE, given)  # type: ignore[arg-type]


def space() -> ParameterSpace:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 9)
    return ParameterSpace(hp.space)


def opened(given: StudySettings, folder: Path, seed: int = 5) -> OpenStudy:
    return given.open(
        folder,
        "s",
        seed,
        space=space(),
        declared=[{"name": "width"}],
        size_at=lambda values: Size(100 * int(values["width"])),
        announcer=Announcer(),
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"infeasible": "see"}, 'infeasible=\'see\': give "hide" or "learn"'),
        ({"budget": "small"}, "budget='small': give a whole number of parameters, a Budget, or None"),
        ({"budget": 0}, "a budget of 0 parameters: give a whole number of at least 1"),
        ({"sampler": "bayes"}, "sampler 'bayes' is unknown"),
        ({"pruner": "hyper"}, "pruner 'hyper' is unknown"),
        ({"minimize": "params"}, "minimize='params' alone is no goal"),
        (
            {"minimize": "params", "reach": {"val_accuracy": 0.9}, "sampler": CmaEsSampler()},
            "sampler CMA-ES knows no target",
        ),
    ],
)
def test_what_is_not_allowed_is_told_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings(**given)


def test_the_costs_that_have_to_be_counted() -> None:
    assert settings().counted == set()
    assert settings(budget=100).counted == {"params"}
    assert settings(budget=Budget(macs=9), pareto=["val_accuracy", "ram"]).counted == {"macs", "ram"}


def test_the_record_of_a_search_holds_what_was_asked() -> None:
    assert settings().record() == {"objective": "val_accuracy", "sampler": "tpe", "pruner": "by the goal"}
    given = settings(budget=Budget(100, macs=9), minimize="params", reach={"val_accuracy": 0.9}, pruner="none")
    assert given.record() == {
        "objective": "val_accuracy",
        "sampler": "tpe",
        "pruner": "none",
        "budget": 100,
        "max_macs": 9,
        "minimize": "params",
        "reach": '{"val_accuracy": 0.9}',
    }


def test_the_pruner_is_made_for_the_epochs() -> None:
    assert isinstance(settings().pruner_of(20), CautiousPruner)
    assert not isinstance(settings().pruner_of(None), CautiousPruner)


def test_a_study_is_opened_again_by_the_same_settings_alone(tmp_path: Path) -> None:
    first = opened(settings(seed=3, budget=500), tmp_path)
    claim = first.proposer.next(space(), 1)
    assert claim is not None
    assert claim.attributes["params"] <= 500
    again = opened(settings(seed=3, budget=500), tmp_path)
    assert len(again.stored.trials()) == len(first.stored.trials())
    with pytest.raises(StudyError, match="budget: 500, now 600"):
        opened(settings(seed=3, budget=600), tmp_path)


@pytest.mark.parametrize(
    ("given", "closed", "narrows"),
    [
        ({}, True, True),
        ({}, False, False),  # each count would build a network
        ({"sampler": "random"}, True, False),
        ({"minimize": "params", "reach": {"val_accuracy": 0.5}}, True, False),  # the large ones are no use
    ],
)
def test_tpe_proposals_are_narrowed_in_closed_form_where_accuracy_is_all_that_counts(
    given: dict[str, Any], closed: bool, narrows: bool, tmp_path: Path
) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 99)
    hp.Float("rate", 0.0, 1.0)
    wide = ParameterSpace(hp.space)
    made = settings(budget=2000, pruner="none", **given)
    study = made.open(
        tmp_path,
        "s",
        0,
        space=wide,
        declared=[],
        size_at=lambda values: Size(100 * int(values["width"]), depth=1),
        is_closed_form=closed,
        announcer=Announcer(),
    )
    for _ in range(16):
        claim = study.proposer.next(wide, None)
        assert claim is not None
        score = float(claim.values["rate"])
        value = float(claim.values["width"]) * 100 if "minimize" in given else score
        claim.complete(score, [value], made.goal.constraints(score))
    narrowed = [trial for trial in study.stored.study.trials if "narrowed_from" in trial.user_attrs]
    assert bool(narrowed) == narrows


def test_a_seed_that_was_drawn_is_kept_with_the_study(tmp_path: Path) -> None:
    assert opened(settings(), tmp_path, seed=5).seed == 5
    assert opened(settings(), tmp_path, seed=6).seed == 5


def test_limits_without_anything_to_count_are_refused() -> None:
    with pytest.raises(InputError, match="macs, params are limited or optimised, but there is nothing to count them"):
        settings(budget=Budget(1, macs=2)).open(
            None, None, 0, space=space(), declared=None, size_at=None, announcer=Announcer()
        )


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "a\\b", "a\0b", "a\nb", "", "x" * 151, 7])
def test_the_name_of_a_study_is_held_to_the_rule_of_the_command(name: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^study_name=.*: give a name of at most 150 bytes"):
        settings(study_name=name)
    with pytest.raises(InputError, match=r"^project_name=.*: give a name of at most 150 bytes"):
        OptunaTuner(lambda hp: None, SCORE, directory=tmp_path / "new", project_name=name)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf"), True, "10m"])
def test_a_limit_for_trials_is_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(InputError, match=r"trial_timeout=.*: give seconds above 0, or None"):
        checked_seconds(seconds)
    assert (checked_seconds(None), checked_seconds(1), checked_seconds(0.5)) == (None, 1, 0.5)
