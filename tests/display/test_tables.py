"""The tables that people read: which columns a study has, what they say, and that they keep whole numbers."""

import io
import re

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from kerastuna.search.display.tables import (
    console,
    export_table,
    layer_table,
    leaderboard_table,
    reproduction_table,
    studies_table,
    trials_table,
)
from kerastuna.search.study.budget import Budget
from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork
from kerastuna.search.study.records import full_record
from kerastuna.spaces.architecture import Activation, Architecture, Conv2D, Dense, Flatten
from kerastuna.spaces.cost import cost as cost_of

ACCURACY = Quantity("val_accuracy", "max")
PARAMS, MACS = Quantity("params", "min"), Quantity("macs", "min")
BEST = BestMetric(ACCURACY)
FRONT = ParetoFront(ACCURACY, (ACCURACY, PARAMS))
SMALLEST = SmallestNetwork(ACCURACY, "macs", 0.95)
NETWORK = "48-26 | p12 | 16-32-p16 | pool+dense"


def trials_of(goal: Goal) -> list[FrozenTrial]:
    """Three complete trials, one that was stopped, and a proposal that breaks every limit."""
    study = optuna.create_study(storage=InMemoryStorage(), directions=goal.directions)
    for score, params, macs in ((0.97, 12_345, 2_345_678), (0.96, 6_789, 1_234_567), (0.94, 8_000, 345_678)):
        costs = {"params": params, "macs": macs, "ram": 98_765}
        values = [costs.get(part.name, score) for part in goal.quantities]
        told = costs | {"score": score, "summary": NETWORK, "seconds": 12.3, "history": [{}] * 5}
        study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, values=values, user_attrs=told))
    stopped = {"reason": "stopped_early", "params": 500, "macs": 400_000, "ram": 10_000, "summary": "4 | gap"}
    study.add_trial(
        optuna.create_trial(state=TrialState.PRUNED, user_attrs=stopped, intermediate_values={1: 0.5, 2: 0.96})
    )
    refused = stopped | {"reason": "over_budget", "limits": ["params", "macs", "ram"], "params": 1_234_567}
    study.add_trial(optuna.create_trial(state=TrialState.PRUNED, user_attrs=refused))
    return study.trials


def shown(table: Table, width: int = 140) -> list[str]:
    """The lines of `table` on a console of so many columns: title, head, rows."""
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def words(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


@pytest.mark.parametrize(
    ("goal", "budget", "columns"),
    [
        (BEST, Budget(15_000), "trial val_accuracy params MACs epochs seconds network"),
        (BEST, Budget(15_000, ram=100_000), "trial val_accuracy params MACs RAM epochs seconds network"),
        (BEST, None, "trial val_accuracy params MACs epochs seconds network"),
        (FRONT, Budget(15_000), "trial val_accuracy params MACs epochs seconds network"),
        (
            ParetoFront(ACCURACY, (ACCURACY, Quantity("ram", "min"))),
            None,
            "trial val_accuracy params MACs RAM epochs seconds network",
        ),
        (SMALLEST, Budget(15_000), "trial val_accuracy reaches params MACs seconds network"),
    ],
)
def test_the_leaderboard_has_the_columns_that_its_study_is_about(goal: Goal, budget: Budget | None, columns: str):
    assert words(shown(leaderboard_table(trials_of(goal), goal, budget=budget))[1]) == columns.split()


def test_a_front_of_two_metrics_shows_both():
    goal = ParetoFront(ACCURACY, (Quantity("val_loss", "min"), ACCURACY))
    study = optuna.create_study(directions=goal.directions)
    study.add_trial(optuna.create_trial(values=[0.25, 0.9], user_attrs={"score": 0.9, "params": 30}))
    _, names, row = shown(leaderboard_table(study.trials, goal))
    assert words(names)[:4] == ["trial", "val_accuracy", "val_loss", "params"]
    assert words(row)[:4] == ["0", "0.9000", "0.2500", "30"]


@pytest.mark.parametrize(
    ("goal", "title", "order"),
    [
        (BEST, "best 3 of 3 complete trials", [0, 1, 2]),
        (FRONT, "2 of 2 trials on the front of val_accuracy, params", [0, 1]),
        (SMALLEST, "3 of 3 complete trials; 2 reach val_accuracy 0.95, least MACs first", [1, 0, 2]),
        (
            SmallestNetwork(ACCURACY, "params", 0.965),
            "3 of 3 complete trials; 1 reaches val_accuracy 0.965, least params first",
            [0, 1, 2],
        ),
        (
            SmallestNetwork(ACCURACY, "params", 0.99),
            "3 of 3 complete trials; 0 reach val_accuracy 0.99, the closest first",
            [0, 1, 2],
        ),
    ],
)
def test_the_leaderboard_says_what_it_shows(goal: Goal, title: str, order: list[int]):
    first, _, *rows = shown(leaderboard_table(trials_of(goal), goal))
    assert first == title
    assert [int(words(row)[0]) for row in rows] == order


def test_the_leaderboard_of_a_target_tells_what_reaches_it():
    _, _, *rows = shown(leaderboard_table(trials_of(SMALLEST), SMALLEST))
    assert [words(row)[:6] for row in rows] == [
        ["1", "0.9600", "yes", "6,789", "1,234,567", "12"],
        ["0", "0.9700", "yes", "12,345", "2,345,678", "12"],
        ["2", "0.9400", "no", "8,000", "345,678", "12"],
    ]


def test_a_loss_has_four_significant_digits_and_the_smallest_is_first():
    goal = BestMetric(Quantity("val_loss", "min"))
    study = optuna.create_study(storage=InMemoryStorage(), directions=goal.directions)
    for loss in (1234.56, 0.00001234, 0.5):
        told = {"params": 1, "macs": 1, "ram": 1, "score": loss, "summary": NETWORK, "seconds": 1.0}
        study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=loss, user_attrs=told))
    _, _, *rows = shown(leaderboard_table(study.trials, goal))
    assert [words(row)[:2] for row in rows] == [["1", "1.234e-05"], ["2", "0.5000"], ["0", "1,235"]]
    _, _, *rows = shown(trials_table([*map(full_record, study.trials)], goal))
    assert [word for row in rows for word in words(row) if "." in word] == ["1.234e-05", "0.5000"]


