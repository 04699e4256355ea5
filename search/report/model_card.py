"""The model card of a champion (Mitchell et al., "Model Cards for Model Reporting", 2019), in Markdown.

Every number in it is read from the champion's record.
"""

import json

from ..messages import redact
from ..study.budget import UNITS, as_budget
from ..study.reasons import REJECTIONS
from .markdown import code, facts, section, table, text
from .model_card_code import loading
from .model_card_metrics import metric_sections
from .model_card_values import Record, basis, count, goal_in, seeds, share


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
    found = (
        f"A network{size} that sorts images of {text(data['name'])} into {data['classes']} classes. Kerastuna trained "
        f"{search['complete'] + search['pruned']:,} networks{f' of at most {limits}' if limits else ''}, "
        f"{candidates} again on {seeds(record)} that the search had not used, and chose {_choice(record)}."
    )
    if record["profile"] != "quick":
        return f"{title}\n\n{found}"
    return (
        f"{title}\n\n{found}\n\n> **Every figure here is from the profile quick** ({basis(record)}): it shows that "
        "the search works, not how good the network can be."
    )


def _choice(record: Record) -> str:
    """Why this candidate was chosen."""
    goal, mean = goal_in(record), record["validation"]["mean"]
    return goal.reason(mean) if goal.is_met(mean) else f"{goal.reason(mean)}: **none reaches it**"


def _details(record: Record) -> str:
    params, data, budget = record["params"], record["data"], as_budget(record["budget"])
    limits = {} if budget is None else budget.limits
    rows = [
        ("network", record["summary"] or None),
        ("input", f"float32 (n, {', '.join(map(str, data['input_shape']))})"),
        ("output", f"float32 (n, {data['classes']}), the probability of each class"),
        ("parameters", count(params)),
        ("of them trainable", count(record["trainable"])),
        ("of them not trainable", count(record["non_trainable"])),
        ("bytes of the weights, float32", count(params and 4 * params)),
        ("MACs per image", count(record["macs"])),
        ("receptive field, pixels along one side", _receptive_field(record)),
        ("bytes of the largest input plus output of a layer, float32", count(record.get("ram"))),
        *((f"limit: {UNITS[name]}", count(limit)) for name, limit in limits.items()),
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
            count(layer["params"]),
            count(layer["macs"]),
            layer["receptive_field"],
        )
        for layer in record["layers"]
    ]
    rows.append(("total", "", count(record["params"]), count(record["macs"]), ""))
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
        f"Images of {shape} like those of {text(data['name'])}, on devices with little memory. The model assigns one "
        f"of {data['classes']} classes to every image, even if it shows none of them. Its accuracy on images from "
        "other sources, and how its errors affect groups of people, are unknown: measure both before you base "
        "decisions on its answers.",
    )


def _data(record: Record) -> str:
    data, test = record["data"], record["test"]
    split = f"{data['validation_fraction']:.0%} of the training part, stratified, split seed {data['split_seed']}"
    rows = [
        ("data set", data["name"]),
        ("SHA-256 of the training part", data["fingerprint"]),
        ("training images in search and confirmation", count(data["images"])),
        ("validation images", f"{data['validation']:,}: {split}"),
        ("training images of the model that ships", f"{record['train_images_final']:,}: validation included"),
        ("test images", count(test["images"]) if test else "not opened"),
        ("preprocessing", "integer pixels (0 to 255) divided by 255, floating point as it is"),
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
    test = record["test"]
    spread = "their spread is a rough estimate" if record["validation"]["n"] > 1 else "their spread is unknown"
    limits = [
        f"The figures rest on {seeds(record)}: {spread}.",
        f"The network was chosen by its accuracy on {record['data']['validation']:,} validation images: that accuracy "
        "is too optimistic.",
    ]
    if not goal_in(record).is_met(record["validation"]["mean"]):
        limits.append("It was to reach a target, and on fresh seeds does not.")
    if record["profile"] == "quick":
        limits.append(f"Profile quick ({basis(record)}): with more of either, every figure changes.")
    if test is None:
        limits.append("It was not measured on images that had no part in choosing it.")
    else:
        worst = min(test["per_class"], key=lambda entry: entry["accuracy"])
        limits.append(
            f"Class {worst['label']} is its hardest: {share(worst['accuracy'])} of {worst['images']:,} images."
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
