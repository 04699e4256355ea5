"""The sections of a model card on what was measured: on validation, on the test set, and how often that was opened."""

from collections.abc import Mapping
from typing import Any

from ..datasets.task import ACCURACY
from ..messages import counted, figure, number, signed
from ..study.budget import UNITS
from .markdown import facts, section, table, text
from .model_card_values import (
    Record,
    basis,
    count,
    deviation,
    goal_in,
    in_int8,
    is_in_int8,
    metric_in,
    metric_on_test,
    seeds,
    unit_in,
    values,
)


def metric_sections(record: Record) -> tuple[str, ...]:
    """The sections in their order; an empty string for a section that does not apply."""
    return _metrics(record), _validation(record), _test(record), _openings(record)


def _metrics(record: Record) -> str:
    unit, goal = unit_in(record), goal_in(record)
    error = f"The standard error is the uncertainty of a test figure that comes from the number of test {unit}."
    return section(
        "Metrics",
        " ".join(
            (
                f"Chosen {text(goal.selection)} at the last epoch, or at that whose weights a callback of the space "
                "restored.",
                *([f"Of {text(metric_in(record))}, less is better."] if goal.metric.direction == "min" else []),
                "Means and standard deviations (of the sample) are over seeds, which change the first weights and the "
                f"order of the {unit}.",
                *([] if record["test"] and record["test"]["standard_error"] is None else [error]),
            )
        ),
    )


def _validation(record: Record) -> str:
    goal, mean, metric = goal_in(record), record["validation"]["mean"], metric_in(record)
    costs, told = ["params"], ""
    if goal.target is not None:
        costs = list(dict.fromkeys(("params", *goal.costs)))
        verdict = "reaches it" if goal.is_met(mean) else "does not reach it"
        told = f" The target is {goal.target:g}: the mean {verdict}."
    shows_int8 = any(is_in_int8(candidate) for candidate in record["candidates"])
    rows = [
        (
            candidate["trial"],
            candidate["summary"],
            "yes" if candidate["trial"] == record["trial"] else "",
            *(count(candidate[cost]) for cost in costs),
            figure(candidate["search_value"], metric),
            figure(candidate["mean"], metric),
            deviation(candidate, metric),
            values(candidate["values"], metric),
            *([in_int8(candidate.get("int8"))] if shows_int8 else []),
        )
        for candidate in record["candidates"]
    ]
    words = [UNITS[cost] for cost in costs]
    columns = (
        *("trial", "network", "chosen", *words, "in the search", "mean", "std", f"over {seeds(record)}"),
        *(["mean in int8"] if shows_int8 else []),
    )
    return section(
        f"{_title(metric)} on validation {unit_in(record)}",
        f"{'The best trials' if goal.compares_by_metric else 'Trials'} of the search, trained again on the same fresh "
        f"seeds (profile {record['profile']}: {basis(record)}).",
        table(columns, rows, left=3),
        *(
            f"Left out, since it could not be trained again: {text(problem)}."
            for problem in record.get("diverged", {}).values()  # a record of an older version has none
        ),
        f"The search scored trial {record['trial']} at {figure(record['search_value'], metric)}; on fresh "
        f"seeds its mean is {figure(mean, metric)}. Search minus mean, the winner's curse: "
        f"{signed(record['winners_curse'], metric)}.{told}",
        *_on_int8(record["validation"]),
    )


def _test(record: Record) -> str:
    test, unit = record["test"], unit_in(record)
    if test is None:
        return section(f"{_title(metric_in(record))} on test {unit}", f"No test {unit} have been shown to this model.")
    metric, error = metric_on_test(record), test["standard_error"]
    rows = [
        ("mean", figure(test["mean"], metric)),
        ("standard deviation", deviation(test, metric)),
        ("smallest", figure(test["min"], metric)),
        ("largest", figure(test["max"], metric)),
        ("number of seeds", test["n"]),
        ("each seed", values(test["values"], metric)),
        ("the model that ships, of the first seed", figure(test["values"][0], metric)),
        (f"test {unit}", count(test["images"])),
        *([("mean in int8", in_int8(test["int8"]))] if is_in_int8(test) else []),
        *([] if error is None else [(f"standard error of the mean for so many {unit}", figure(error, metric))]),
        ("opening of the test set", test["opening"]),
    ]
    other = f" The model itself does not report {text(metric_in(record))}." if metric != metric_in(record) else ""
    return section(
        f"{_title(metric)} on test {unit}",
        f"Trained on {record['train_images_final']:,} {unit}, validation included, for "
        f"{counted(record['epochs'], 'epoch')}; profile {record['profile']}. "
        f"The model that ships was chosen before the test set was opened.{other}",
        facts(rows),
        *_on_int8(test),
        *_parts(record),
    )


def _parts(record: Record) -> tuple[str, str]:
    """The figures of the model that ships, class by class or number by number."""
    test, unit = record["test"], unit_in(record)
    if "per_number" in test:
        columns = {"mae": "mae", "rmse": "rmse", "r2": "r2", "bias": "bias", "spread": "std of the targets"}
        numbers = [(one["name"], *(number(one[key]) for key in columns)) for one in test["per_number"]]
        told = "The model that ships, number by number; bias is the mean of prediction minus target:"
        return told, table(("number", *columns.values()), numbers)
    classes = [(one["label"], count(one["images"]), figure(one["accuracy"], ACCURACY)) for one in test["per_class"]]
    return "The model that ships, class by class:", table(("class", f"test {unit}", "accuracy"), classes)


def _on_int8(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """How the figures in int8 came about, or why there are none; nothing where they were not asked for."""
    if (told := figures.get("int8")) is None:
        return ()
    if "missing" in told:
        return (f"In int8, as on a chip: not known, {text(told['missing'])}.",)
    return (
        "In int8, as on a chip: every model converted as `kerastuna export` does it and run in LiteRT; in brackets the "
        "difference from the same models in float.",
    )


def _title(metric: str) -> str:
    return "Accuracy" if metric == ACCURACY else text(metric)


def _openings(record: Record) -> str:
    openings = record["openings"]
    if not openings:
        return ""
    rows = [[entry[key] for key in ("opening", "time", "study", "trial", "purpose")] for entry in openings]
    told = "The test set was opened once for this study."
    if len(openings) > 1:
        told = (
            f"The test set was opened {len(openings)} times for this study. Each further opening makes its figures a "
            "little less reliable, because earlier results can influence later choices."
        )
    return section(
        "Openings of the test set", told, table(("opening", "time", "study", "trial", "what for"), rows, left=5)
    )