@pytest.mark.parametrize("goal", [BEST, FRONT, SMALLEST], ids=["best", "front", "smallest"])
def test_no_number_is_cut_in_80_columns(goal: Goal):
    trials = trials_of(goal)
    budget = Budget(15_000, macs=3_000_000, ram=100_000)
    text = "\n".join(shown(leaderboard_table(trials, goal, budget=budget), 80))
    for number in ("0.9700", "12,345", "2,345,678", "98,765", "val_accuracy"):
        assert number in text
    assert "…" not in text


@pytest.mark.parametrize("goal", [BEST, FRONT, SMALLEST], ids=["best", "front", "smallest"])
def test_every_trial_has_one_line_in_80_columns(goal: Goal):
    title, head, *rows = shown(trials_table([*map(full_record, trials_of(goal))], goal), 80)
    assert title == "5 trials; value: val_accuracy"
    assert words(head) == ["trial", "ended", "value", "params", "MACs", "epochs", "s", "network"]
    assert [words(row)[:5] for row in rows[:2]] == [
        ["0", "complete", "0.9700", "12,345", "2.35 M"],
        ["1", "complete", "0.9600", "6,789", "1.23 M"],
    ]
    assert words(rows[3])[:5] == ["3", "stopped early", "0.9600", "500", "400 k"]
    assert words(rows[4])[:4] == ["4", "over params, MACs, RAM", "1,234,567", "400 k"]
    assert len(rows) == 5


def test_a_trial_that_was_refused_or_failed_tells_why():
    study = optuna.create_study(storage=InMemoryStorage(), direction="maximize")
    message = "the 3x3 window of Conv2D would shrink a 1x1 map below one pixel"
    for state, told in (
        (TrialState.PRUNED, {"reason": "infeasible", "message": message}),
        (TrialState.PRUNED, {"reason": "over_budget", "limits": ["params"], "params": 20_000, "summary": NETWORK}),
        (TrialState.FAIL, {"reason": "out_of_memory", "message": "no room", "summary": NETWORK}),
        (TrialState.FAIL, {}),
    ):
        study.add_trial(optuna.create_trial(state=state, user_attrs=told))
    *_, infeasible, over, failed, unknown = shown(trials_table([*map(full_record, study.trials)], BEST))
    assert infeasible.split("  ")[-1].strip() == message
    assert words(over)[1:] == ["over budget", "20,000", NETWORK]
    assert words(failed)[1:] == ["failed: out of memory", NETWORK]
    assert words(unknown)[1:] == ["failed"]


