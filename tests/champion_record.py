"""A champion's record for the tests of model cards, and the rows of a card."""

import copy
import re
from typing import Any

RECORD: dict[str, Any] = {
    "study": "mnist-convnet-15000-full",
    "profile": "full",
    "space": "kerastuna.spaces.convnet:ConvNet",
    "data": {
        "name": "mnist",
        "fingerprint": "465b4c29",
        "images": 53_999,
        "validation": 6_001,
        "validation_fraction": 0.1,
        "split_seed": 17,
        "input_shape": [29, 31, 3],
        "classes": 11,
    },
    "answers": {"width": 12, "meaning": "the logit of each class"},
    "budget": 15_000,
    "trial": 76,
    "summary": "16-32-p16 | 16-32 | p10 | conv",
    "params": 14_652,
    "trainable": 14_444,
    "non_trainable": 208,
    "macs": 3_578_496,
    "ram": 116_736,
    "layers": [
        {
            "name": "conv2d_1",
            "kind": "Conv2D",
            "output_shape": [27, 26, 16],
            "params": 160,
            "macs": 97_344,
            "receptive_field": 5,
        },
        {
            "name": "dense_1",
            "kind": "Dense",
            "output_shape": [12],
            "params": 170,
            "macs": 161,
            "receptive_field": 33,
        },
    ],
    "hyperparameters": {"blocks": 2, "head": "conv", "dropout": 0.15, "head_pointwise": False},
    "recipe": {"learning_rate": 0.003125, "batch_size": 63, "decay": "inverse_time", "decay_rate": 0.319},
    "epochs": 21,
    "objective": "val_accuracy",
    "direction": "max",
    "search_value": 0.99412,
    "candidates": [
        {
            "trial": 76,
            "params": 14_652,
            "summary": "16-32-p16 | 16-32 | p10 | conv",
            "search_value": 0.99412,
            "values": [0.99211, 0.99322],
            "mean": 0.992665,
            "std": 0.00078,
            "n": 2,
        },
        {
            "trial": 34,
            "params": 9_871,
            "summary": "8 | gap",
            "search_value": 0.98715,
            "values": [0.98011, 0.98122],
            "mean": 0.980665,
            "std": 0.00067,
            "n": 2,
        },
    ],
    "seeds": [212_678_818, 876_087_120],
    "validation": {"mean": 0.992665, "std": 0.00078, "n": 2, "values": [0.99211, 0.99322]},
    "winners_curse": 0.001455,
    "test": {
        "metric": "accuracy",
        "values": [0.99341, 0.99452],
        "mean": 0.993965,
        "std": 0.00071,
        "min": 0.98341,
        "max": 0.99552,
        "n": 2,
        "standard_error": 0.00099,
        "images": 9_999,
        "opening": 2,
        "per_class": [
            {"label": 0, "images": 981, "accuracy": 0.99794},
            {"label": 8, "images": 974, "accuracy": 0.98871},
        ],
    },
    "openings": [
        {"opening": 1, "time": "2026-11-20T09:00:00+00:00", "study": "first", "trial": 34, "purpose": "accuracy"},
        {"opening": 2, "time": "2026-11-21T10:00:00+00:00", "study": "second", "trial": 76, "purpose": "export"},
    ],
    "histories": [],
    "train_images_final": 59_998,
    "search": {
        "complete": 41,
        "pruned": 59,
        "failed": 3,
        "over_budget": 1_206,
        "infeasible": 188,
        "duplicate": 7,
        "seconds": 5_321.4,
    },
    "device": "NVIDIA H200",
    "backend": "tensorflow 2.21.0",
    "versions": "kerastuna 0.1.0, keras 3.15.1",
    "git_commit": "0123abcd-dirty",
    "mlflow": {
        "tracking_uri": "https://me:secret@mlflow.example.org",
        "run_id": "c59f577a",
        "model": "models:/mnist@champion",
    },
    "model_path": "mlruns/champions/champion.keras",
}
LIMITS = {"params": 15_000, "macs": 4_000_001, "ram": 131_072}
TARGET = {"minimize": "macs", "reach": ["val_accuracy", 0.9915]}
FRONT = {"pareto": [["val_accuracy", "max"], ["params", "min"], ["ram", "min"]]}
COSTS = [{"macs": 3_578_496, "ram": 116_736}, {"macs": 1_234_567, "ram": 99_999}]


def changed(**changes) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | changes


def with_goal(goal: dict[str, Any]) -> dict[str, Any]:
    """The record of a study with another goal and several limits."""
    candidates = [one | costs for one, costs in zip(RECORD["candidates"], COSTS, strict=True)]
    return changed(goal=goal, budget=LIMITS, candidates=candidates)


def of_numbers(**changes) -> dict[str, Any]:
    """The record of a network that predicts two numbers for rows, from a space without a closed form."""
    numbers = [
        {"name": "price", "mae": 1234.5, "rmse": 2345.6, "r2": 0.8123, "bias": -12.34, "spread": 5432.1},
        {"name": "age", "mae": 0.4567, "rmse": 0.5678, "r2": 0.7654, "bias": 0.0123, "spread": 0.6789},
    ]
    test = {key: value for key, value in RECORD["test"].items() if key != "per_class"}
    data = {key: value for key, value in RECORD["data"].items() if key != "classes"}
    record = changed(
        data=data | {"name": "houses", "input_shape": [13], "numbers": 2, "names": ["price", "age"]},
        answers={"width": 2, "meaning": "the 2 predicted numbers"},
        objective="val_mae",
        direction="min",
        test=test | {"metric": "mae", "per_number": numbers},
        recipe=None,
        summary="",
    )
    del record["layers"]
    return record | changes


def row(card: str, name: str) -> list[str]:
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[2:-1]]
