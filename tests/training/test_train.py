"""Training one network: the seed decides it, every epoch is reported, and a loss that is not finite ends it."""

import random
from contextlib import nullcontext
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.search.datasets.data import Dataset, load_dataset
from kerastuna.search.errors import SearchFailed
from kerastuna.search.training.epochs import EpochMetrics
from kerastuna.search.training.train import train


class Linear(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(10, activation="softmax"))
        rate = hp.Fixed("rate", 0.01)
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


@pytest.fixture(scope="module")
def dataset(mnist_slice: Path) -> Dataset:
    return load_dataset(str(mnist_slice), images=100)


@pytest.fixture
def space() -> keras_tuner.HyperParameters:
    return keras_tuner.HyperParameters()


def test_one_seed_gives_one_network(dataset, space):
    models = [train(Linear(), space, 5, dataset.x_train, dataset.y_train, 1)[0] for _ in range(2)]
    other, _ = train(Linear(), space, 6, dataset.x_train, dataset.y_train, 1)
    for first, second in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(models[0].get_weights()[0], other.get_weights()[0])


def test_every_epoch_is_reported_and_returned(dataset, space):
    reported: list[tuple[int, EpochMetrics]] = []
    model, history = train(
        Linear(),
        space,
        5,
        dataset.x_train,
        dataset.y_train,
        2,
        validation=(dataset.x_validation, dataset.y_validation),
        report=lambda epoch, metrics: reported.append((epoch, metrics)),
    )
    assert reported == [(1, history[0]), (2, history[1])]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"} <= set(history[1])
    loss, accuracy = model.evaluate(dataset.x_validation, dataset.y_validation, verbose=0)  # type: ignore[arg-type]
    assert history[1]["val_loss"] == pytest.approx(loss, rel=1e-5)  # the model is that of the last epoch
    assert history[1]["val_accuracy"] == pytest.approx(accuracy)


def test_without_validation_images_nothing_is_validated(dataset, space):
    _, history = train(Linear(), space, 5, dataset.x_train, dataset.y_train, 1)
    assert not any(name.startswith("val_") for name in history[0])


def test_a_loss_that_is_not_finite_ends_the_training(dataset, space):
    space.Fixed("rate", 1e38)
    with pytest.raises(SearchFailed, match=r"the network could not be trained: loss is \S+ after epoch \d"):
        train(Linear(), space, 5, dataset.x_train, dataset.y_train, 3)


def test_a_function_that_builds_models_is_trained(dataset, space):
    model, history = train(Linear().build, space, 5, dataset.x_train, dataset.y_train, 1)
    assert model.built
    assert len(history) == 1


class Silent(Linear):
    """Calls no callbacks, and returns `result`."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def fit(self, hp, model, *args, **kwargs):
        return self.result


@pytest.mark.parametrize("result", [0.25, {"val_accuracy": 0.25, "by_class": np.ones(3)}])
def test_without_epochs_what_fit_returns_is_the_one_entry(dataset, space, result):
    data = (dataset.x_train, dataset.y_train)
    _, history = train(Silent(result), space, 5, *data, 1, objective="val_accuracy")
    assert history == [{"val_accuracy": 0.25}]


def test_what_fit_returns_counts_at_the_last_epoch(dataset, space):
    class Best(Linear):
        def fit(self, hp, model, *args, **kwargs):
            super().fit(hp, model, *args, **kwargs)
            return 2.0

    data = (dataset.x_train, dataset.y_train)
    _, history = train(Best(), space, 5, *data, 2, objective="my_score")
    assert "my_score" not in history[0]
    assert history[1]["my_score"] == 2.0
    assert "loss" in history[1]


def test_a_fit_that_does_not_validate_its_last_epoch_has_a_value_all_the_same(dataset, space):
    class EveryOther(Linear):
        def fit(self, hp, model, *args, **kwargs):
            return super().fit(hp, model, *args, **kwargs, validation_freq=2)

    data = (dataset.x_train, dataset.y_train)
    validation = (dataset.x_validation, dataset.y_validation)
    _, history = train(EveryOther(), space, 5, *data, 3, validation=validation, objective="val_loss")
    assert [("val_loss" in epoch) for epoch in history] == [False, True, True]
    assert history[2]["val_loss"] == pytest.approx(history[1]["val_loss"])


@pytest.mark.parametrize("rate", [0.01, 1e38])
def test_the_program_keeps_its_random_state_and_its_dtype_policy(dataset, space, rate):
    space.Fixed("rate", rate)
    seen: list[str] = []

    class Telling(Linear):
        def build(self, hp):
            model = super().build(hp)
            seen.append(model.layers[-1].dtype_policy.name)
            return model

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    drawn = []
    try:
        for _ in range(3):
            drawn.append((random.random(), float(np.random.random()), float(keras.random.uniform(()))))
            with pytest.raises(SearchFailed) if rate > 1 else nullcontext():
                train(Telling(), space, 5, dataset.x_train, dataset.y_train, 2)
            assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
    assert seen == ["mixed_bfloat16"] * 3
    assert [len(set(values)) for values in zip(*drawn, strict=True)] == [3, 3, 3]
