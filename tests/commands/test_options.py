"""The options of a search: what is allowed, what profiles fill in, what makes the same study again."""

import json
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.commands.cli import COMMANDS
from kerastuna.search.commands.common import search_options
from kerastuna.search.commands.options import PROFILES, SearchOptions, objective_of
from kerastuna.search.commands.parser import make_parser
from kerastuna.search.errors import StudyError
from kerastuna.search.proposals.names import PRUNER_NAMES
from kerastuna.search.proposals.pruners import pruner_for
from kerastuna.search.study.budget import Budget
from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork
from kerastuna.spaces.errors import InputError

TARGET = {"val_accuracy": 0.9}
ACCURACY = Quantity("val_accuracy", "max")


@pytest.mark.parametrize(
    "name", ["budget", "max_macs", "max_ram", "images", "trials", "epochs", "timeout", "trial_timeout"]
)
@pytest.mark.parametrize("value", [0, -3, float("nan")])
def test_numbers_are_above_zero(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} {value}: give a number above 0"):
        SearchOptions(**{name: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "--seed -1: give a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "--seed 4294967296: give a whole number from 0 to 4294967295"),
        ({"profile": "fast"}, "--profile fast: choose one of auto, quick, full"),
        ({"sampler": "bayes"}, "--sampler bayes: choose one of tpe, random, gp, cmaes, nsga2, qmc"),
        ({"pruner": "axe"}, "--pruner axe: choose one of halving, hyperband, median, none"),
        ({"task": "ranking"}, "--task ranking: choose one of auto, classification, regression"),
        ({"objective": "accuracy"}, "objective 'accuracy' is measured on the samples of the training: give val_accur"),
        ({"objective": "score"}, "objective 'score': give the name of a metric that the training reports"),
        ({"objective": "val_f1:up"}, "objective 'val_f1:up': give the name of a metric"),
        ({"objective": ":max"}, "objective ':max': give the name of a metric"),
        (
            {"pareto": ["val_accuracy"]},
            "--pareto val_accuracy: give a metric, such as val_accuracy, and one or more of",
        ),
        ({"pareto": ["params", "macs"]}, "--pareto params,macs: give a metric, such as val_accuracy, and one or more"),
        ({"pareto": ["val_accuracy", "wit"]}, "objective 'wit': give the name of a metric"),
        ({"pareto": ["val_accuracy", "macs", "macs"]}, "--pareto val_accuracy,macs,macs: give a metric, such as"),
        ({"minimize": "params"}, "--minimize and --reach belong together"),
        ({"reach": TARGET}, "--minimize and --reach belong together"),
        ({"minimize": "bytes", "reach": TARGET}, "--minimize bytes: choose one of params, macs, ram"),
        ({"minimize": "params", "reach": {"wit": 0.9}}, "objective 'wit': give the name of a metric"),
        ({"minimize": "params", "reach": {"wit:max": 0.9}}, "--reach wit:max: give one metric whose name tells"),
        ({"pareto": ["val_accuracy", "macs"], "minimize": "params", "reach": TARGET}, "--pareto and --reach exclude"),
        ({"objective": "val_loss", "minimize": "params", "reach": TARGET}, "--objective and --reach exclude"),
    ],
)
def test_what_is_not_allowed_is_told_with_what_is(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        SearchOptions(**given)
    assert str(caught.value).startswith(message)


def test_a_part_of_a_front_that_is_no_metric_is_refused_with_the_costs() -> None:
    with pytest.raises(
        InputError, match=r"^objective 'param': .*; the costs are params, macs, ram, flash, activations$"
    ):
        SearchOptions(pareto=["val_accuracy", "param"])


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("val_accuracy", ("val_accuracy", "max")),
        ("val_mae", ("val_mae", "min")),
        ("val_f1_score:min", ("val_f1_score", "min")),
        ("wit:max", ("wit", "max")),
    ],
)
def test_an_objective_is_a_name_and_a_direction(text: str, objective: tuple[str, str]) -> None:
    assert objective_of(text) == objective


@pytest.mark.parametrize(
    ("options", "metrics"),
    [
        (SearchOptions(), ()),
        (SearchOptions(objective="val_mae"), ("val_mae",)),
        (SearchOptions(pareto=("params", "val_mae", "wit:max")), ("val_mae", "wit:max")),
        (SearchOptions(minimize="macs", reach={"val_mae": 2.0}), ("val_mae",)),
    ],
)
def test_the_metrics_that_were_named(options: SearchOptions, metrics: tuple[str, ...]) -> None:
    assert options.metrics == metrics