def test_costs_are_short():
    costs = [record | {"macs": macs} for record in [full_record(trials_of(BEST)[0])] for macs in MACS_SHOWN]
    *_, first, second, third, fourth = shown(trials_table(costs, BEST))
    assert [words(row)[4] for row in (first, second, third, fourth)] == list(MACS_SHOWN.values())


MACS_SHOWN = {999: "999", 12_345: "12.3 k", 999_600: "1 M", 4_321_000_000: "4.32 G"}


def test_a_network_without_a_summary_is_shown_by_its_hyperparameters():
    study = optuna.create_study(storage=InMemoryStorage(), direction="maximize")
    told = {"score": 0.9, "hyperparameters": {"units": 12, "activation": "relu"}}
    study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=0.9, user_attrs=told))
    _, _, row = shown(leaderboard_table(study.trials, BEST))
    assert row.endswith("units=12, activation=relu")


def test_layers_are_listed_with_their_sum():
    architecture = Architecture((8, 8, 1), (Conv2D(2), Flatten(), Dense(10), Activation("softmax")))
    title, head, *rows = shown(layer_table("trial 3", cost_of(architecture)))
    assert title == "trial 3"
    assert words(head) == ["layer", "output shape", "params", "MACs", "receptive field"]
    assert [words(row)[1:] for row in rows[:1]] == [["6x6x2", "20", "648", "3"]]
    assert words(rows[-1]) == ["total", "750", "1,368"]  # 72 inputs to 10 units, with biases


def test_studies_are_listed_with_their_best():
    row = {"trained": 3, "refused": 2, "failed": 0, "last_trial": "2026-11-20 09:00"}
    rows = [
        row | {"name": "mnist", "best": 0.98765},
        row | {"name": "small", "best": 12_345},
        row | {"name": "[red]", "best": None, "last_trial": None},
    ]
    title, head, *listed = shown(studies_table(rows))
    assert title == "3 studies"
    assert shown(studies_table(rows[:1]))[0] == "1 study"
    assert words(head) == ["study", "trained", "refused", "failed", "best", "last trial"]
    assert [words(line) for line in listed] == [
        ["mnist", "3", "2", "0", "0.9877", "2026-11-20 09:00"],
        ["small", "3", "2", "0", "12,345", "2026-11-20 09:00"],
        ["[red]", "3", "2", "0"],  # shown as it is, not taken for a colour
    ]


def test_an_export_is_listed_format_by_format():
    test = {"agreement": 0.9962, "largest_difference": 0.16, "accuracy": 0.9852}
    manifest = {
        "task": {"classes": 10},
        "input": {"shape": ["n", 28, 28, 1]},
        "formats": {
            "onnx": {"bytes": 65_580, "passed": True, "test": test | {"images": 900}, "milliseconds_per_image": 0.0871},
            "litert": {
                **{
                    "bytes": 1_000,
                    "flash_bytes": 1_000,
                    "passed": False,
                    "arena_bytes": 152_960,
                    "runtime": "LiteRT 2",
                },
                "validation": test | {"images": 1_234},
            },
            "c_array": {"bytes": 2_000, "flash_bytes": 333, "passed": None},
            "c_program": {"bytes": 3_000, "constant_bytes": 222, "passed": None, "arena_bytes": 111},
        },
        "skipped": {"savedmodel": "no TensorFlow"},
    }
    title, head, *rows = shown(export_table(manifest, "export/mnist"), 160)
    assert title == "export/mnist: checked against Keras"
    told = [
        "format",
        "file bytes",
        "flash",
        "passed",
        "agrees",
        "largest difference",
        "accuracy",
        "ms per image",
        "arena",
    ]
    assert words(head) == told
    assert [words(row) for row in rows] == [
        ["onnx", "65,580", "yes", "99.62%", "1.6e-01", "0.9852", "0.087"],
        ["litert", "1,000", "1,000", "NO", "99.62%", "1.6e-01", "0.9852", "152,960"],
        ["c_array", "2,000 (text)", "333", "not checked"],
        ["c_program", "3,000 (text)", "222 + code", "not checked", "111"],
        ["savedmodel", "left out: no TensorFlow"],
        ["onnx: 900 test images in an unnamed runtime"],
        ["litert: 1,234 validation images in LiteRT 2"],
        ["flash and arena in bytes: tflite-micro's without its own code; c_program needs no runtime"],
    ]


