"""The sections of a model card on accuracy: metrics, validation images, test images, openings of the test set."""

from ..study.budget import UNITS
from .markdown import facts, section, table, text
from .model_card_values import Record, basis, count, deviation, goal_in, seeds, share


def metric_sections(record: Record) -> tuple[str, ...]:
    """The sections in their order; an empty string for a section that does not apply."""
    return _metrics(record), _validation(record), _test(record), _openings(record)


def _metrics(record: Record) -> str:
    return section(
        "Metrics",
        f"Chosen {text(goal_in(record).selection)} at the last epoch, never the best epoch. Means and standard "
        "deviations (of the sample) are over seeds, which change the first weights and the order of the images. The "
        "standard error is the uncertainty of an accuracy that comes from the number of test images.",
    )


def _validation(record: Record) -> str:
    goal, mean = goal_in(record), record["validation"]["mean"]
    costs, told = ["params"], ""
    if goal.target is not None:
        costs = list(dict.fromkeys(("params", *goal.costs)))
        verdict = "reaches it" if goal.is_met(mean) else "does not reach it"
        told = f" The target is {goal.target:g}: the mean {verdict}."
    rows = [
        (
            candidate["trial"],
            candidate["summary"],
            "yes" if candidate["trial"] == record["trial"] else "",
            *(count(candidate[cost]) for cost in costs),
            share(candidate["search_value"]),
            share(candidate["mean"]),
            deviation(candidate),
            ", ".join(map(share, candidate["values"])),
        )
        for candidate in record["candidates"]
    ]
    words = [UNITS[cost] for cost in costs]
    columns = ("trial", "network", "chosen", *words, "in the search", "mean", "std", f"over {seeds(record)}")
    return section(
        "Accuracy on validation images",
        f"{'The best trials' if goal.compares_by_metric else 'Trials'} of the search, trained again on the same fresh "
        f"seeds (profile {record['profile']}: {basis(record)}).",
        table(columns, rows, left=3),
        f"The search scored trial {record['trial']} at {share(record['search_value'])}; on fresh seeds its "
        f"mean is {share(mean)}. Search minus mean, the winner's curse: "
        f"{record['winners_curse']:+.4f}.{told}",
    )


def _test(record: Record) -> str:
    test = record["test"]
    if test is None:
        return section("Accuracy on test images", "No test images have been shown to this model.")
    rows = [
        ("mean", share(test["mean"])),
        ("standard deviation", deviation(test)),
        ("smallest", share(test["min"])),
        ("largest", share(test["max"])),
        ("number of seeds", test["n"]),
        ("each seed", ", ".join(map(share, test["values"]))),
        ("the model that ships, of the first seed", share(test["values"][0])),
        ("test images", count(test["images"])),
        ("standard error of the mean for so many images", share(test["standard_error"])),
        ("opening of the test set", test["opening"]),
    ]
    classes = [(entry["label"], count(entry["images"]), share(entry["accuracy"])) for entry in test["per_class"]]
    return section(
        "Accuracy on test images",
        f"Trained on {record['train_images_final']:,} images, validation included, for {record['epochs']} epochs; "
        f"profile {record['profile']}. The model that ships was chosen before the test set was opened.",
        facts(rows),
        "The model that ships, class by class:",
        table(("class", "test images", "accuracy"), classes),
    )


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
