"""The end of a search, as JSON and for people."""

import io
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from kerastuna.search.display.summary import (
    Commands,
    SearchResult,
    champion_json,
    champion_lines,
    counts_line,
    failures,
    print_summary,
    search_json,
)
from kerastuna.search.study.budget import Budget
from kerastuna.search.tracking.runs import StudyRun

CHAMPION: dict[str, Any] = {
    "trial": 1,
    "params": 1234,
    "summary": "16 | gap",
    "data": {"input_shape": [28, 28, 1], "classes": 10},
    "objective": "val_accuracy",
    "search_value": 0.96,
    "winners_curse": 0.01,
    "validation": {"mean": 0.95, "std": 0.002, "n": 2, "values": [0.948, 0.952]},
    "test": {
        **{"mean": 0.94, "std": 0.001, "min": 0.939, "max": 0.941, "n": 2},
        **{"opening": 1, "images": 200, "standard_error": 0.0168},
    },
    "train_images_final": 600,
    "mlflow": {"model": "models:/one@champion"},
    "model_path": "mlruns/champions/one/champion.keras",
}
ERROR = 'Traceback (most recent call last):\n  File "a.py", line 1, in build\nValueError: no width\n'


OWN = Commands(
    program="bin/kerastuna",
    location=" --folder runs",
    tracking=" --tracking-uri sqlite:///own.db",
    ui="bin/kerastuna ui",
    export=None,
    full="bin/kerastuna search --data a --profile full",
)


def study_of(*made: dict[str, Any], goal: dict[str, Any] | None = None) -> optuna.Study:
    study = optuna.create_study(storage=InMemoryStorage(), study_name="one", directions=directions(goal))
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"], "goal": goal, "budget": 15000})
    for trial in made:
        study.add_trial(optuna.create_trial(**trial))
    return study


def directions(goal: dict[str, Any] | None) -> list[Literal["maximize", "minimize"]]:
    return ["maximize", "minimize"] if goal and "pareto" in goal else ["maximize"]


def complete(*values: float, **attributes: Any) -> dict[str, Any]:
    told = {"params": 1234, "macs": 99, "ram": 77, "score": values[0], "hyperparameters": {"n": 1}} | attributes
    return {"state": TrialState.COMPLETE, "values": list(values), "user_attrs": told}


def failed(reason: str = "error", message: str = ERROR) -> dict[str, Any]:
    return {"state": TrialState.FAIL, "user_attrs": {"reason": reason, "message": message}}


def refused(reason: str) -> dict[str, Any]:
    return {"state": TrialState.PRUNED, "user_attrs": {"reason": reason, "params": 20_000}}


def result_of(study: optuna.Study, **given: Any) -> SearchResult:
    defaults: dict[str, Any] = {
        **{
            "profile": "quick",
            "epochs": 5,
            "images": 4000,
            "unit": "images",
            "closed_form": True,
            "champion": None,
            "limits": Budget(15000),
        },
        **{"tracking_uri": "postgresql://me:secret@host/db", "study_run": StudyRun("7", "abc", "one"), "seconds": 61.5},
    }
    return SearchResult(study=study, **defaults | given)


def printed(result: SearchResult) -> str:
    out = io.StringIO()
    print_summary(result, OWN, out)
    return out.getvalue()


def test_search_json_by_the_contract() -> None:
    study = study_of(complete(0.9), complete(0.96), refused("over_budget"))
    assert search_json(result_of(study, champion=CHAMPION)) == {
        "study": "one",
        "profile": "quick",
        "trials": {"complete": 2, "pruned": 0, "failed": 0, "over_budget": 1, "infeasible": 0, "duplicate": 0},
        "failures": {},
        "best": {"trial": 1, "value": 0.96, "params": 1234, "hyperparameters": {"n": 1}},
        "champion": champion_json(CHAMPION),
        "mlflow": {"tracking_uri": "postgresql://me:***@host/db", "run_id": "abc"},
        "seconds": 61.5,
    }
    nothing = search_json(result_of(study_of(failed())))
    assert (nothing["best"], nothing["champion"], nothing["failures"]) == (None, None, {"error": 1})


def test_a_front_is_in_the_json() -> None:
    goal = {"pareto": [["val_accuracy", "max"], ["params", "min"]]}
    study = study_of(complete(0.9, 500, params=500), complete(0.8, 600, params=600), complete(0.7, 100), goal=goal)
    assert sorted(search_json(result_of(study))["front"]) == [0, 2]
    assert "bin/kerastuna export --study one --folder runs --trial N" in printed(result_of(study))