@pytest.mark.parametrize(
    ("given", "goal"),
    [
        ({"objective": "val_mae"}, "val_mae"),
        ({"objective": "wit:max"}, "wit-max"),
        ({"objective": "wit:min"}, "wit-min"),
        ({"pareto": ("wit:min", "macs")}, "pareto-wit-min-macs"),
        ({"minimize": "params", "reach": {"val_accuracy": 0.95}}, "least-params-val_accuracy-0.95"),
        ({"minimize": "params", "reach": {"val_accuracy": 0.951}}, "least-params-val_accuracy-0.951"),
        ({"minimize": "params", "reach": {"val_loss": 0.95}}, "least-params-val_loss-0.95"),
        ({"minimize": "macs", "reach": {"val_mae": 2}}, "least-macs-val_mae-2.0"),
    ],
)
def test_the_goal_is_in_the_name_of_the_study_with_its_target_and_direction(given: dict[str, Any], goal: str) -> None:
    assert SearchOptions(**given).study_name("t", "mine", "quick") == f"t-mine-15000-quick-{goal}"


def test_the_arguments_are_what_differs_from_the_defaults() -> None:
    assert SearchOptions().arguments() == {}
    given = SearchOptions(
        data="my set.npz",
        budget=900,
        trials=3,
        minimize="params",
        reach={"val_accuracy": 0.9},
        storage="postgresql://me:secret@host/db",
        warm_start=False,
        folder=Path("r"),
    )
    assert given.arguments("trials") == {
        "data": "my set.npz",
        "budget": "900",
        "minimize": "params",
        "reach": "val_accuracy=0.9",
        "storage": "postgresql://me:***@host/db",
        "warm_start": "False",
        "folder": "r",
    }
    assert SearchOptions(pareto=["val_accuracy", "params"]).arguments() == {"pareto": "val_accuracy,params"}


@pytest.mark.parametrize("name", ["", "  "])
def test_a_study_has_a_name(name: str) -> None:
    with pytest.raises(StudyError, match="is empty"):
        SearchOptions(study=name)


def test_the_extremes_are_allowed() -> None:
    SearchOptions(seed=2**32 - 1, budget=1, images=1, trials=1, epochs=1, timeout=0.001)


def test_the_device_decides_the_profile_unless_it_is_given() -> None:
    assert SearchOptions().resolved(on_gpu=False) == PROFILES["quick"]
    assert SearchOptions().resolved(on_gpu=True) == PROFILES["full"]
    assert SearchOptions(profile="full").resolved(on_gpu=False) == PROFILES["full"]
    assert SearchOptions(profile="quick").resolved(on_gpu=True) == PROFILES["quick"]


def test_what_is_given_stands_in_place_of_the_profiles_numbers() -> None:
    profile = SearchOptions(profile="full", images=10, epochs=2).resolved(on_gpu=False)
    assert (profile.name, profile.images, profile.epochs) == ("full", 10, 2)
    assert profile.trials == PROFILES["full"].trials


def test_a_study_is_named_after_what_it_is_about() -> None:
    assert SearchOptions(budget=99).study_name("mnist", "convnet", "quick") == "mnist-convnet-99-quick"
    assert SearchOptions(study="mine").study_name("mnist", "convnet", "quick") == "mine"
    limited = SearchOptions(max_macs=3_000_000, max_ram=65_536, pareto=["val_accuracy", "macs"])
    name = limited.study_name("mnist", "convnet", "quick")
    assert name == "mnist-convnet-15000-3000000macs-65536ram-quick-pareto-val_accuracy-macs"
    smallest = SearchOptions(minimize="ram", reach=TARGET).study_name("mnist", "convnet", "quick")
    assert smallest == "mnist-convnet-15000-quick-least-ram-val_accuracy-0.9"
    assert limited.limits == Budget(15_000, 3_000_000, 65_536)
    fixed = SearchOptions(fix={"augment": "none", "dropout": "0.1"}).study_name("mnist", "compact", "full")
    assert fixed == "mnist-compact-15000-full-augment-none-dropout-0.1"


def test_a_study_that_is_another_one_has_another_name() -> None:
    usual = SearchOptions(epochs=5, images=4000, seed=0, trials=99, workers=1).study_name("mnist", "convnet", "quick")
    assert usual == "mnist-convnet-15000-quick"
    other = SearchOptions(epochs=5, images=4000, seed=7).study_name("mnist", "convnet", "full")
    assert other == "mnist-convnet-15000-full-epochs-5-images-4000-seed-7"
    table = SearchOptions(task="classification", target="grade").study_name("wine", "rows", "quick")
    assert table == "wine-rows-15000-quick-task-classification-target-grade"
    searched_otherwise = SearchOptions(seed=7, sampler="random", pruner="median", warm_start=False, begin_with="s")
    name = searched_otherwise.study_name("mnist", "convnet", "quick")
    assert name == "mnist-convnet-15000-quick-seed-7-sampler-random-pruner-median-no-warm-start"


