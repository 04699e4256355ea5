"""The model card of a champion (Mitchell et al., "Model Cards for Model Reporting", 2019), in Markdown.

Every number in it is read from the champion's record.
"""

import json

from ..datasets.checks import PREPROCESSING
from ..datasets.task import ACCURACY, Regression
from ..messages import counted, figure, number, redact
from ..study.budget import UNITS, as_budget
from ..study.reasons import REJECTIONS
from .markdown import code, facts, section, table, text
from .model_card_code import loading
from .model_card_metrics import metric_sections
from .model_card_recipe import training
from .model_card_values import (
    Record,
    basis,
    count,
    goal_in,
    hardest_number,
    meaning_of_answers,
    metric_in,
    sample_in,
    seeds,
    task_in,
    unit_in,
)


def model_card(record: Record) -> str:
    """The card of a champion, from the record that its confirmation has written.

    If the record has `layers`, in the form of `kerastuna describe --json`, the card has a table of the architecture.
    Values that are None in the record are shown as unknown.
    """
    sections = (
        _introduction(record),
        _details(record),
        _architecture(record),
        _recipe(record),
        _intended_use(record),
        _data(record),
        *metric_sections(record),
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
    candidates = text(goal_in(record).selected(len(record["candidates"])))
    trained = search["complete"] + search["pruned"]
    source = f"{unit_in(record)} of {text(data['name'])}"
    match task_in(record):
        case Regression(numbers=numbers):
            purpose = f"predicts {_numbers(numbers)} for {source}"
        case _:
            purpose = f"sorts {source} into {data['classes']} classes"
    found = (
        f"A network{size} that {purpose}. Kerastuna trained "
        f"{trained:,} network{'' if trained == 1 else 's'}{f' of at most {limits}' if limits else ''}, "
        f"{candidates} again on {seeds(record)} that the search had not used, and chose {_choice(record)}."
    )
    if record["profile"] != "quick":
        return f"{title}\n\n{found}"
    return (
        f"{title}\n\n{found}\n\n> **Every figure here is from the profile quick** ({basis(record)}): it shows that "
        "the search works, not how good the network can be."
    )


def _numbers(count: int) -> str:
    return "one number" if count == 1 else f"{count} numbers"


def _choice(record: Record) -> str:
    """Why this candidate was chosen."""
    goal, mean = goal_in(record), record["validation"]["mean"]
    return goal.reason(mean) if goal.is_met(mean) else f"{goal.reason(mean)}: **none reaches it**"


def _details(record: Record) -> str:
    params, data, budget = record["params"], record["data"], as_budget(record["budget"])
    limits = {} if budget is None else budget.limits
    rows = [
        ("network", record["summary"] or None),
        *([("reference network", record["reference"])] if record.get("reference") else []),
        ("input", f"float32 (n, {', '.join(map(str, data['input_shape']))})"),
        ("output", f"float32 (n, {_width(record)}), {meaning_of_answers(record)}"),
        *([_names(record)] if data.get("names") else []),
        ("parameters", count(params)),
        ("of them trainable", count(record["trainable"])),
        ("of them not trainable", count(record["non_trainable"])),
        ("bytes of the weights, float32", count(params and 4 * params)),
        (f"MACs per {sample_in(record)}", count(record["macs"])),
        *([("receptive field, pixels along one side", _receptive_field(record))] if _of_images(record) else []),
        ("bytes of activations at the peak, float32", count(record.get("ram"))),
        *((f"limit: {UNITS[name]}", count(limit)) for name, limit in limits.items()),
    ]
    return section("Model details", facts(rows))


def _width(record: Record) -> int:
    return record["answers"]["width"] if "answers" in record else record["data"]["classes"]


def _names(record: Record) -> tuple[str, str]:
    """The row on the names of the classes, or of the numbers, in the order of the answers."""
    kind = "numbers" if isinstance(task_in(record), Regression) else "classes"
    return kind, ", ".join(f"{place}: {name}" for place, name in enumerate(record["data"]["names"]))


def _of_images(record: Record) -> bool:
    return unit_in(record) == "images"


def _receptive_field(record: Record) -> int | None:
    """That of the last feature map."""
    maps = [layer["receptive_field"] for layer in record.get("layers") or () if len(layer["output_shape"]) == 3]
    return maps[-1] if maps else None


def _architecture(record: Record) -> str:
    if not record.get("layers"):
        return ""
    rows = [
        (
            layer["name"],
            "x".join(map(str, layer["output_shape"])),
            count(layer["params"]),
            count(layer["macs"]),
            layer["receptive_field"],
        )
        for layer in record["layers"]
    ]
    rows.append(("total", "", count(record["params"]), count(record["macs"]), ""))
    return section("Architecture", table(("layer", "output shape", "parameters", "MACs", "receptive field"), rows))


def _recipe(record: Record) -> str:
    recipe, epochs = record["recipe"], record["epochs"]
    if recipe is None:
        told = f"{counted(epochs, 'epoch')}; the rest is in the space."
    else:
        told = training(recipe, epochs, unit_in(record))
    values = code("json", json.dumps(record["hyperparameters"], indent=2))
    return section("Training recipe", told, f"Hyperparameters, in the space {text(record['space'])}:", values)


def _intended_use(record: Record) -> str:
    data, sample, unit = record["data"], sample_in(record), unit_in(record)
    shape = "x".join(map(str, data["input_shape"]))
    inputs = f"Images of {shape}" if _of_images(record) else f"Rows of {shape} numbers"
    match task_in(record):
        case Regression(numbers=numbers):
            told = f"predicts {_numbers(numbers)} for every {sample}, even if it is unlike all those of the training"
        case _:
            none = "shows none of them" if _of_images(record) else "belongs to none of them"
            told = f"assigns one of {data['classes']} classes to every {sample}, even if it {none}"
    return section(
        "Intended use",
        f"{inputs} like those of {text(data['name'])}, on devices with little memory. The model {told}. Its "
        f"{text(metric_in(record))} on {unit} from other sources, and how its errors affect groups of people, are "
        "unknown: measure both before you base decisions on its answers.",
    )


def _data(record: Record) -> str:
    data, test = record["data"], record["test"]
    regression, unit = isinstance(task_in(record), Regression), unit_in(record)
    chosen = "at random" if regression else "stratified"
    split = f"{data['validation_fraction']:.0%} of the training part, {chosen}, split seed {data['split_seed']}"
    rows = [
        ("data set", data["name"]),
        ("SHA-256 of the training part", data["fingerprint"]),
        (f"training {unit} in search and confirmation", count(data["images"])),
        (f"validation {unit}", f"{data['validation']:,}: {split}"),
        (f"training {unit} of the model that ships", f"{record['train_images_final']:,}: validation included"),
        (f"test {unit}", count(test["images"]) if test else "not opened"),
        *([("SHA-256 of the test part, as tested", test["fingerprint"])] if "fingerprint" in (test or {}) else []),
        ("preprocessing", PREPROCESSING[unit]),
        *([("targets", "as they are, as float32")] if regression else []),
    ]
    return section("Data", facts(rows))


def _search(record: Record) -> str:
    search = record["search"]
    rows = [
        ("trained to the end", count(search["complete"])),
        ("stopped early", count(search["pruned"])),
        ("failed", count(search["failed"])),
        *((f"refused untrained: {reason.replace('_', ' ')}", count(search[reason])) for reason in REJECTIONS),
        ("seconds", f"{search['seconds']:,.0f}"),
        ("hardware", record["device"]),
        ("Keras backend", record["backend"]),
    ]
    return section(
        "Cost of the search", f"Without the confirmation; profile {record['profile']}: {basis(record)}.", facts(rows)
    )


def _limits(record: Record) -> str:
    test, unit = record["test"], unit_in(record)
    spread = "their spread is a rough estimate" if record["validation"]["n"] > 1 else "their spread is unknown"
    limits = [
        f"The figures rest on {seeds(record)}: {spread}.",
        f"The network was chosen by its {text(metric_in(record))} on {record['data']['validation']:,} validation "
        f"{unit}: that figure is too optimistic.",
    ]
    if not goal_in(record).is_met(record["validation"]["mean"]):
        limits.append("It was to reach a target, and on fresh seeds does not.")
    if record.get("reference"):
        limits.append(
            f"It is the reference network {text(record['reference'])}, with which the search began: the search found "
            "nothing that is better."
        )
    if record["profile"] == "quick":
        limits.append(f"Profile quick ({basis(record)}): with more of either, every figure changes.")
    if test is None:
        limits.append(f"It was not measured on {unit} that had no part in choosing it.")
    else:
        limits.append(_hardest(record))
        if test["opening"] > 1:
            limits.append(f"Its test figure is from opening {test['opening']} of the test set, not from the first.")
    doubt = "It does not tell how sure it is" if "per_number" in (test or {}) else "Probabilities are not calibrated"
    untried = "noise, rotation and images" if _of_images(record) else "noise and rows"
    limits.append(f"{doubt}; {untried} of another source were not tried.")
    return section("Limits", "\n".join(f"- {limit}" for limit in limits))


def _hardest(record: Record) -> str:
    """The class, or the number, on which the model is worst."""
    test = record["test"]
    if "per_number" in test:
        worst = hardest_number(record)
        told = f"rmse {number(worst['rmse'])}, where the targets have a standard deviation of {number(worst['spread'])}"
        if len(test["per_number"]) == 1:
            return f"Its errors: {told}."
        return f"Number {text(worst['name'])} has the largest error relative to the spread of its targets: {told}."
    worst = min(test["per_class"], key=lambda entry: entry["accuracy"])
    return (
        f"Class {text(worst['label'])} is its hardest: {figure(worst['accuracy'], ACCURACY)} of {worst['images']:,} "
        f"{unit_in(record)}."
    )


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