def test_champion_json_by_the_contract() -> None:
    assert champion_json(CHAMPION) == {
        "trial": 1,
        "params": 1234,
        "validation": {"mean": 0.95, "std": 0.002, "n": 2, "int8": None},
        "test": {
            **{"mean": 0.94, "std": 0.001, "min": 0.939, "max": 0.941, "n": 2, "opening": 1, "metric": "accuracy"},
            "int8": None,
        },
        "model": "models:/one@champion",
    }
    assert champion_json(CHAMPION | {"test": None})["test"] is None


def test_candidates_that_diverged_are_told() -> None:
    told = champion_lines(CHAMPION | {"diverged": {"3": "trial 3 with seed 7: loss is nan"}})
    assert "  left out: trial 3 with seed 7: loss is nan" in told


def test_champion_lines() -> None:
    assert champion_lines(CHAMPION) == [
        "champion: trial 1, 1,234 parameters  16 | gap",
        "  validation 95.00 % +- 0.20 over 2 fresh seeds; in the search 96.00 %, +1.00 points",
        "  test 94.00 % +- 0.10 (93.90 % to 94.10 %) over 2 models trained on 600 images, validation included; opening "
        "1 of the test set; the standard error of its 200 images is 1.68",
        "  model models:/one@champion, file mlruns/champions/one/champion.keras",
    ]
    untested = champion_lines(CHAMPION | {"test": None, "params": None, "validation": {"mean": 0.95, "n": 1}})
    assert untested[0] == "champion: trial 1  16 | gap"
    assert untested[1].startswith("  validation 95.00 % over 1 fresh seed;")
    assert untested[2] == "  test: the data set has no test part"


def test_a_champion_whose_space_has_no_words_for_it_is_called_by_its_hyperparameters() -> None:
    champion = CHAMPION | {"summary": "", "hyperparameters": {"layers": 1, "units0": 20}}
    assert champion_lines(champion)[0] == "champion: trial 1, 1,234 parameters  layers=1, units0=20"
    assert champion_lines(champion | {"hyperparameters": {}})[0] == "champion: trial 1, 1,234 parameters"


def in_int8(validation: Any, test: Any) -> dict[str, Any]:
    return CHAMPION | {
        "validation": {**CHAMPION["validation"], "int8": validation},
        "test": test and {**CHAMPION["test"], "int8": test},
    }


def test_what_int8_costs_is_a_line_and_in_the_json() -> None:
    validation = {"metric": "accuracy", "values": [0.9465], "mean": 0.9465, "float_mean": 0.95, "change": -0.0035}
    test = {"metric": "mae", "values": [0.51234], "mean": 0.51234, "float_mean": 0.5, "change": 0.01234}
    lines = champion_lines(in_int8(validation, test))
    told = (
        "  int8 validation 94.65 % (-0.35), test mae 0.5123 (+0.01234): means, beside those of the same models in float"
    )
    assert lines[3] == told
    assert champion_json(in_int8(validation, test))["validation"]["int8"] == validation
    assert champion_json(in_int8(validation, test))["test"]["int8"] == test
    why = {"missing": "needs ai_edge_litert: pip install 'PATH/TO/kerastuna[export]'"}
    assert champion_lines(in_int8(why, why))[3:-1] == [f"  int8: not known, {why['missing']}"]
    assert champion_lines(in_int8(validation, why))[3:-1] == [
        "  int8 validation 94.65 % (-0.35): means, beside those of the same models in float",
        f"  int8: not known, {why['missing']}",
    ]
    optimised = in_int8(validation, test) | {"objective": "val_accuracy_int8"}
    assert champion_lines(optimised)[1].startswith(
        "  validation in int8 95.00 % +- 0.20 over 2 fresh seeds; in the search"
    )
    assert champion_lines(in_int8(validation, None))[2:4] == [
        "  test: the data set has no test part",
        "  int8 validation 94.65 % (-0.35): means, beside those of the same models in float",
    ]


OF_NUMBERS = {
    "data": {"input_shape": [13], "numbers": 1},
    "objective": "val_mae",
    "search_value": 0.00001234,
    "winners_curse": -0.00000111,
    "validation": {"mean": 0.00001345, "std": 0.00000222, "n": 2},
    "test": {
        **{"metric": "mae", "mean": 12.5, "std": 0.25, "min": 12.25, "max": 12.75, "n": 2},
        **{"opening": 1, "images": 200, "standard_error": None},
    },
}


def test_champion_lines_of_a_network_that_predicts_numbers_have_no_percent_and_no_images() -> None:
    lines = champion_lines(CHAMPION | OF_NUMBERS)
    assert lines[1:3] == [
        "  validation mae 1.345e-05 +- 2.220e-06 over 2 fresh seeds; in the search 1.234e-05, -1.110e-06 against the "
        "mean",
        "  test mae 12.50 +- 0.2500 (12.25 to 12.75) over 2 models trained on 600 rows, validation included; opening 1 "
        "of the test set; on its 200 rows",
    ]
    with_error = OF_NUMBERS | {"test": OF_NUMBERS["test"] | {"standard_error": 0.5}}
    assert champion_lines(CHAMPION | with_error)[2].endswith("the standard error of its 200 rows is 0.5000")
    assert champion_json(CHAMPION | OF_NUMBERS)["test"]["metric"] == "mae"


