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
        "data": {"images": 4000, "input_shape": [28, 28, 1], "classes": 10},
        "objective": "val_accuracy",
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
    given_data = {"samples": images, "targets": labels, "answers": predictions}
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


def test_learning_curves_of_trainings_that_ended_at_different_epochs():
    figure = draw(histories=[history(0), history(1)[:4]])["learning_curves"]
    figure.canvas.draw()
    accuracy = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(accuracy).tolist() == [False, False, False, False, True, True]


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
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
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
    figures = champion_figures(record(), samples=images, targets=labels, answers=predictions)
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
    figure = champion_figures(record(), samples=images, targets=labels, answers=predictions).drawn["mistakes"]
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


def test_without_images_there_is_no_picture_of_mistakes():
    _, labels, predictions = answers()
    rows = np.zeros((len(labels), 13), np.float32)
    five = np.zeros((len(labels), 4, 4, 5), np.float32)
    for samples, shape in ((rows, "13"), (five, "4, 4, 5")):
        figures = champion_figures(record(), samples=samples, targets=labels, answers=predictions)
        assert figures.left_out["mistakes"] == f"samples of shape ({shape}) are not images of 1 or 3 channels"
        assert "confusion_matrix" in figures.drawn


NAMES = ("cat", "dog", "a very long name of a class", "$x_1$", *(f"animal {place}" for place in range(4, 10)))


def test_classes_are_called_by_their_names_whatever_form_their_labels_have():
    images, labels, predictions = answers()
    data = record()["data"] | {"names": list(NAMES), "one_hot": True}
    one_hot = np.eye(10, dtype=np.float32)[labels]
    figures = champion_figures(record(data=data), samples=images, targets=one_hot, answers=predictions).drawn
    matrix, mistakes = figures["confusion_matrix"], figures["mistakes"]
    for figure in (matrix, mistakes):
        check_layout(figure)
    assert [label.get_text() for label in matrix.axes[0].get_yticklabels()][:4] == [
        "cat",
        "dog",
        "a very\u2026class",
        "$x_1$",
    ]
    axes, facts, _ = matrix.axes
    counts = {(int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text()) for text in axes.texts}
    wrong = {pair: count for pair, count in counts.items() if pair[0] != pair[1]}
    assert f"cat taken for dog: {wrong[0, 1]}" in all_text(matrix) or wrong[0, 1] < sorted(wrong.values())[-10]
    assert facts.texts[0].get_text().count(" taken for ") == 10
    said, sure = predictions.argmax(axis=1), predictions.max(axis=1)
    first = max(np.flatnonzero(said != labels), key=lambda index: sure[index])
    told = mistakes.axes[0].texts[0].get_text().splitlines()
    assert len(told) == 3
    assert told[1].startswith("as ")
    assert told[0][:3] == NAMES[labels[first]][:3]


def test_learning_curves_show_the_metric_that_was_optimised():
    def curves(objective: str) -> Figure:
        kinds = [{"loss": 2.0, "val_loss": 2.5, "mae": 0.4, "val_mae": 0.6}, {"loss": 1.0, "val_loss": 1.5, "mae": 0.2}]
        kinds[1]["val_mae"] = 0.3
        return draw(objective=objective, histories=[kinds])["learning_curves"]

    of_mae, of_loss = curves("val_mae"), curves("val_loss")
    assert [axes.get_ylabel() for axes in of_mae.axes] == ["mae", "loss"]
    assert [np.asarray(line.get_ydata()).tolist() for line in of_mae.axes[0].lines] == [[0.4, 0.2], [0.6, 0.3]]
    assert of_mae.axes[0].get_yscale() == "linear"  # an error between 0 and 1 is no share
    assert [axes.get_ylabel() for axes in of_loss.axes] == ["loss"]
    for figure in (of_mae, of_loss):
        check_layout(figure)


def test_a_network_that_predicts_numbers():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(200, 2)).astype(np.float32)
    data = {"images": 4000, "input_shape": [13], "numbers": 2}
    given = {"samples": rng.random((200, 13), np.float32), "targets": targets, "answers": targets + 0.1}
    figures = champion_figures(record(data=data, objective="val_loss"), **given)
    assert list(figures.drawn) == ["learning_curves", "scatter", "residuals"]
    assert "trained on 10,000 rows" in all_text(figures.drawn["scatter"])
    assert "4,000 training rows" in all_text(figures.drawn["learning_curves"])
    assert set(figures.left_out) == {"architecture"}
    untold = champion_figures(record(data=data, test=None))
    assert untold.left_out["scatter"] == untold.left_out["residuals"] == "no predictions on test rows are given"
