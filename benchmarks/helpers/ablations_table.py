"""The table of ablations: accuracies of a champion and its variants, and their differences by the seed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from kerastuna.search.messages import counted
from kerastuna.search.report.markdown import table

CHAMPION = "champion"
"""Its name among its variants."""

Values = Mapping[str, Any]

HOW_TO_READ = """\
n counts the seeds. Behind an accuracy, +- is the standard deviation of the sample. A difference is the mean, over the
seeds, of the accuracy less that of the champion on the same seed; its +- is the standard error: the standard deviation
of these differences, divided by the root of n. With five seeds, chance alone puts one difference of twenty beyond 2.8
standard errors. The champion is favoured: its other values were found together with those that are changed here, and
it was chosen by its accuracy on images of which some or all are those of this validation. A network that changes fills
its share of the same budget: its other layers get wider or narrower.
"""


@final
@dataclass(frozen=True)
class Effect:
    """What a variant has on `n` seeds, as shares from 0 to 1; None where there are too few.

    Attributes:
        mean, deviation: of its accuracies; the deviation is that of the sample.
        difference, error: mean of the differences to the champion on the same seed, and its standard error.
    """

    n: int
    mean: float | None
    deviation: float | None
    difference: float | None
    error: float | None


def effect(accuracies: Mapping[int, float], of_champion: Mapping[int, float]) -> Effect:
    """What a variant has, from the accuracies by seed."""
    differences = [accuracy - of_champion[seed] for seed, accuracy in accuracies.items() if seed in of_champion]
    difference, spread = _mean_and_deviation(differences)
    error = None if spread is None else spread / math.sqrt(len(differences))
    return Effect(len(accuracies), *_mean_and_deviation([*accuracies.values()]), difference, error)


def _mean_and_deviation(values: Sequence[float]) -> tuple[float | None, float | None]:
    return statistics.fmean(values) if values else None, statistics.stdev(values) if len(values) > 1 else None


def effects(trainings: Sequence[Values]) -> dict[str, Effect]:
    """By name: the champion, then the variants from the one that loses most to the one that gains most."""
    by_seed: dict[str, dict[int, float]] = {CHAMPION: {}}
    for one in trainings:
        known = by_seed.setdefault(one["variant"], {})
        if one["accuracy"] is not None:
            known[one["seed"]] = one["accuracy"]
    found = {name: effect(known, by_seed[CHAMPION]) for name, known in by_seed.items()}
    ranked = sorted(found, key=lambda name: (found[name].difference is None, found[name].difference))
    return {name: found[name] for name in dict.fromkeys([CHAMPION, *ranked])}


def told_change(changed: Values, values: Values) -> str:
    """What is changed of the champion's `values`."""
    return ", ".join(f"{name} {_plain(values.get(name))} to {_plain(now)}" for name, now in changed.items())


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def with_spread(mean: float | None, spread: float | None, form: str) -> str:
    """A mean and what is behind its +-, in percentage points."""
    return "-" if mean is None else format(100 * mean, form) + ("" if spread is None else f" +- {100 * spread:.2f}")


def markdown(told: Mapping[str, Any]) -> str:
    """The table of the results, and what it was made with."""
    setting, trainings = told["setting"], told["trainings"]
    columns = ["variant", "what is changed", "parameters", "MACs", "validation accuracy, %", "n"]
    columns += ["difference, points", "processor s a training"]
    rows = []
    for name, found in effects(trainings).items():
        variant, own = told["variants"][name], [one for one in trainings if one["variant"] == name]
        failed = f" ({len(own) - found.n} failed)" if len(own) > found.n else ""
        row = [name, told_change(variant["changed"], setting["values"])]
        row += [f"{variant['parameters']:,}", f"{variant['macs']:,}"]
        row += [with_spread(found.mean, found.deviation, ".2f"), f"{found.n}{failed}"]
        row += ["-" if name == CHAMPION else with_spread(found.difference, found.error, "+.2f")]
        rows.append([*row, f"{statistics.fmean(one['seconds'] for one in own):.1f}" if own else "-"])
    seeds, folds = ", ".join(map(str, sorted({one["seed"] for one in trainings}))), setting.get("folds")
    validated = f"the {setting['validated']:,} validation images"
    if folds is not None:
        validated = (
            f"the {setting['validated']:,} images that are held out, the part n % {folds} of {folds} for the seed n"
        )
    machines = "; ".join(sorted({one["hardware"] for one in trainings}))
    text = [
        f"The champion, `{told['variants'][CHAMPION]['network']}`, and variants of it with one thing changed:",
        f"{setting['images']:,} training images of MNIST, {counted(setting['epochs'], 'epoch')}, the same seeds for",
        f"all ({seeds}). The accuracy is that of the last epoch on {validated};",
        f"the test images were not read. {machines}; {setting['backend']}; {told['versions']}; {told['date']}.",
    ]
    commands = "\n".join(f"    {command}" for command in told["commands"])
    parts = [f"# What matters of {setting['champion']}", commands, " ".join(text), table(columns, rows, left=2)]
    return "\n\n".join([*parts, HOW_TO_READ])
