"""What models reach in int8: the figure of the file that an export writes, and one line where there is none."""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from export_support import answers_of_int8_file

from kerastuna.search.datasets.answers import ClassAnswers, NumberAnswers
from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.datasets.task import Classification, Regression
from kerastuna.search.export import formats
from kerastuna.search.export.files import write_files
from kerastuna.search.export.formats import ExportSource
from kerastuna.search.export.int8_models import Int8Models, NotQuantised

READING = ClassAnswers(10, logits=False)


def network(seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    model: Any = keras.Sequential([keras.Input((28, 28, 1))])
    for _ in range(2):
        model.add(keras.layers.Conv2D(8, 3, strides=2, activation="relu"))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("mnist", images=1_000)


@pytest.fixture(scope="module")
def models(data: Dataset) -> list[Any]:
    """The second one is hardly trained."""
    made = [network(1), network(2)]
    for model, images in zip(made, (1_000, 100), strict=True):
        model.fit(data.x_train[:images], data.y_train[:images], verbose=0)
    return made


def test_the_figures_are_those_of_the_file_that_an_export_writes(
    models: list[Any], data: Dataset, tmp_path: Path
) -> None:
    x, y = data.x_validation[:1_500], data.y_validation[:1_500]
    with Int8Models(models, data.x_train) as quantised:
        figures = quantised.figures(x, y, data.task, READING, "accuracy")
        fewer = quantised.figures(x[:77], y[:77], data.task, READING, "accuracy")
    for number, (model, figure) in enumerate(zip(models, figures, strict=True)):
        path = tmp_path / "model.keras"
        model.save(path)
        source = ExportSource(
            path, "net", x[:50], y[:50], data.x_train, task=data.task, answers=READING, preprocessing="", extra={}
        )
        write_files(tmp_path, source, ["litert_int8"])
        right = answers_of_int8_file(tmp_path / "model_int8.tflite", x).argmax(axis=1) == y
        assert (figure.metric, figure.value) == ("accuracy", pytest.approx(right.mean(), abs=1e-9))
        assert fewer[number].value == pytest.approx(right[:77].mean(), abs=1e-9)
        own = np.asarray(model.predict(x, verbose=0)).argmax(axis=1) == y
        assert figure.in_float == pytest.approx(own.mean(), abs=1e-9)
    assert any(figure.value != figure.in_float for figure in figures)
    assert figures[0].value > figures[1].value


def test_where_the_metric_is_not_known_the_main_one_of_the_task_is_told() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    y = x.sum(axis=1)
    model: Any = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(x, y, epochs=5, verbose=0)
    with Int8Models([model], x) as quantised:
        (figure,) = quantised.figures(x[:99], y[:99], Regression(), NumberAnswers(1), "loss")
        with pytest.raises(NotQuantised, match=r"of shape \(99, 1\), expected were \(n, 3\)"):
            quantised.figures(x[:99], y[:99], Regression(3), NumberAnswers(3), "mae")
    in_float = np.abs(np.asarray(model.predict(x[:99], verbose=0))[:, 0] - y[:99]).mean()
    assert figure.metric == "mae"
    assert figure.in_float == pytest.approx(in_float, rel=1e-5)
    assert figure.value != figure.in_float
    assert figure.value == pytest.approx(figure.in_float, abs=0.1)


class Unknown(keras.layers.Layer):
    """Is of this file alone, which the other process does not import."""


def reason(model: Any) -> str:
    x = np.zeros((9, 4), np.float32)
    with Int8Models([model], x) as quantised, pytest.raises(NotQuantised) as caught:
        quantised.figures(x, np.zeros(9, np.int32), Classification(2), ClassAnswers(2, False), "accuracy")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_converted_has_a_reason_in_one_line() -> None:
    layers = [keras.Input((4,)), keras.layers.Dense(2)]
    assert "Unknown" in reason(keras.Sequential([*layers, Unknown()]))

    class Broken(keras.Sequential):
        def save(self, *args: Any, **kwargs: Any) -> None:
            raise NotImplementedError("no file\nfor this")

    assert reason(Broken(layers)) == "the model cannot be saved (NotImplementedError: no file for this)"


def test_without_the_packages_of_the_extra_it_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = formats.find_spec
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "ai_edge_litert" else found(name))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    assert reason(model) == "needs ai_edge_litert: pip install 'PATH/TO/kerastuna[export]'"


def test_no_models_have_no_figures_and_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    x = np.zeros((9, 4), np.float32)
    with Int8Models([], x) as quantised:
        assert quantised.figures(x, np.zeros(9), Classification(2), ClassAnswers(2, False), "accuracy") == []