def test_an_export_of_predicted_numbers_is_listed_with_its_errors():
    figures = {"images": 70, "mae": 12.3456, "keras_mae": 12.3, "mae_lost_of_spread": 0.001, "largest_difference": 0.16}
    manifest = {
        "task": {"numbers": 1},
        "input": {"shape": ["n", 8]},
        "formats": {
            "onnx": {"bytes": 65_580, "passed": True, "validation": figures, "milliseconds_per_image": 0.0871},
            "litert": {"bytes": 5, "passed": False, "validation": figures | {"mae": None}},
        },
        "skipped": {},
    }
    _, head, *rows = shown(export_table(manifest, "out"))
    assert words(head) == [
        "format",
        "file bytes",
        "flash",
        "passed",
        "largest difference",
        "mae",
        "ms per row",
        "arena",
    ]
    assert [words(row) for row in rows] == [
        ["onnx", "65,580", "yes", "1.6e-01", "12.35", "0.087"],
        ["litert", "5", "NO", "1.6e-01"],
        ["onnx, litert: 70 validation rows in an unnamed runtime"],
    ]


ODD = "[/a][keras]:rocket:"
"""What rich would take for markup and an emoji."""


@pytest.mark.parametrize("out", [console(io.StringIO()), Console(file=io.StringIO(), width=140)], ids=["own", "rich's"])
def test_names_are_shown_as_they_are(out: Console):
    metric = Quantity(f"val_{ODD}", "max")
    goal = BestMetric(metric)
    study = optuna.create_study(storage=InMemoryStorage(), directions=goal.directions)
    told = {"score": 0.9, "summary": NETWORK + ODD, "reason": f"re_{ODD}"}
    study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=0.9, user_attrs=told))
    study.add_trial(optuna.create_trial(state=TrialState.FAIL, user_attrs=told))
    row = {"trained": 3, "refused": 2, "failed": 0, "best": 0.5, "last_trial": ODD, "name": ODD}
    manifest = {
        "task": {"classes": 10},
        "input": {"shape": ["n", 8]},
        "formats": {ODD: {"bytes": 1, "passed": None, "test": {"images": 9}, "runtime": ODD}},
        "skipped": {f"no{ODD}": f"needs {ODD}"},
    }
    reference = {
        **{"name": ODD, "params": {"total": 1, "trainable": 1, "non_trainable": 0}, "published_params": None},
        **{"epochs": 1, "images": 1, "test": {"n": 1, "mean": 0.5, "std": None, "published": 0.5}},
    }
    architecture = Architecture((8, 8, 1), (Flatten(), Dense(10), Activation("softmax")))
    for table, times in (
        (leaderboard_table(study.trials, goal), 2),
        (trials_table([*map(full_record, study.trials)], goal), 5),
        (layer_table(ODD, cost_of(architecture)), 1),
        (studies_table([row]), 2),
        (export_table(manifest, ODD), 6),
        (reproduction_table([reference]), 1),
    ):
        with out.capture() as capture:
            out.print(table)
        assert capture.get().count(ODD) == times, capture.get()
    assert console(io.StringIO()).render_str(ODD).plain == ODD


def test_a_table_steers_no_terminal():
    row = {"trained": 3, "refused": 2, "failed": 0, "best": 0.5, "last_trial": None}
    *_, first, second = shown(studies_table([row | {"name": "a\x1b[31mb"}, row | {"name": "c\nd"}]))
    assert words(first)[0] == "a [31mb"
    assert words(second)[0] == "c d"


def test_a_file_gets_140_columns():
    assert console(io.StringIO()).width == 140


def test_a_table_in_a_notebook_is_plain_text(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter does
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    text = io.StringIO()
    manifest = {
        "task": {"classes": 10},
        "input": {"shape": ["n", 8]},
        "formats": {},
        "skipped": {"onnx": "needs tf2onnx"},
    }
    console(text).print(export_table(manifest, "export/one"))
    assert "needs tf2onnx" in text.getvalue()
    assert "\x1b" not in text.getvalue()


class Unread(io.StringIO):
    """A pipe that was closed at its other end."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_table_that_nobody_reads_is_a_broken_pipe_as_any_other_output() -> None:
    with pytest.raises(BrokenPipeError):
        console(Unread()).print("a row")