@pytest.mark.parametrize(
    ("goal", "description"),
    [
        ({}, BestMetric(ACCURACY)),
        ({"pareto": ("val_accuracy", "params")}, ParetoFront(ACCURACY, (ACCURACY, Quantity("params", "min")))),
        ({"minimize": "params", "reach": TARGET}, SmallestNetwork(ACCURACY, "params", 0.9)),
    ],
)
def test_a_pruner_is_in_the_name_unless_it_is_the_one_that_suits_the_goal(
    goal: dict[str, Any], description: Goal
) -> None:
    usual = SearchOptions(**goal).study_name("mnist", "convnet", "quick")
    for pruner in PRUNER_NAMES:
        name = SearchOptions(**goal, pruner=pruner).study_name("mnist", "convnet", "quick")
        try:
            is_usual = type(pruner_for(description, pruner, None)) is type(pruner_for(description, None, None))
        except InputError:
            continue  # the goal allows no such pruner
        assert name == (usual if is_usual else f"{usual}-pruner-{pruner}")


@pytest.mark.parametrize(
    "given",
    [
        {"sampler": "random", "pruner": "none", "warm_start": False},
        {"minimize": "params", "reach": {"val_accuracy": 0.95}},
        {"objective": "wit:max", "begin_with": "s"},
        {"pareto": ("val_accuracy", "params"), "pruner": "none"},
    ],
    ids=["sampler", "target", "direction", "front"],
)
def test_the_same_command_names_the_same_study(given: dict[str, Any]) -> None:
    options = SearchOptions(**given)
    typed = options.arguments()
    arguments = [part for name, value in typed.items() if name != "warm_start" for part in _option(name, value)]
    parser = make_parser(dict.fromkeys(COMMANDS, lambda options: 0))
    again = search_options(parser.parse_args(["search", *arguments, *(["--no-warm-start"] * ("warm_start" in typed))]))
    assert again.study_name("d", "s", "full") == options.study_name("d", "s", "full")


def _option(name: str, value: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", value


@pytest.mark.parametrize(
    ("options", "smaller"),
    [
        (SearchOptions(budget=99), False),
        (SearchOptions(pareto=["val_accuracy", "val_loss"]), False),
        (SearchOptions(pareto=["val_accuracy", "macs"]), True),
        (SearchOptions(minimize="params", reach=TARGET), True),
    ],
)
def test_networks_below_the_budget_are_looked_for_where_a_cost_is_a_goal(options: SearchOptions, smaller: bool) -> None:
    assert options.wants_smaller == smaller


def test_a_study_is_kept_in_the_folder_unless_it_is_elsewhere() -> None:
    assert SearchOptions(folder=Path("runs")).storage_location == Path("runs/optuna.journal")
    assert SearchOptions(storage="sqlite:///x.db").storage_location == "sqlite:///x.db"


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(),
        SearchOptions(profile="full", images=500, seed=7, sampler="random", pruner="none", budget=300),
        SearchOptions(space="m:S", data="m:d", trials=3, epochs=4),
        SearchOptions(
            max_macs=5,
            max_ram=6000,
            max_flash=7000,
            max_activations=8,
            board="rpi-pico",
            pareto=("val_accuracy", "params"),
        ),
        SearchOptions(minimize="macs", reach=TARGET),
        SearchOptions(fix={"augment": "none", "optimizer": "adam"}),
        SearchOptions(warm_start=False),
    ],
    ids=["default", "full", "own", "front", "target", "fixed", "cold"],
)
def test_a_request_makes_the_same_study_again(options: SearchOptions) -> None:
    profile = options.resolved(on_gpu=False)
    again = SearchOptions(**json.loads(json.dumps(options.request(profile))))
    assert again.resolved(on_gpu=True) == profile
    assert json.dumps(again.request(profile)) == json.dumps(options.request(profile))
    assert again.limits == options.limits
    assert again.study_name("d", "s", profile.name) == options.study_name("d", "s", profile.name)


def test_what_leads_another_command_to_the_study_and_to_mlflow() -> None:
    assert SearchOptions().location_arguments == SearchOptions().tracking_arguments == ""
    assert SearchOptions(folder=Path("my runs")).location_arguments == " --folder 'my runs'"
    options = SearchOptions(
        storage="postgresql://me:secret@host/db", folder=Path("r"), tracking_uri="https://me:secret@host/mlflow"
    )
    assert options.location_arguments == " --storage 'postgresql://me:***@host/db' --folder r"
    assert options.tracking_arguments == " --tracking-uri 'https://me:***@host/mlflow'"
