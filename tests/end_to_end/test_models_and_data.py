"""What a user may train, and on which data: the budget, the score and the weights are right for each kind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from model_cases import (
    HP,
    IMAGES,
    KIND,
    LOSS,
    SEQUENCES,
    SIZE,
    TOKENS,
    X2,
    X,
    check_search,
    compiled,
    first,
    perceptron,
    tuner_of,
    units,
)

from kerastuna.search.errors import SpaceError

pytestmark = pytest.mark.usefixtures("eager")


def arrays(x: Any, y: Any = SIZE) -> Callable[[], dict[str, Any]]:
    return lambda: {"x": x, "y": y, "validation_data": (first(x), first(y))}


def sequential(*before: Any, shape: Any = (4,), dtype: str | None = None) -> Any:
    """Makes layers of the tuned units, after `keras.Input` unless `shape` is None."""

    def build(hp: HP) -> keras.Model:
        begin = [] if shape is None else [keras.Input(shape, dtype=dtype)]
        return compiled(keras.Sequential([*begin, *(layer(units(hp)) for layer in before), layers.Dense(1)]))

    return build


def several(kind: Any) -> Any:
    def build(hp: HP) -> keras.Model:
        left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
        x = layers.Dense(units(hp))(layers.Concatenate()([left, right]))
        inputs = {"left": left, "right": right} if kind is dict else kind([left, right])
        return compiled(keras.Model(inputs, layers.Dense(1)(x)))

    return build


class Subclassed(keras.Model):
    """Takes one input or several, in any structure."""

    def __init__(self, hp: HP) -> None:
        super().__init__()
        self.units = units(hp)
        self.hidden, self.last = layers.Dense(self.units), layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.hidden(keras.ops.concatenate(keras.tree.flatten(inputs), axis=-1)))


class WithConfig(Subclassed):
    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


class InTraining(Subclassed):
    """Calls a layer in training alone, and another one never."""

    def __init__(self, hp: HP) -> None:
        super().__init__(hp)
        self.sometimes, self.never = layers.Dense(4), layers.Dense(9)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(self.sometimes(inputs) if training else inputs)


class OwnBuild(keras.Model):
    """Makes its weights in `build`, and trains in a way of its own."""

    def __init__(self, hp: HP) -> None:
        super().__init__()
        self.units = units(hp)

    def build(self, input_shape: Any) -> None:
        self.left = self.add_weight(shape=(input_shape[-1], self.units))
        self.right = self.add_weight(shape=(self.units, 1))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs @ self.left @ self.right

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss: Any = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients: Any = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return {"loss": loss}


def normalization(hp: HP) -> keras.Model:
    adapted = layers.Normalization()
    adapted.adapt(X)
    return perceptron(hp, before=[lambda: adapted])


def frozen(hp: HP) -> keras.Model:
    return perceptron(hp, before=[lambda: layers.Dense(4, trainable=False), layers.BatchNormalization])


def shared(hp: HP) -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(units(hp)), layers.BatchNormalization()])
    inputs = keras.Input((4,))
    return compiled(keras.Model(inputs, layers.Dense(1)(inner(inputs) + inner(layers.Lambda(lambda x: -x)(inputs)))))


def attention(hp: HP) -> keras.Model:
    inputs = keras.Input((5, 3))
    attended = layers.MultiHeadAttention(2, units(hp), dropout=0.1)(inputs, inputs)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(attended + inputs))
    return compiled(keras.Model(inputs, layers.Dense(1)(pooled)))


def text(hp: HP) -> keras.Model:
    words = layers.TextVectorization(max_tokens=12, output_sequence_length=4)
    words.adapt(["a cat sat", "the dog ran"])
    return sequential(lambda _: words, lambda n: layers.Embedding(12, n), POOL, shape=(), dtype="string")(hp)


def low_rank(hp: HP) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dense(1)])
    model.layers[0].enable_lora(units(hp))
    return compiled(model)


def half(hp: HP) -> keras.Model:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return perceptron(hp)
    finally:
        keras.config.set_dtype_policy("float32")


POOL = lambda _: layers.GlobalAveragePooling1D()  # noqa: E731
AUGMENTED = (
    lambda _: layers.RandomFlip(),
    lambda _: layers.RandomRotation(0.1),
    lambda n: layers.Conv2D(n, 3),
    lambda _: layers.BatchNormalization(),
    lambda _: layers.Dropout(0.3),
    lambda _: layers.Flatten(),
)
MODELS: dict[str, tuple[Any, Any, tuple[int, int]]] = {
    "inputs in a list": (several(list), [X, X2], (37, 73)),
    "inputs in a tuple": (several(tuple), (X, X2), (37, 73)),
    "inputs in a dictionary": (several(dict), {"left": X, "right": X2}, (37, 73)),
    "subclassed": (lambda hp: compiled(Subclassed(hp)), X, (25, 49)),
    "subclassed, with get_config": (lambda hp: compiled(WithConfig(hp)), X, (25, 49)),
    "a layer that is called in training alone": (lambda hp: compiled(InTraining(hp)), X, (45, 69)),
    "weights and train_step of its own": (lambda hp: compiled(OwnBuild(hp)), X, (20, 40)),
    "without Input": (sequential(layers.Dense, shape=None), X, (25, 49)),
    "mixed precision": (half, X, (25, 49)),
    "LSTM": (sequential(layers.LSTM, shape=(5, 3)), SEQUENCES, (133, 393)),
    "bidirectional GRU": (
        sequential(lambda n: layers.Bidirectional(layers.GRU(n)), shape=(5, 3)),
        SEQUENCES,
        (225, 641),
    ),
    "attention": (attention, SEQUENCES, (133, 253)),
    "embedding": (sequential(lambda n: layers.Embedding(10, n), POOL, shape=(5,)), TOKENS, (45, 89)),
    "text": (text, tf.constant(["the cat ran", "a dog"] * 24), (53, 105)),
    "augmentation": (sequential(*AUGMENTED, shape=(6, 6, 1)), IMAGES, (121, 241)),
    "normalization": (normalization, X, (34, 58)),
    "frozen layers": (frozen, X, (61, 85)),
    "shared and nested layers": (shared, X, (41, 81)),
    "low-rank adaptation": (low_rank, X, (97, 145)),
}


@pytest.mark.filterwarnings("ignore:`build..` was called on layer")
@pytest.mark.parametrize("name", MODELS)
def test_models(tmp_path: Path, name: str) -> None:
    build, x, params = MODELS[name]
    check_search(tmp_path, build, arrays(x), params)


@pytest.mark.parametrize("x", [[X, X2], (X, X2), {"left": X, "right": X2}, {"both": (X, X2)}])
def test_a_subclassed_model_with_several_inputs_needs_keras_input_for_a_budget_alone(tmp_path: Path, x: Any) -> None:
    def build(hp: HP) -> keras.Model:
        return compiled(Subclassed(hp))

    check_search(tmp_path / "without", build, arrays(x), None)
    limited = tuner_of(build, tmp_path / "limited", budget=100)
    with pytest.raises(SpaceError, match=r"subclassed has no input shape.*begin it with keras\.Input\(\.\.\.\)$"):
        limited.search(**arrays(x)())
    assert limited.oracle.study.trials == []


@pytest.mark.parametrize("kind", [list, dict])
def test_several_outputs(tmp_path: Path, kind: Any) -> None:
    def build(hp: HP) -> keras.Model:
        inputs = keras.Input((4,))
        x = layers.Dense(units(hp))(inputs)
        kinds, size = layers.Dense(2, activation="softmax", name="kind")(x), layers.Dense(1, name="size")(x)
        model = keras.Model(inputs, {"kind": kinds, "size": size} if kind is dict else [kinds, size])
        losses, metrics = ["sparse_categorical_crossentropy", "mse"], [["accuracy"], []]
        if kind is dict:
            model.compile("sgd", dict(zip(("kind", "size"), losses, strict=True)), metrics={"kind": ["accuracy"]})
        else:
            model.compile("sgd", losses, metrics=metrics)
        return model

    y = {"kind": KIND, "size": SIZE} if kind is dict else [KIND, SIZE]
    for name, direction in (("val_kind_accuracy", "max"), ("val_size_loss", "min")):
        objective = type(LOSS)(name, direction)
        check_search(tmp_path / name, build, arrays(X, y), (35, 67), objective=objective)


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        here = slice(16 * index, 16 * index + 16)
        return X[here], SIZE[here]


def endless() -> Iterator[Any]:
    while True:
        yield X[:16], SIZE[:16]


def dataset(*arrays: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays).batch(16)


RAGGED = tf.ragged.constant([[1] * (1 + index % 5) for index in range(48)], dtype=tf.int32)
VALIDATION = (X[:16], SIZE[:16])
DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "weights of samples": lambda: {"x": X, "y": SIZE, "sample_weight": np.arange(48), "validation_data": VALIDATION},
    "weights of validation samples": lambda: {"x": X, "y": SIZE, "validation_data": (*VALIDATION, np.arange(16.0))},
    "a PyDataset": lambda: {"x": Batches(workers=2), "validation_data": Batches()},
    "a generator": lambda: {"x": endless(), "steps_per_epoch": 3, "validation_data": VALIDATION},
    "a dataset": lambda: {"x": dataset(X, SIZE), "validation_data": dataset(X[:16], SIZE[:16])},
    "a dataset with weights": lambda: {"x": dataset(X, SIZE, np.arange(48.0)), "validation_data": VALIDATION},
    "an endless dataset": lambda: {
        "x": dataset(X, SIZE).repeat(), "steps_per_epoch": 3, "validation_data": VALIDATION
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("name", DATA)
def test_data(tmp_path: Path, name: str) -> None:
    check_search(tmp_path, perceptron, DATA[name], (25, 49))


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_datasets_of_other_elements(tmp_path: Path) -> None:
    names = {"left": X, "right": X2}

    def of_names() -> dict[str, Any]:
        return {"x": dataset(names, SIZE), "validation_data": dataset(first(names), first(SIZE))}

    def ragged() -> dict[str, Any]:
        return {"x": dataset(RAGGED, SIZE), "validation_data": dataset(RAGGED[:16], SIZE[:16])}

    def late(hp: HP) -> keras.Model:
        return compiled(Subclassed(hp))

    check_search(tmp_path / "names", several(dict), of_names, (37, 73))
    embedding = sequential(lambda n: layers.Embedding(10, n), POOL, shape=(None,))
    check_search(tmp_path / "ragged", embedding, ragged, (45, 89))
    check_search(tmp_path / "late", late, DATA["a dataset"], (25, 49))


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("name", ["a generator", "a PyDataset"])
def test_data_that_tell_no_shape_need_keras_input_for_a_budget_alone(tmp_path: Path, name: str) -> None:
    build = sequential(layers.Dense, shape=None)
    check_search(tmp_path / "without", build, DATA[name], None)
    limited = tuner_of(build, tmp_path / "limited", budget=100)
    with pytest.raises(SpaceError, match=r"no input shape.*begin it with keras\.Input\(\.\.\.\)$"):
        limited.search(**DATA[name]())
    assert limited.oracle.study.trials == []
