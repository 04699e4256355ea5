"""What a model card says of a recipe: all of it, and no more."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from kerastuna.search.report.model_card_recipe import training
from kerastuna.spaces import Augmentation, Recipe

AUGMENTATION = Augmentation(rotation=11, shift=0.12, zoom=0.13, brightness=0.14, contrast=0.15, share=0.75)
RECIPE = Recipe(
    learning_rate=0.05,
    batch_size=63,
    decay="one_cycle",
    optimizer="sgd",
    weight_decay=0.0005,
    warm_up=0.3,
    start_factor=0.1,
    end_factor=0.02,
    label_smoothing=0.16,
    averaging=0.995,
    augmentation=AUGMENTATION,
)
OLD = {"learning_rate": 0.003125, "batch_size": 63, "decay": "inverse_time", "decay_rate": 0.319}


def card(recipe: Recipe) -> str:
    return training(asdict(recipe), 20, "images")


def test_a_recipe_of_everything():
    assert card(RECIPE) == (
        "SGD with Nesterov's momentum of 0.9, with a weight decay of 0.0005 on the kernels, on the cross-entropy of "
        "labels smoothed by 0.16 for 20 epochs, in batches of 63 images. Learning rate rising in a straight line from "
        "0.005 to 0.05 in the first 0.3 of all steps, then falling in a straight line to 0.001. At random, 0.75 of the "
        "training images were changed: turned by up to 11 degrees, moved by up to 0.12 of each side, scaled by up to "
        "0.13, brightness changed by up to 0.14, contrast changed by up to 0.15. The weights are an exponential moving "
        "average, of momentum 0.995, of those that were trained, at the end of the last epoch."
    )


def test_a_recipe_of_an_earlier_version_and_a_plain_one():
    told = (
        "Adam on the cross-entropy for 20 epochs, in batches of 63 images. Learning rate 0.003125, divided by 1 + "
        "0.319 e in epoch e, counted from 0. The weights are those of the last epoch."
    )
    assert training(OLD, 20, "images") == told
    assert card(Recipe(0.003125, 63, "inverse_time", 0.319)) == told
    assert card(Recipe(0.003125, 63, "inverse_time", 0.319, augmentation=replace(AUGMENTATION, share=0))) == told


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.06},
        {"batch_size": 64},
        {"decay": "cosine"},
        {"decay": "constant"},
        {"decay": "exponential"},
        {"optimizer": "adamw"},
        {"weight_decay": 0.001},
        {"warm_up": 0.4},
        {"start_factor": 0.2},
        {"end_factor": 0.03},
        {"label_smoothing": 0.2},
        {"averaging": 0.0},
        {"augmentation": None},
        *({"augmentation": replace(AUGMENTATION, **{name: 0.5})} for name in asdict(AUGMENTATION)),
    ],
)
def test_every_field_is_told(change: dict[str, Any]):
    assert card(replace(RECIPE, **change)) != card(RECIPE)


def test_a_decay_after_a_warm_up_says_from_where_it_counts():
    recipe = Recipe(0.01, 64, "exponential", 0.2, warm_up=0.1)
    assert "then multiplied by exp(-0.2 e) in epoch e, counted from the end of the warm-up." in card(recipe)
