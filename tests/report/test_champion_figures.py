"""The figures of a champion, asked what they show."""

import random
from typing import Any

import numpy as np
import pytest
from figure_layout import all_text, check_layout
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from kerastuna.search.report.champion_figures import champion_figures
from kerastuna.spaces.architecture import Architecture, Conv2D, Dense, Flatten, MaxPooling2D

NETWORK = Architecture(
    (28, 28, 1), (Conv2D(16, activation="relu"), MaxPooling2D(), Flatten(), Dense(10, activation="softmax"))
)


def history(seed, epochs=6, validation=True):
    rng = random.Random(seed)
    kinds = ("", "val_") if validation else ("",)
    return [
        {f"{kind}accuracy": 0.99 - rng.random() / epoch for kind in kinds}
        | {f"{kind}loss": rng.random() / epoch for kind in kinds}
        | {"learning_rate": 0.003, "seconds": 4.0}
        for epoch in range(1, epochs + 1)
    ]


def record(**changes):
    return {
        "study": "mnist-convnet-15000-quick",
        "profile": "quick",
        "trial": 76,
        "data": {"images": 4000},
        "train_images_final": 10_000,
        "histories": [history(seed) for seed in range(3)],
        "test": {"opening": 2},
    } | changes


def answers(count=2000, classes=10, errors=100, seed=0):
    """Images, labels and predictions, `errors` of which are wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    scores = rng.random((count, classes))
    scores[np.arange(count), labels] = 3
    wrong = rng.choice(count, errors, replace=False)
    scores[wrong, (labels[wrong] + rng.integers(1, classes, errors)) % classes] = 4 + rng.random(errors)
    predictions = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    images = np.zeros((count, 8, 8, 1), np.float32)
    images[..., 0] = (np.arange(count) / count)[:, None, None]  # an image tells which it is
    return images, labels, predictions


def draw(architecture=None, **changes) -> dict[str, Figure]:
    images, labels, predictions = answers()
    given_data = {"images": images, "labels": labels, "predictions": predictions}
    return dict(champion_figures(record(**changes), architecture=architecture, **given_data).drawn)


@pytest.fixture(scope="module")
def figures():
    return draw(NETWORK)


def test_every_figure_is_drawn_and_nothing_overlaps(figures):
    assert list(figures) == ["learning_curves", "confusion_matrix", "mistakes", "architecture"]
    for figure in figures.values():
        check_layout(figure)


def test_learning_curves_show_mean_and_range_of_the_seeds(figures):
    histories = record()["histories"]
    accuracy, loss = figures["learning_curves"].axes
    assert (accuracy.get_ylabel(), loss.get_ylabel(), loss.get_xlabel()) == ("accuracy", "loss", "epoch")
    for axes, metric in ((accuracy, "accuracy"), (loss, "loss")):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            curves = np.array([[epoch[key] for epoch in one] for one in histories])
            (line,) = [line for line in axes.lines if line.get_gid() == label]
            assert line.get_ydata() == pytest.approx(curves.mean(axis=0))
        training, validation = [band for band in axes.collections if isinstance(band, PolyCollection)]
        curves = np.array([[epoch[metric] for epoch in one] for one in histories])
        assert set(curves.min(axis=0)) | set(curves.max(axis=0)) <= set(
            np.asarray(training.get_paths()[0].vertices)[:, 1]
        )
        assert validation is not training
    assert "3 seeds, mean and range; 4,000 training images, profile quick" in all_text(figures["learning_curves"])


def test_learning_curves_of_one_seed_have_no_range():
    figure = draw(histories=[history(0)])["learning_curves"]
    assert "; 1 seed; " in all_text(figure)
    assert not [axes.collections[:] for axes in figure.axes if axes.collections]


def test_learning_curves_without_validation_images():
    figure = draw(histories=[history(seed, validation=False) for seed in range(2)])["learning_curves"]
    assert [[line.get_gid() for line in axes.lines] for axes in figure.axes] == [["training"], ["training"]]


def test_learning_curves_with_a_loss_that_was_not_finite():
    broken: list[dict[str, Any]] = [dict(epoch) for epoch in history(0)]
    broken[2] |= {"loss": None, "accuracy": None}
    figure = draw(histories=[broken, history(1)])["learning_curves"]
    figure.canvas.draw()
    accuracy = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(accuracy).tolist() == [False, False, True, False, False, False]


def test_confusion_matrix_counts_every_answer(figures):
    _, labels, predictions = answers()
    said = predictions.argmax(axis=1)
    axes, facts, _ = figures["confusion_matrix"].axes
    drawn = {(int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text()) for text in axes.texts}
    expected: dict[tuple[int, int], int] = {}
    for pair in zip(labels.tolist(), said.tolist(), strict=True):
        expected[pair] = expected.get(pair, 0) + 1
    assert drawn == expected
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("said", "true")
    (told,) = [text.get_text() for text in facts.texts]
    assert told.startswith("100 of 2,000 wrong")
    ranked = sorted(((n, t, s) for (t, s), n in expected.items() if t != s), key=lambda e: (-e[0], e))
    assert told.splitlines()[3:] == [f"{t} taken for {s}: {n}" for n, t, s in ranked[:10]]
    shares = np.ma.filled(axes.images[0].get_array(), 0)
    assert shares[ranked[0][1], ranked[0][2]] == ranked[0][0] / (labels == ranked[0][1]).sum()
    assert not shares.diagonal().any()


def test_the_opening_of_the_test_set_is_told_wherever_its_images_are_shown(figures):
    for name in ("confusion_matrix", "mistakes"):
        text = all_text(figures[name])
        assert "test set, opening 2; the model that ships, trained on 10,000 images, profile quick" in text


def test_a_hundred_classes_and_no_mistake():
    images, labels, predictions = answers(classes=100, errors=0)
    figures = champion_figures(record(), images=images, labels=labels, predictions=predictions)
    assert figures.left_out["mistakes"] == "none of the 2,000 images is taken for another class"
    matrix = figures.drawn["confusion_matrix"]
    check_layout(matrix)
    assert not matrix.axes[0].texts
    assert "0 of 2,000 wrong" in all_text(matrix)


def test_mistakes_show_the_surest_with_what_was_said(figures):
    images, labels, predictions = answers()
    axes = figures["mistakes"].axes[0]
    said, sure = predictions.argmax(axis=1), predictions.max(axis=1)
    wrong = sorted(np.flatnonzero(said != labels), key=lambda index: -sure[index])[:48]
    assert [text.get_text() for text in axes.texts] == [
        f"{labels[index]} as {said[index]}\n{sure[index]:.1%}" for index in wrong
    ]
    low, high = images[wrong].min(), images[wrong].max()
    shown = [float(image.get_array()[0, 0]) for image in axes.images]
    assert shown == pytest.approx([float((images[index].max() - low) / (high - low)) for index in wrong])
    assert "the 48 surest of 100" in all_text(figures["mistakes"])


def test_few_mistakes_in_colour():
    _, labels, predictions = answers(errors=5)
    images = np.random.default_rng(0).random((len(labels), 8, 8, 3), np.float32)
    figure = champion_figures(record(), images=images, labels=labels, predictions=predictions).drawn["mistakes"]
    check_layout(figure)
    assert len(figure.axes[0].images) == 5
    wrong = np.flatnonzero(predictions.argmax(axis=1) != labels)
    first = wrong[predictions.max(axis=1)[wrong].argmax()]
    low, high = images[wrong].min(), images[wrong].max()
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert drawn == pytest.approx((images[first] - low) / (high - low), abs=1e-6)
    assert "Mistakes: all 5, " in all_text(figure)


def test_what_is_not_given_is_left_out_with_its_reason():
    figures = champion_figures(record(histories=[], test=None))
    assert not figures.drawn
    assert figures.left_out == {
        "learning_curves": "the record has no learning curves",
        "confusion_matrix": "no predictions on test images are given",
        "mistakes": "no predictions on test images are given",
        "architecture": "the space of the champion has no closed form",
    }
