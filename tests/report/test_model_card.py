"""The model card: every number in it comes from the record, and nothing in the record can break it."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from champion_record import LIMITS, RECORD, changed, of_numbers, row

from kerastuna.search.report.model_card import model_card

NOT_SHOWN = {"model_path", "kind", ("validation", "std"), ("validation", "values")}
"""The last two are the chosen candidate's, and shown as such."""
TEXTS_WITH_NUMBERS = ("litert_int8", "c_array")


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
        case "max":
            return "min"
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
    known |= {"58,608", "100"}  # four bytes for each parameter, complete and stopped trials
    known |= {"0", "1", "255", "256"}  # pixels reach from 0 to 255, epochs begin with 0, 1 + 0.319 e, SHA-256
    told = re.sub(r"```.*?```|`.*?`|\bfloat32\b", "", model_card(RECORD), flags=re.DOTALL)
    texts = [*(value for value in values if isinstance(value, str)), "27x26x16", "29x31x3", *TEXTS_WITH_NUMBERS]
    for text in sorted(texts, key=len, reverse=True):
        told = told.replace(text.replace("|", "\\|"), "")
    strangers = set(re.findall(r"\d[\d,.]*\d%?|\d", told)) - known
    assert not strangers


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
    assert row(card, "receptive field, pixels along one side") == ["5"]  # of the last map
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
    assert row(card, "refused untrained: over budget") == ["1,206"]
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


def test_a_space_without_a_closed_form():
    record = changed(params=None, trainable=None, non_trainable=None, macs=None, recipe=None)
    del record["layers"], record["ram"]
    record["candidates"] = [candidate | {"params": None} for candidate in record["candidates"]]
    card = model_card(record)
    assert "## Architecture" not in card
    for name in ("parameters", "MACs per image", "bytes of the weights, float32"):
        assert row(card, name) == ["unknown"]
    assert "21 epochs; the rest is in the space." in card


def test_a_champion_that_is_the_reference_says_so():
    card = model_card(changed(reference="eip_3"))
    assert row(card, "reference network") == ["eip_3"]
    assert "It is the reference network eip_3, with which the search began" in card
    assert "reference network" not in model_card(changed(reference=None))


def test_every_limit_is_named():
    card = model_card(changed(budget=LIMITS))
    limits = "networks of at most 15,000 parameters and 4,000,001 MACs and 131,072 bytes of RAM, the best 2 of them"
    assert limits in card
    assert row(card, "limit: parameters") == ["15,000"]
    assert row(card, "limit: MACs") == ["4,000,001"]
    assert row(card, "limit: bytes of RAM") == ["131,072"]
    alone = model_card(changed(budget={"macs": 4_000_001}))
    assert "trained 100 networks of at most 4,000,001 MACs, the best" in alone
    assert "limit: parameters" not in alone
    assert "trained 100 networks, the best 2 of them" in model_card(changed(budget=None))


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


def test_no_password_is_shown():
    card = model_card(RECORD)
    assert "secret" not in card
    assert "https://me:***@mlflow.example.org" in card


def test_a_record_of_0_1_0_is_still_described():
    old = changed()
    del old["direction"], old["answers"], old["test"]["metric"]
    card = model_card(old)
    assert row(card, "output") == ["float32 (n, 11), the probability of each class"]
    assert "## Accuracy on test images" in card
    assert "probabilities = model.predict(images)" in card
    assert "less is better" not in card


def test_a_network_that_predicts_numbers_for_rows():
    card = model_card(of_numbers(openings=[]))
    assert "A network with 14,652 parameters that predicts 2 numbers for rows of houses." in card
    assert row(card, "output") == ["float32 (n, 2), the 2 predicted numbers"]
    assert row(card, "numbers") == ["0: price, 1: age"]
    assert row(card, "MACs per row") == ["3,578,496"]
    assert row(card, "preprocessing") == ["float32, as they are given"]
    assert row(card, "validation rows") == ["6,001: 10% of the training part, at random, split seed 17"]
    assert "Rows of 13 numbers like those of houses" in card
    assert "predicts 2 numbers for every row" in card
    assert "Of mae, less is better." in card
    assert {"## mae on validation rows", "## mae on test rows"} <= set(card.splitlines())
    assert row(card, "price") == ["1,234", "2,346", "0.8123", "-12.34", "5,432"]
    assert "Number age has the largest error relative to the spread of its targets: rmse 0.5678" in card
    assert "numbers = model.predict(rows)" in card
    told = re.sub(r"```.*?```", "", card, flags=re.DOTALL).lower()
    for wrong in ("image", "pixel", "class", "accuracy", "probabilit", "stratified", "receptive"):
        assert wrong not in told.replace("openings of the test set", ""), wrong


def test_one_predicted_number():
    record = of_numbers()
    record["data"] |= {"numbers": 1}
    del record["data"]["names"]
    record["answers"] = {"width": 1, "meaning": "the predicted number"}
    record["test"] |= {"per_number": record["test"]["per_number"][:1], "standard_error": None}
    card = model_card(record)
    assert "that predicts one number for rows of houses" in card
    assert row(card, "output") == ["float32 (n, 1), the predicted number"]
    assert "Its errors: rmse 2,346, where the targets have a standard deviation of 5,432." in card
    assert "standard error" not in card


def test_one_sigmoid_for_rows():
    names = {"classes": 2, "names": ["healthy", "ill"], "input_shape": [30]}
    record = changed(data=RECORD["data"] | names, answers={"width": 1, "meaning": "the probability of class 1"})
    record["test"]["per_class"] = [
        {"label": "healthy", "images": 90, "accuracy": 0.9},
        {"label": "ill", "images": 10, "accuracy": 0.5},
    ]
    card = model_card(record | {"recipe": None, "layers": None, "summary": ""})
    assert "that sorts rows of mnist into 2 classes" in card
    assert row(card, "output") == ["float32 (n, 1), the probability of class 1"]
    assert row(card, "classes") == ["0: healthy, 1: ill"]
    assert "Class ill is its hardest: 0.5000 of 10 rows." in card
    assert row(card, "ill") == ["10", "0.5000"]
    assert {"## Accuracy on validation rows", "## Accuracy on test rows"} <= set(card.splitlines())
    assert "image" not in card.lower()
    assert "pixel" not in card.lower()
    assert "logits" not in card


def test_a_metric_that_the_model_does_not_report_is_replaced_and_that_is_said():
    card = model_card(of_numbers(objective="val_my_own"))
    assert "## my_own on validation rows" in card
    assert "## mae on test rows" in card
    assert "The model itself does not report my_own." in card
    assert "does not report" not in model_card(of_numbers())


def test_the_test_part_is_told_by_its_fingerprint_where_it_is_known():
    name = "SHA-256 of the test part, as tested"
    assert row(model_card(changed(test=RECORD["test"] | {"fingerprint": "ab12"})), name) == ["ab12"]
    assert name not in model_card(RECORD)
