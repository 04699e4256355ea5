"""Every point of a finite space once: the sampler "grid", and Optuna's GridSampler and BruteForceSampler."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from optuna.samplers import BruteForceSampler, GridSampler
from tuner_support import complete_all

from kerastuna.search import OptunaOracle
from kerastuna.search.errors import SearchFailed, SpaceError
from kerastuna.search.proposals.distributions import ParameterSpace, values_key
from kerastuna.search.proposals.grid import LARGEST_GRID, Grid
from kerastuna.search.study.budget import Size
from kerastuna.spaces.errors import InputError

Declare = Callable[[keras_tuner.HyperParameters], Any]


def declare_few(hp: keras_tuner.HyperParameters) -> None:
    hp.Int("width", 4, 32, step=4)
    hp.Choice("kind", ["a", "b", "c"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("extra", 1, 3)


def hyperparameters(declare: Declare) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return hp


def space(declare: Declare) -> ParameterSpace:
    return ParameterSpace(hyperparameters(declare).space)


FEW = space(declare_few)
"""8 widths, with three kinds, one of which has 3 values of its own: 40 points."""


def make(folder: Path, sampler: Any, declare: Declare = declare_few, budget: int = 2000, **given: Any) -> OptunaOracle:
    oracle = OptunaOracle(
        **{
            "objective": keras_tuner.Objective("score", "max"),
            "max_trials": 100,
            "seed": 0,
            "sampler": sampler,
            "pruner": "none",
            "budget": budget,
            "measure": lambda hp, costs: Size(100 * int(hp.values.get("width", 1))),
            "hyperparameters": hyperparameters(declare),
        }
        | given
    )
    oracle._set_project_dir(folder, "project")
    oracle.verbose = 0
    return oracle


def run(oracle: OptunaOracle) -> list[dict[str, Any]]:
    return complete_all(oracle, lambda values: 0.0)


def keys(points: list[dict[str, Any]]) -> set[str]:
    return set(map(values_key, points))


def listed(declare: Declare) -> list[dict[str, Any]]:
    points = space(declare).points(1000)
    assert points is not None
    return points


@pytest.mark.parametrize("sampler", ["grid", BruteForceSampler])
@pytest.mark.filterwarnings("ignore:BruteForceSampler is experimental")
def test_every_point_within_the_budget_is_tried_once_and_the_search_ends(tmp_path: Path, sampler: Any) -> None:
    oracle = make(tmp_path, sampler if sampler == "grid" else sampler())
    done = run(oracle)
    assert len(done) == len(keys(done)) == 25
    assert keys(done) == keys([point for point in listed(declare_few) if point["width"] <= 20])
    reasons = [trial.user_attrs.get("reason") for trial in oracle.study.trials]
    assert (reasons.count(None), reasons.count("over_budget")) == (25, 15)


def test_the_seed_shuffles_the_order(tmp_path: Path) -> None:
    first, same, other = (
        run(make(tmp_path / name, "grid", seed=seed)) for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    )
    assert first == same != other
    assert keys(first) == keys(other)
    assert first != sorted(first, key=lambda point: [point["width"], point["kind"]])


def test_another_process_goes_on(tmp_path: Path) -> None:
    whole = run(make(tmp_path / "whole", "grid"))
    parts = [run(make(tmp_path / "parts", "grid", max_trials=end)) for end in (7, 8, 100)]
    assert [len(part) for part in parts] == [7, 1, 17]
    assert [point for part in parts for point in part] == whole


def test_a_thousand_refusals_in_a_row_do_not_end_it(tmp_path: Path) -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("width", 1, 1200)

    assert [point["width"] for point in run(make(tmp_path, "grid", declare, budget=100))] == [1]
    with pytest.raises(SearchFailed, match="all networks of the space did not fit 99 parameters"):
        run(make(tmp_path / "none", "grid", declare, budget=99))


def test_what_was_enqueued_comes_first_and_is_not_repeated(tmp_path: Path) -> None:
    oracle = make(tmp_path, "grid")
    wanted = {"width": 12, "kind": "a", "extra": 2}
    oracle.enqueue(wanted)
    done = run(oracle)
    assert done[0] == wanted
    assert len(done) == len(keys(done)) == 25


def test_what_an_interruption_freed_is_offered_again() -> None:
    grid = Grid(0)
    settled: set[str] = set()
    order = []
    while (point := grid.next(FEW, lambda values: values_key(values) in settled)) is not None:
        order.append(point)
        settled.add(values_key(point))
    assert len(order) == 40
    settled.remove(values_key(order[3]))
    assert grid.next(FEW, lambda values: values_key(values) in settled) == order[3]


def test_hyperparameters_that_show_up_later_join_it(tmp_path: Path) -> None:
    oracle = make(tmp_path, "grid")
    trial = oracle.create_trial("tuner0")
    later = trial.hyperparameters
    later.Boolean("late")
    oracle.update_space(later)
    oracle.update_trial(trial.trial_id, {"score": 0.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    done = [dict(trial.hyperparameters.values), *run(oracle)]
    assert len(done) == len(keys(done)) == 50


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda hp: (hp.Int("width", 1, 9), hp.Float("rate", 0.1, 1.0), hp.Float("decay", 0.1, 1.0)),
            "sampler grid cannot try every value of 'rate', 'decay', which has more than 100,000: give it a step or",
        ),
        (
            lambda hp: [hp.Int(f"width_{index}", 0, 9) for index in range(6)],
            "sampler grid cannot list this space, which has more than 100,000 points: give its hyperparameters fewer",
        ),
    ],
)
def test_a_space_that_is_no_grid_is_refused_before_the_first_trial(
    tmp_path: Path, declare: Declare, message: str
) -> None:
    oracle = make(tmp_path, "grid", declare)
    with pytest.raises(InputError, match=message):
        oracle.create_trial("tuner0")
    assert not list(tmp_path.rglob("*.journal"))


def test_the_limit_is_what_the_message_says() -> None:
    points = space(lambda hp: [hp.Int(f"width_{index}", 0, 9) for index in range(5)])
    Grid(0).check(points)
    assert LARGEST_GRID == 100_000


def test_the_values_of_optunas_grid_sampler(tmp_path: Path) -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("width", 4, 32, step=4)
        hp.Float("rate", 1e-4, 1.0, sampling="log")
        hp.Int("units", 1, 64, step=4, sampling="log")
        hp.Fixed("fixed", 7)

    grid = {"width": [28, 8, 8, 4], "rate": [0.1, 0.01], "units": [1, 64], "not_here": [1]}
    done = run(make(tmp_path, GridSampler(grid), declare))
    assert keys(done) == keys(
        [
            {"width": width, "rate": rate, "units": units, "fixed": 7}
            for width in (4, 8)
            for rate in (0.1, 0.01)
            for units in (1, 64)
        ]
    )
    assert len(done) == 8


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"width": [4]}, InputError, "sampler GridSampler has no values for 'extra', 'kind': give some for every"),
        (
            {"width": [5], "kind": ["a"], "extra": [1]},
            SpaceError,
            "'width' = 5 is outside the space: give a whole number from 4 to 32 in steps of 4",
        ),
    ],
)
def test_a_grid_sampler_that_does_not_suit_the_space(
    tmp_path: Path, grid: dict[str, Any], error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(tmp_path, GridSampler(grid)).create_trial("tuner0")
