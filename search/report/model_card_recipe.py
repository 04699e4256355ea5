"""The sentences of a model card on how the network was trained."""

from collections.abc import Mapping
from typing import Any

from ..messages import counted

_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD with Nesterov's momentum of 0.9"}


def training(recipe: Mapping[str, Any], epochs: int, unit: str) -> str:
    """How `recipe`, from a champion's record, trains for `epochs` epochs.

    Args:
        recipe: fields of a `Recipe`; records of earlier versions have its first four alone.
        unit: "images" or "rows".
    """
    weight_decay, smoothing = recipe.get("weight_decay", 0.0), recipe.get("label_smoothing", 0.0)
    decaying = f", with a weight decay of {weight_decay:.4g} on the kernels," if weight_decay else ""
    labels = f" of labels smoothed by {smoothing:.4g}" if smoothing else ""
    sentences = [
        f"{_OPTIMIZERS[recipe.get('optimizer', 'adam')]}{decaying} on the cross-entropy{labels} for "
        f"{counted(epochs, 'epoch')}, in batches of {recipe['batch_size']} {unit}.",
        f"Learning rate {_rate(recipe)}.",
        _changes(recipe.get("augmentation") or {}, unit),
        _weights(recipe.get("averaging", 0.0)),
    ]
    return " ".join(filter(None, sentences))


def _rate(recipe: Mapping[str, Any]) -> str:
    peak, rate, warm_up = recipe["learning_rate"], f"{recipe['decay_rate']:.4g}", recipe.get("warm_up", 0.0)
    origin = "counted from the end of the warm-up" if warm_up else "counted from 0"
    decay = {
        "constant": "constant",
        "inverse_time": f"divided by 1 + {rate} e in epoch e, {origin}",
        "exponential": f"multiplied by exp(-{rate} e) in epoch e, {origin}",
        "cosine": "falling along half a cosine",
        "one_cycle": f"falling in a straight line to {peak * recipe.get('end_factor', 0.0):.4g}",
    }[recipe["decay"]]
    if not warm_up:
        return f"{peak:.4g}, {decay}"
    start = f"{peak * recipe['start_factor']:.4g}"
    return f"rising in a straight line from {start} to {peak:.4g} in the first {warm_up:.4g} of all steps, then {decay}"


def _weights(averaging: float) -> str:
    if not averaging:
        return "The weights are those of the last epoch."
    return (
        f"The weights are an exponential moving average, of momentum {averaging:.4g}, of those that were trained, at "
        "the end of the last epoch."
    )


def _changes(augmentation: Mapping[str, float], unit: str) -> str:
    told = {
        "rotation": "turned by up to {:.4g} degrees",
        "shift": "moved by up to {:.4g} of each side",
        "zoom": "scaled by up to {:.4g}",
        "brightness": "brightness changed by up to {:.4g}",
        "contrast": "contrast changed by up to {:.4g}",
    }
    changes = [told[name].format(augmentation[name]) for name in told if augmentation.get(name)]
    if not changes or not augmentation["share"]:
        return ""
    share = "" if augmentation["share"] == 1 else f"{augmentation['share']:.4g} of "
    return f"At random, {share}the training {unit} were changed: {', '.join(changes)}."
