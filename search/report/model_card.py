"""The model card of a champion (Mitchell et al., "Model Cards for Model Reporting", 2019), in Markdown.

Every number in it is read from the champion's record.
"""

import json
from collections.abc import Mapping
from typing import Any

from ..messages import redact
from ..study.budget import UNITS, as_budget
from .markdown import code, facts, section, table, text
from .model_card_code import loading

Record = Mapping[str, Any]


def model_card(record: Record) -> str:
    """The card of a champion, from the record that its confirmation made.

    Where the record has `layers`, by the contract of `kerastuna describe --json`, the card
    has the table of the architecture. What the record does not know is shown as unknown.
    """
    sections = (
        _introduction(record),
        _details(record),
        _architecture(record),
        _recipe(record),
        _intended_use(record),
        _data(record),
        _metrics(record),
        _validation(record),
        _test(record),
        _openings(record),
        _search(record),
        _limits(record),
        loading(record, redact(record["mlflow"]["tracking_uri"])),
        _lineage(record),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def _introduction(record: Record) -> str:
    data, search, limits = record["data"], record["search"], as_budget(record["budget"])
    size = "" if record["params"] is None else f" with {record['params']:,} parameters"
    title = f"# Model card: {text(record['study'])}"
    found = (
        f"A network{size} that sorts images of {text(data['name'])} into {data['classes']} classes. Kerastuna trained "
        f"{search['complete'] + search['pruned']:,} networks{f' of at most {limits}' if limits else ''}, "
        f"{_candidates(record)} again on {_seeds(record)} that the search had not used, and chose {_choice(record)}."
    )
    if record["profile"] != "quick":
        return f"{title}\n\n{found}"
    return (
        f"{title}\n\n{found}\n\n> **Every figure here is from the profile quick** ({_basis(record)}): it shows that "
        "the search works, not how good the network can be."
    )


def _candidates(record: Record) -> str:
    """Which trials were trained again."""
    n, metric = len(record["candidates"]), text(record["objective"])
    some = "the one" if n == 1 else f"the {n}"
    match record.get("goal"):
        case {"minimize": cost, "reach": [_, target]}:
            return f"{some} with the fewest {UNITS[cost]} among those that reached {metric} {target:g}"
        case {"pareto": parts}:
            names = [UNITS.get(name, text(name)) for name, _ in parts]
            return f"{some} with the best {metric} on the front of {', '.join(names[:-1])} and {names[-1]}"
        case _:
            return f"the best {n} of them"


def _choice(record: Record) -> str:
    """By what one of them was chosen."""
    match record.get("goal"):
        case {"minimize": cost, "reach": [_, target]} if record["reached"]:
            return f"the one with the fewest {UNITS[cost]} whose mean reaches {target:g}"
        case {"reach": [_, target]}:
            return f"the one whose mean comes closest to {target:g}: **none reaches it**"
        case _:
            return "by the mean"


def _details(record: Record) -> str:
    params, data, budget = record["params"], record["data"], as_budget(record["budget"])
    limits = {} if budget is None else budget.limits
    rows = [
        ("network", record["summary"] or None),
        ("input", f"float32 (n, {', '.join(map(str, data['input_shape']))})"),
        ("output", f"float32 (n, {data['classes']}), the probability of each class"),
        ("parameters", _count(params)),
        ("of them trainable", _count(record["trainable"])),
        ("of them not trainable", _count(record["non_trainable"])),
        ("bytes of the weights, float32", _count(params and 4 * params)),
        ("MACs per image", _count(record["macs"])),
        ("receptive field, pixels along one side", _receptive_field(record)),
        ("bytes of the largest input plus output of a layer, float32", _count(record.get("ram"))),
        *((f"limit: {UNITS[name]}", _count(limit)) for name, limit in limits.items()),
    ]
    return section("Model details", facts(rows))


def _receptive_field(record: Record) -> int | None:
    return max((layer["receptive_field"] for layer in record.get("layers") or ()), default=None)


def _architecture(record: Record) -> str:
    if not record.get("layers"):
        return ""
    rows = [
        (
            layer["name"],
            "x".join(map(str, layer["output_shape"])),
            _count(layer["params"]),
            _count(layer["macs"]),
            layer["receptive_field"],
        )
        for layer in record["layers"]
    ]
    rows.append(("total", "", _count(record["params"]), _count(record["macs"]), ""))
    return section("Architecture", table(("layer", "output shape", "parameters", "MACs", "receptive field"), rows))


def _recipe(record: Record) -> str:
    recipe = record["recipe"]
    training = f"{record['epochs']} epochs; the rest is in the space."
    if recipe is not None:
        rate = f"{recipe['decay_rate']:.4g}"
        decay = {
            "constant": "constant",
            "inverse_time": f"divided by 1 + {rate} e in epoch e, counted from 0",
            "exponential": f"multiplied by exp(-{rate} e) in epoch e, counted from 0",
            "cosine": "falling along half a cosine",
        }[recipe["decay"]]
        training = (
            f"Adam on the cross-entropy for {record['epochs']} epochs, in batches of {recipe['batch_size']} images. "
            f"Learning rate {recipe['learning_rate']:.4g}, {decay}. The weights are those of the last epoch."
        )
    values = code("json", json.dumps(record["hyperparameters"], indent=2))
    return section("Training recipe", training, f"Hyperparameters, in the space {text(record['space'])}:", values)


def _intended_use(record: Record) -> str:
    data = record["data"]
    shape = "x".join(map(str, data["input_shape"]))
    return section(
        "Intended use",
        f"Images of {shape} like those of {text(data['name'])}, on devices with little memory. Every image is given "
        f"one of {data['classes']} classes, also one that shows none of them. Nothing is known of images from "
        "elsewhere, nor of how errors fall on groups of people: measure both before a decision rests on an answer.",
    )


def _data(record: Record) -> str:
    data, test = record["data"], record["test"]
    split = f"{data['validation_fraction']:.0%} of the training part, stratified, split seed {data['split_seed']}"
    rows = [
        ("data set", data["name"]),
        ("SHA-256 of the training part", data["fingerprint"]),
        ("training images in search and confirmation", _count(data["images"])),
        ("validation images", f"{data['validation']:,}: {split}"),
        ("training images of the model that ships", f"{record['train_images_final']:,}: validation included"),
        ("test images", _count(test["images"]) if test else "not opened"),
        ("preprocessing", "integer pixels (0 to 255) divided by 255, floating point as it is"),
    ]
    return section("Data", facts(rows))


def _metrics(record: Record) -> str:
    metric = text(record["objective"])
    match record.get("goal"):
        case {"minimize": cost, "reach": [_, target]}:
            chosen = f"by the fewest {UNITS[cost]}, of those that reach {metric} {target:g}"
        case {"pareto": _}:
            chosen = f"from a front, by {metric}"
        case _:
            chosen = f"by {metric}"
    return section(
        "Metrics",
        f"Chosen {chosen} at the last epoch, never the best epoch. Means and standard deviations "
        "(of the sample) are over seeds, which change the first weights and the order of the images. The standard "
        "error tells how far the number of test images lets an accuracy be known.",
    )


def _validation(record: Record) -> str:
    costs, told = ["params"], ""
    match record.get("goal"):
        case {"minimize": cost, "reach": [_, target]}:
            costs = list(dict.fromkeys(("params", cost)))
            told = f" The target is {target:g}: the mean {'reaches it' if record['reached'] else 'does not reach it'}."
    rows = [
        (
            candidate["trial"],
            candidate["summary"],
            "yes" if candidate["trial"] == record["trial"] else "",
            *(_count(candidate[cost]) for cost in costs),
            _share(candidate["search_value"]),
            _share(candidate["mean"]),
            _deviation(candidate),
            ", ".join(map(_share, candidate["values"])),
        )
        for candidate in record["candidates"]
    ]
    words = [UNITS[cost] for cost in costs]
    columns = ("trial", "network", "chosen", *words, "in the search", "mean", "std", f"over {_seeds(record)}")
    return section(
        "Accuracy on validation images",
        f"{'Trials' if record.get('goal') else 'The best trials'} of the search, trained again on the same fresh seeds "
        f"(profile {record['profile']}: {_basis(record)}).",
        table(columns, rows, left=3),
        f"The search scored trial {record['trial']} at {_share(record['search_value'])}; on fresh seeds its "
        f"mean is {_share(record['validation']['mean'])}. Search minus mean, the winner's curse: "
        f"{record['winners_curse']:+.4f}.{told}",
    )


def _test(record: Record) -> str:
    test = record["test"]
    if test is None:
        return section("Accuracy on test images", "No test images have been shown to this model.")
    rows = [
        ("mean", _share(test["mean"])),
        ("standard deviation", _deviation(test)),
        ("smallest", _share(test["min"])),
        ("largest", _share(test["max"])),
        ("number of seeds", test["n"]),
        ("each seed", ", ".join(map(_share, test["values"]))),
        ("the model that ships, of the first seed", _share(test["values"][0])),
        ("test images", _count(test["images"])),
        ("standard error of the mean for so many images", _share(test["standard_error"])),
        ("opening of the test set", test["opening"]),
    ]
    classes = [(entry["label"], _count(entry["images"]), _share(entry["accuracy"])) for entry in test["per_class"]]
    return section(
        "Accuracy on test images",
        f"Trained on {record['train_images_final']:,} images, validation included, for {record['epochs']} epochs; "
        f"profile {record['profile']}. Which model ships was settled before the test set was opened.",
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
            "little less honest, since what was seen before has a part in what is chosen after."
        )
    return section(
        "Openings of the test set", told, table(("opening", "time", "study", "trial", "what for"), rows, left=5)
    )


def _search(record: Record) -> str:
    search = record["search"]
    rows = [
        ("trained to the end", _count(search["complete"])),
        ("stopped early", _count(search["pruned"])),
        ("failed", _count(search["failed"])),
        ("refused untrained: over the budget", _count(search["over_budget"])),
        ("refused untrained: infeasible", _count(search["infeasible"])),
        ("refused untrained: duplicate", _count(search["duplicate"])),
        ("seconds", f"{search['seconds']:,.0f}"),
        ("hardware", record["device"]),
        ("Keras backend", record["backend"]),
    ]
    return section(
        "Cost of the search", f"Without the confirmation; profile {record['profile']}: {_basis(record)}.", facts(rows)
    )


def _limits(record: Record) -> str:
    test = record["test"]
    spread = "their spread is itself rough" if record["validation"]["n"] > 1 else "their spread is unknown"
    limits = [
        f"The figures rest on {_seeds(record)}: {spread}.",
        f"The {record['data']['validation']:,} validation images chose the network: its accuracy on them flatters.",
    ]
    if record.get("reached") is False:
        limits.append("It was to reach a target, and on fresh seeds does not.")
    if record["profile"] == "quick":
        limits.append(f"Profile quick ({_basis(record)}): more of either changes every figure.")
    if test is None:
        limits.append("It was not measured on images that had no part in choosing it.")
    else:
        worst = min(test["per_class"], key=lambda entry: entry["accuracy"])
        limits.append(
            f"Class {worst['label']} is its hardest: {_share(worst['accuracy'])} of {worst['images']:,} images."
        )
        if test["opening"] > 1:
            limits.append(f"Its test figure is from opening {test['opening']} of the test set, not from the first.")
    limits.append("Probabilities are not calibrated; noise, rotation and images of another source were not tried.")
    return section("Limits", "\n".join(f"- {limit}" for limit in limits))


def _lineage(record: Record) -> str:
    mlflow = record["mlflow"]
    rows = [
        ("study", record["study"]),
        ("trial", record["trial"]),
        ("space", record["space"]),
        ("seeds", ", ".join(map(str, record["seeds"]))),
        ("MLflow run", mlflow["run_id"]),
        ("MLflow tracking", redact(mlflow["tracking_uri"])),
        ("registered model", mlflow["model"]),
        ("commit", record["git_commit"]),
        ("versions", record["versions"]),
    ]
    return section("Lineage", facts(rows))


def _basis(record: Record) -> str:
    return f"{record['data']['images']:,} training images, {record['epochs']} epochs"


def _seeds(record: Record) -> str:
    n = record["validation"]["n"]
    return "1 seed" if n == 1 else f"{n} seeds"


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def _share(value: float) -> str:
    return f"{value:.4f}"


def _deviation(spread: Mapping[str, Any]) -> str | None:
    """The standard deviation, which one value alone does not have."""
    return _share(spread["std"]) if spread["n"] > 1 else None
