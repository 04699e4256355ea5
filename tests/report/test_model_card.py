"""The model card: every number in it comes from the record, and nothing in the record can break it."""

import ast
import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kerastuna.search.report.model_card import model_card

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
NOT_SHOWN = {"model_path", "kind", ("validation", "std"), ("validation", "values")}
"""The last two are the chosen candidate's, and shown as such."""
TEXTS_WITH_NUMBERS = ("litert_int8", "c_array")


def changed(**changes) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | changes


def with_goal(goal: dict[str, Any], *, reached: bool | None = None) -> dict[str, Any]:
    """The record of a study with another goal and several limits."""
    candidates = [one | costs for one, costs in zip(RECORD["candidates"], COSTS, strict=True)]
    return changed(goal=goal, reached=reached, budget=LIMITS, candidates=candidates)


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every number and text of the record that the card shows."""
    if path in NOT_SHOWN:
        return
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from leaves(part, (*path, place))
    elif path[-1] not in NOT_SHOWN:
        yield path


def get(record: Any, path: tuple) -> Any:
    for key in path:
        record = record[key]
    return record


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 1.5
        case "inverse_time":
            return "exponential"
        case "full":
            return "quick"
        case _:
            return f"{value}/another"


@pytest.mark.parametrize("path", list(leaves(RECORD)), ids=lambda path: ".".join(map(str, path)))
def test_whatever_changes_in_the_record_changes_in_the_card(path):
    record = copy.deepcopy(RECORD)
    if path[-1] == "n":
        value: Any = 1  # with one value there is no deviation
    elif path == ("winners_curse",):
        value = -0.02
    else:
        value = other(get(RECORD, path))
    get(record, path[:-1])[path[-1]] = value
    assert model_card(record) != model_card(RECORD)


def test_every_number_of_the_card_is_one_of_the_record():
    values = [get(RECORD, path) for path in leaves(RECORD)]
    known = {f"{value:,}" for value in values if isinstance(value, int)}
    known |= {f"{value:.4f}" for value in values if isinstance(value, float)}
    known |= set(map(str, RECORD["seeds"]))
    known |= {"0.003125", "0.319", "10%", "5,321"}  # learning rate and its decay, share of validation, seconds
    known |= {"58,608", "100", "33"}  # four bytes for each parameter, complete and stopped trials, the widest field
    known |= {"0", "1", "255", "256"}  # pixels reach from 0 to 255, epochs begin with 0, 1 + 0.319 e, SHA-256
    told = re.sub(r"```.*?```|`.*?`|\bfloat32\b", "", model_card(RECORD), flags=re.DOTALL)
    texts = [*(value for value in values if isinstance(value, str)), "27x26x16", "29x31x3", *TEXTS_WITH_NUMBERS]
    for text in sorted(texts, key=len, reverse=True):
        told = told.replace(text.replace("|", "\\|"), "")
    strangers = set(re.findall(r"\d[\d,.]*\d%?|\d", told)) - known
    assert not strangers


def row(card: str, name: str) -> list[str]:
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[2:-1]]


def test_the_card_says_what_it_is_asked_for():
    card = model_card(RECORD)
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles == [
        "Model details",
        "Architecture",
        "Training recipe",
        "Intended use",
        "Data",
        "Metrics",
        "Accuracy on validation images",
        "Accuracy on test images",
        "Openings of the test set",
        "Cost of the search",
        "Limits",
        "How to load it",
        "Lineage",
    ]
    assert row(card, "parameters") == ["14,652"]
    assert row(card, "receptive field, pixels along one side") == ["33"]
    assert row(card, "conv2d_1") == ["27x26x16", "160", "97,344", "5"]
    test = {
        "mean": "0.9940",
        "standard deviation": "0.0007",
        "smallest": "0.9834",
        "largest": "0.9955",
        "number of seeds": "2",
        "each seed": "0.9934, 0.9945",
        "the model that ships, of the first seed": "0.9934",
        "standard error of the mean for so many images": "0.0010",
    }
    assert {name: row(card, name)[0] for name in test} == test
    assert row(card, "opening of the test set") == ["2"]
    assert row(card, "refused untrained: over the budget") == ["1,206"]
    assert row(card, "76") == [
        *("16-32-p16 \\| 16-32 \\| p10 \\| conv", "yes", "14,652", "0.9941", "0.9927", "0.0008", "0.9921, 0.9932")
    ]
    assert row(card, "commit") == ["0123abcd-dirty"]
    assert "Learning rate 0.003125, divided by 1 + 0.319 e in epoch e, counted from 0" in card
    assert "the winner's curse: +0.0015" in card
    assert "Class 8 is its hardest: 0.9887 of 974 images." in card
    assert "opened 2 times" in card
    assert "less reliable" in card


def test_figures_of_the_quick_profile_say_so():
    assert "quick" not in model_card(RECORD)
    card = model_card(changed(profile="quick"))
    assert "**Every figure here is from the profile quick** (53,999 training images, 21 epochs)" in card
    for title in ("Accuracy on validation images", "Accuracy on test images", "Cost of the search", "Limits"):
        assert "quick" in card.partition(f"## {title}\n")[2].partition("\n## ")[0], title


def test_a_champion_that_was_not_tested():
    card = model_card(changed(test=None, openings=[]))
    assert "No test images have been shown to this model." in card
    assert "Openings of the test set" not in card
    assert row(card, "test images") == ["not opened"]
    assert "It was not measured on images that had no part in choosing it." in card


def test_a_first_opening_is_no_reason_for_doubt():
    test = RECORD["test"] | {"opening": 1}
    card = model_card(changed(test=test, openings=RECORD["openings"][:1]))
    assert "opened once for this study" in card
    assert "less reliable" not in card
    assert "not from the first" not in card


def test_one_seed_has_no_deviation():
    one = {"n": 1, "std": 0.0}
    record = changed(
        candidates=[RECORD["candidates"][0] | one | {"values": [0.99]}],
        validation=RECORD["validation"] | one,
        test=RECORD["test"] | one,
    )
    card = model_card(record)
    assert row(card, "standard deviation") == ["unknown"]
    assert row(card, "76")[5] == "unknown"
    assert "rest on 1 seed: their spread is unknown" in card


def test_a_space_without_a_closed_form():
    record = changed(params=None, trainable=None, non_trainable=None, macs=None, recipe=None)
    del record["layers"], record["ram"]
    record["candidates"] = [candidate | {"params": None} for candidate in record["candidates"]]
    card = model_card(record)
    assert "## Architecture" not in card
    for name in ("parameters", "MACs per image", "bytes of the weights, float32"):
        assert row(card, name) == ["unknown"]
    assert "21 epochs; the rest is in the space." in card


def test_every_limit_is_named():
    card = model_card(changed(budget=LIMITS))
    limits = (
        "networks of at most 15,000 parameters and 4,000,001 MACs and 131,072 bytes of activations, the best 2 of them"
    )
    assert limits in card
    assert row(card, "limit: parameters") == ["15,000"]
    assert row(card, "limit: MACs") == ["4,000,001"]
    assert row(card, "limit: bytes of activations") == ["131,072"]
    alone = model_card(changed(budget={"macs": 4_000_001}))
    assert "trained 100 networks of at most 4,000,001 MACs, the best" in alone
    assert "limit: parameters" not in alone
    assert "trained 100 networks, the best 2 of them" in model_card(changed(budget=None))


def test_a_target_that_is_reached():
    card = model_card(with_goal(TARGET, reached=True))
    assert "the 2 with the fewest MACs among those that reached val_accuracy 0.9915 again on 2 seeds" in card
    assert "and chose the one with the fewest MACs whose mean reaches 0.9915." in card
    assert "Chosen by the fewest MACs, of those that reach val_accuracy 0.9915 at the last epoch" in card
    assert "The target is 0.9915: the mean reaches it." in card
    assert row(card, "76")[2:4] == ["14,652", "3,578,496"]
    assert row(card, "34")[2:4] == ["9,871", "1,234,567"]
    for wrong in ("chose by the mean", "the best 2", "The best trials", "none reaches it", "does not"):
        assert wrong not in card


def test_a_target_that_the_mean_does_not_reach_is_said_to_be_missed():
    card = model_card(with_goal(TARGET | {"reach": ["val_accuracy", 0.9935]}, reached=False))
    assert "chose the one whose mean comes closest to 0.9935: **none reaches it**." in card
    assert "The target is 0.9935: the mean does not reach it." in card
    assert "It was to reach a target, and on fresh seeds does not." in card
    assert "whose mean reaches" not in card


def test_a_champion_of_a_front():
    card = model_card(with_goal(FRONT))
    front = (
        "the 2 with the best val_accuracy on the front of val_accuracy, parameters and bytes of activations again on"
    )
    assert front in card
    assert "and chose by the mean." in card
    assert "Chosen from a front, by val_accuracy at the last epoch" in card
    assert "The best trials" not in card
    one = with_goal(FRONT)
    one["candidates"] = one["candidates"][:1]
    assert "the one with the best val_accuracy on the front" in model_card(one)


@pytest.mark.parametrize(
    ("decay", "told"),
    [
        ("constant", "Learning rate 0.003125, constant."),
        ("cosine", "Learning rate 0.003125, falling along half a cosine."),
        ("exponential", "Learning rate 0.003125, multiplied by exp(-0.319 e) in epoch e, counted from 0."),
    ],
)
def test_every_decay_is_told(decay, told):
    assert told in model_card(changed(recipe=RECORD["recipe"] | {"decay": decay}))


def test_no_name_breaks_the_card():
    name = "a | b\n# not a title <b>`x`</b> 'q' \\"
    record = changed(study=name, space=name, summary=name, device=name)
    record["mlflow"] = RECORD["mlflow"] | {"model": f"models:/{name}@champion"}
    record["data"] = RECORD["data"] | {"name": name}
    record["candidates"] = [candidate | {"summary": name} for candidate in record["candidates"]]
    card = model_card(record)
    prose = re.sub(r"```.*?\n```", "", card, flags=re.DOTALL)
    assert len([line for line in prose.splitlines() if line.startswith("# ")]) == 1
    columns = 0
    for line in prose.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
            assert columns in (0, cells), line
            columns = cells
        else:
            columns = 0


def test_the_code_to_load_it_is_python_of_this_champion():
    card = model_card(RECORD)
    blocks = re.findall(r"```python\n(.*?)\n```", card, re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        ast.parse(block)
    assert "mlflow.keras.load_model('models:/mnist@champion')" in blocks[0]
    assert "kerastuna export --study mnist-convnet-15000-full" in card
    assert "kerastuna export --study 'a b; c'" in model_card(changed(study="a b; c"))


def test_no_password_is_shown():
    card = model_card(RECORD)
    assert "secret" not in card
    assert "https://me:***@mlflow.example.org" in card
