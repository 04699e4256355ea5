"""What a search tries first: reference networks, and the best of another study."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from kerastuna.search import OptunaTuner
from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.commands.starting_points import check_begin_with, enqueue_starting_points
from kerastuna.search.errors import InputError, SpaceError, StudyError
from kerastuna.search.study.storage import open_storage
from kerastuna.spaces import Compact, ConvNet


def test_a_starting_point_that_a_fixed_value_changes_has_no_name(tmp_path: Path) -> None:
    tuner = OptunaTuner(ConvNet(), "val_accuracy", seed=0, directory=tmp_path, fixed={"head": "gap", "dropout": 0.1})
    enqueue_starting_points(tuner, SearchOptions())
    trials = tuner.oracle.study.trials
    assert [trial.user_attrs.get("name") for trial in trials] == [None, None, None, None, "eip_5"]
    assert "head" not in trials[0].system_attrs["fixed_params"]


def test_a_starting_point_gets_what_a_fixed_value_brings_into_play(tmp_path: Path) -> None:
    space = Compact(parameters=900)
    tuner = OptunaTuner(space, "val_accuracy", seed=0, directory=tmp_path, fixed={"optimizer": "adamw"})
    enqueue_starting_points(tuner, SearchOptions())
    params = [trial.system_attrs["fixed_params"] for trial in tuner.oracle.study.trials]
    assert [(given["adam_rate"], given["weight_decay"], "sgd_rate" in given) for given in params] == [
        (pytest.approx(0.01816, rel=1e-3), 0.01, False),  # the first has its own
        (0.01, 0.0, False),
        (0.01, 0.0, False),
    ]


def test_a_search_begins_with_the_best_of_another_study(searched: Any) -> None:
    def study(name: str) -> optuna.Study:
        return optuna.load_study(study_name=name, storage=open_storage(searched.folder / "mlruns" / "optuna.journal"))

    given = ("--study", "longer", "--begin-with", "tiny", "--trials", "1", "--no-confirm")
    status, out, err = searched.run(*searched.arguments, *given)
    assert status == 0, err
    [trial] = study("longer").trials
    assert trial.params == study("tiny").best_trial.params
    assert " --begin-with longer --profile full " in out
    status, _, err = searched.run(*searched.arguments, *given, "--trials", "2")
    assert status == 0, err
    assert ["fixed_params" in trial.system_attrs for trial in study("longer").trials].count(True) == 1
    # What it began with is in the study: the other one is not needed any more.
    status, _, err = searched.run(*searched.arguments, "--study", "longer", "--begin-with", "gone", "--trials", "2")
    assert status == 0, err


def test_a_search_without_a_name_that_has_begun_needs_no_other_study(tmp_path: Path) -> None:
    options = SearchOptions(storage=f"sqlite:///{tmp_path}/optuna.db", begin_with="gone", trials=7)
    storage = open_storage(options.storage_location)
    study = optuna.create_study(study_name="mnist-convnet", storage=storage)
    study.set_user_attr("request", replace(options, trials=5).request(options.resolved(on_gpu=False)))
    with pytest.raises(StudyError, match="gone"):
        check_begin_with(options)
    study.add_trial(optuna.create_trial(value=0.9))
    check_begin_with(options)
    for other in ({"budget": 14_000}, {"warm_start": False}):
        with pytest.raises(StudyError, match="gone"):
            check_begin_with(replace(options, **other))


def test_a_study_of_an_earlier_version_has_begun_too(tmp_path: Path) -> None:
    options = SearchOptions(storage=f"sqlite:///{tmp_path}/optuna.db", begin_with="gone")
    study = optuna.create_study(storage=open_storage(options.storage_location), study_name="mnist-convnet")
    request = options.request(options.resolved(on_gpu=False))
    study.set_user_attr("request", {name: value for name, value in request.items() if name != "warm_start"})
    study.add_trial(optuna.create_trial(value=0.9))
    check_begin_with(options)


def test_a_reference_that_the_other_study_has_too_is_enqueued_once(tmp_path: Path) -> None:
    options = SearchOptions(storage=f"sqlite:///{tmp_path}/optuna.db", begin_with="before")
    given: Any = {"seed": 0, "storage": options.storage, "directory": tmp_path, "max_trials": 9}
    before = OptunaTuner(ConvNet(), "val_accuracy", study_name="before", **given)
    study = before.oracle.study
    study.set_user_attr("request", {"space": options.space})
    eip_3 = dict(ConvNet().starting_points()["eip_3"])
    for name, dropout, value in (("eip_3", 0.1, 0.97), (None, 0.0, 0.98), (None, 0.05, 0.96)):
        attributes = {"hyperparameters": {**eip_3, "dropout": dropout}, **({} if name is None else {"name": name})}
        study.add_trial(optuna.create_trial(value=value, user_attrs=attributes))
    tuner = OptunaTuner(ConvNet(), "val_accuracy", study_name="after", **given)
    enqueue_starting_points(tuner, options)
    enqueued = [
        (trial.user_attrs.get("name"), trial.system_attrs["fixed_params"]["dropout"])
        for trial in tuner.oracle.study.trials
    ]
    assert enqueued == [*((f"eip_{number}", 0.1) for number in range(1, 6)), (None, 0.0), (None, 0.05)]


@pytest.fixture
def begun(tmp_path: Path) -> Callable[..., tuple[OptunaTuner, SearchOptions]]:
    """`begun(rates, **fixed)`: a tuner of a study without trials, that begins with one of networks of these dropouts.

    Of the study to begin with, the first network is the best. A name in place of a rate is that of a reference.
    """
    options = SearchOptions(storage=f"sqlite:///{tmp_path}/optuna.db", begin_with="before", warm_start=False)
    given: Any = {"seed": 0, "storage": options.storage, "directory": tmp_path}

    def begin(rates: Sequence[float | str], **fixed: Any) -> tuple[OptunaTuner, SearchOptions]:
        before = OptunaTuner(ConvNet(), "val_accuracy", study_name="before", **given).oracle.study
        before.set_user_attr("request", {"space": options.space})
        for place, rate in enumerate(rates):
            values = dict(ConvNet().starting_points()[rate if isinstance(rate, str) else "eip_3"])
            named = {"name": rate} if isinstance(rate, str) else {}
            values |= {} if isinstance(rate, str) else {"dropout": rate}
            attributes = {"hyperparameters": values, **named}
            before.add_trial(optuna.create_trial(value=0.9 - place / 100, user_attrs=attributes))
        tuner = OptunaTuner(ConvNet(), "val_accuracy", study_name="after", max_trials=3, fixed=fixed, **given)
        return tuner, options

    return begin


def dropouts(tuner: OptunaTuner) -> list[float]:
    """Of the networks that are tried first."""
    return [trial.system_attrs["fixed_params"]["dropout"] for trial in tuner.oracle.study.trials]


OUTSIDE = "hyperparameter 'dropout' = 7.0 is outside the space: give a number from 0.0 to 0.25 in steps of 0.05"


def test_networks_of_another_study_outside_the_space_are_passed_over(
    begun: Callable[..., tuple[OptunaTuner, SearchOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    tuner, options = begun([0.1, 7.0, 0.05, 8.0, 0.2, 9.0])
    enqueue_starting_points(tuner, options)
    assert dropouts(tuner) == [0.1, 0.05, 0.2]  # as many as there are to be trials
    assert capsys.readouterr().err == (
        f"--begin-with before: 2 of its 5 best networks are outside this space, and not tried (the first: {OUTSIDE})\n"
    )


def test_a_study_of_which_no_network_is_in_the_space_leaves_nothing_behind(
    begun: Callable[..., tuple[OptunaTuner, SearchOptions]],
) -> None:
    tuner, options = begun([7.0, 8.0])
    for warm_start in (False, True):
        with pytest.raises(InputError) as caught:
            enqueue_starting_points(tuner, replace(options, warm_start=warm_start))
        assert str(caught.value) == (
            f"--begin-with before: none of its networks is in this space (the first: {OUTSIDE}): leave it out, or give "
            "a study with networks of this space"
        )
    assert tuner.oracle.study.trials == []


def test_a_reference_of_the_other_study_is_tried_though_its_others_are_outside_the_space(
    begun: Callable[..., tuple[OptunaTuner, SearchOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    tuner, options = begun(["eip_3", 7.0])
    enqueue_starting_points(tuner, replace(options, warm_start=True))
    assert [trial.user_attrs["name"] for trial in tuner.oracle.study.trials] == list(ConvNet().starting_points())
    assert "--begin-with before: 1 of its 2 best networks is outside this space" in capsys.readouterr().err


def test_a_fixed_value_brings_a_network_of_another_study_into_the_space(
    begun: Callable[..., tuple[OptunaTuner, SearchOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    tuner, options = begun([7.0], dropout=0.1)
    enqueue_starting_points(tuner, options)
    assert len(tuner.oracle.study.trials) == 1
    assert capsys.readouterr().err == ""


def test_a_starting_point_outside_its_own_space_is_an_error_and_leaves_nothing_behind(
    begun: Callable[..., tuple[OptunaTuner, SearchOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner, options = begun([0.1])
    own = ConvNet().starting_points()
    wrong = {"eip_1": own["eip_1"], "eip_2": {**own["eip_2"], "dropout": 7.0}}
    monkeypatch.setattr(tuner.hypermodel, "starting_points", lambda: wrong)
    with pytest.raises(SpaceError, match=re.escape(OUTSIDE)):
        enqueue_starting_points(tuner, replace(options, warm_start=True))
    assert tuner.oracle.study.trials == []


def test_a_study_that_has_begun_tells_that_the_other_one_plays_no_part(
    begun: Callable[..., tuple[OptunaTuner, SearchOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    tuner, options = begun([0.1])
    enqueue_starting_points(tuner, options)
    assert capsys.readouterr().err == ""
    enqueue_starting_points(tuner, options)
    told = "--begin-with before adds nothing now: study 'after' has begun already, and goes on\n"
    assert capsys.readouterr().err == told
    enqueue_starting_points(tuner, replace(options, begin_with=None))
    assert capsys.readouterr().err == ""
    assert dropouts(tuner) == [0.1]


def test_a_study_that_a_search_cannot_begin_with(searched: Any) -> None:
    def line(*arguments: str) -> str:
        status, _, err = searched.run(*searched.arguments, "--study", "never", *arguments)
        assert status == 2
        return err.splitlines()[-1]

    assert line("--begin-with", "absent").startswith("kerastuna: ")
    assert line("--begin-with", "../tiny").startswith("kerastuna: --begin-with '../tiny' ")
    other = line("--begin-with", "tiny", "--space", "compact", "--data", "mnist")
    assert other == (
        "kerastuna: --begin-with tiny: it searched the space tiny_space_of_commands:build: give a study of the space "
        "kerastuna.spaces.compact:Compact"
    )
    assert "never" not in optuna.get_all_study_names(open_storage(searched.folder / "mlruns" / "optuna.journal"))