def test_counts_line() -> None:
    trials = study_of(complete(0.9), failed(), refused("duplicate"), refused("over_budget")).trials
    assert counts_line(trials) == (
        "1 complete, 0 stopped early, 1 failed (1 error); refused untrained: 1 over budget, 1 duplicate"
    )
    told = counts_line(study_of(*map(failed, ["interrupted", "out_of_memory", "interrupted", "not_finite"])).trials)
    assert "4 failed (2 interrupted, 1 not finite, 1 out of memory); " in told
    assert counts_line([]) == "0 complete, 0 stopped early, 0 failed; refused untrained: none"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ([failed()], "trial 0 failed; the last error: ValueError: no width"),
        ([failed(), failed()], "2 trials failed, none was trained; the last error: ValueError: no width"),
        ([failed(), complete(0.9)], ""),
        ([failed("interrupted"), failed("timeout")], ""),
        ([], ""),
    ],
)
def test_failures(made: list[dict[str, Any]], told: str) -> None:
    assert failures(study_of(*made).trials) == told


def test_the_summary_for_people() -> None:
    study = study_of(complete(0.9), complete(0.96))
    text = printed(result_of(study))
    assert text.index("0.9600") < text.index("0.9000")
    assert "2 complete, 0 stopped early, 0 failed; refused untrained: none; this call took 62 s" in text
    assert "every figure: profile quick, 4,000 training images, 5 epochs" in text
    assert "http://127.0.0.1:5000/#/experiments/7/runs" in text
    assert "secret" not in text
    of_rows = printed(result_of(study, unit="rows"))
    assert "4,000 training rows, 5 epochs; the table shows one seed, on the validation rows" in of_rows
    assert "images" not in of_rows
    commands = [line.split("   ")[0].strip() for line in text[text.index("next:") :].splitlines()[1:]]
    assert commands == [
        "bin/kerastuna ui",
        "bin/kerastuna trials --study one --folder runs",
        "bin/kerastuna describe --study one --folder runs --trial N",
        "bin/kerastuna confirm --study one --folder runs --tracking-uri sqlite:///own.db",
        "bin/kerastuna search --data a --profile full",
    ]


def test_the_summary_goes_on_from_a_champion() -> None:
    text = printed(result_of(study_of(complete(0.96)), champion=CHAMPION, profile="full"))
    assert "champion: trial 1, 1,234 parameters" in text
    assert "bin/kerastuna export --study one --folder runs" in text
    assert "confirm" not in text
    assert "--profile full" not in text


def test_the_summary_suggests_nothing_that_would_do_something_else() -> None:
    study = study_of(complete(0.96))
    assert "describe" not in printed(result_of(study, closed_form=False))
    out = io.StringIO()
    by_make = Commands("bin/kerastuna", "", "", "make ui", "make export", "make search PROFILE=full")
    print_summary(result_of(study, champion=CHAMPION), by_make, out)
    assert "  make export  " in out.getvalue()
    on_server = printed(result_of(study, tracking_uri="https://me:secret@host/mlflow"))
    assert "  https://me:***@host/mlflow/#/experiments/7/runs" in on_server
    assert "bin/kerastuna ui" not in on_server


def test_a_search_that_did_not_beat_its_reference_says_so() -> None:
    told = "the search began with eip_3, and found nothing that is better"
    study = study_of(complete(0.9), complete(0.96, name="eip_3"))
    assert f"trial 1: {told}" in printed(result_of(study))
    assert "began with" not in printed(result_of(study_of(complete(0.97), complete(0.96, name="eip_3"))))
    assert "began with" not in printed(result_of(study, champion=CHAMPION))  # fresh seeds decided otherwise
    lines = champion_lines(CHAMPION | {"reference": "eip_3"})
    assert lines[:2] == ["champion: trial 1, reference network eip_3, 1,234 parameters  16 | gap", f"  {told}"]


def test_the_model_file_is_told_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "mlruns" / "champions" / "one" / "champion.keras"
    [line] = [line for line in champion_lines(CHAMPION | {"model_path": str(model)}) if "file" in line]
    assert line.endswith("file mlruns/champions/one/champion.keras")
    [line] = [line for line in champion_lines(CHAMPION | {"model_path": "/elsewhere/champion.keras"}) if "file" in line]
    assert line.endswith("file /elsewhere/champion.keras")
