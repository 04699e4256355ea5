"""How the answers of real Keras models are read, and which models are refused."""

from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.datasets.answers import ClassAnswers, NumberAnswers
from kerastuna.search.datasets.task import Classification, Regression, Task
from kerastuna.search.errors import SpaceError
from kerastuna.search.training.answers import answers_of, check_measured, metrics_of, takes_logits, takes_one_hot

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 4)).astype(np.float32)
TWO = (X[:, 0] + 0.3 * RNG.normal(size=300) > 0.4).astype(np.int32)
THREE = np.digitize(X[:, 0], [-0.4, 0.4]).astype(np.int32)
ONE_HOT = np.eye(3, dtype=np.float32)[THREE]
NUMBERS = (X @ RNG.normal(size=(4, 3))).astype(np.float32)
BINARY, SPARSE = keras.losses.BinaryCrossentropy, keras.losses.SparseCategoricalCrossentropy


def model(units: int, activation: str | None, loss: Any, *metrics: Any, y: np.ndarray | None = None) -> Any:
    """A small network, trained where `y` is given."""
    keras.utils.set_random_seed(5)
    made: Any = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=activation)])
    if loss is not None:
        made.compile(keras.optimizers.Adam(0.05), loss, metrics=list(metrics), run_eagerly=True)
    if y is not None:
        made.fit(X, y, epochs=2, verbose=0)
    return made


READABLE: list[Any] = [
    (Classification(2), (1, "sigmoid", "binary_crossentropy", "accuracy"), TWO, "accuracy", ClassAnswers(1, False)),
    (
        Classification(2),
        (1, None, BINARY(from_logits=True), keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)),
        *(TWO, "accuracy", ClassAnswers(1, True)),
    ),
    (
        Classification(2),
        (
            1,
            None,
            lambda y, z: keras.losses.binary_crossentropy(y, z, from_logits=True),
            keras.metrics.BinaryAccuracy("acc", threshold=0.0),
        ),
        *(TWO, "acc", ClassAnswers(1, True)),
    ),
    (Classification(2), (2, "softmax", SPARSE(), "accuracy"), TWO, "accuracy", ClassAnswers(2, False)),
    (Classification(3), (3, "softmax", SPARSE(), "accuracy"), THREE, "accuracy", ClassAnswers(3, False)),
    (Classification(3), (5, "softmax", SPARSE(), "accuracy"), THREE, "accuracy", ClassAnswers(5, False)),
    (Classification(3), (3, None, SPARSE(from_logits=True), "accuracy"), THREE, "accuracy", ClassAnswers(3, True)),
    (
        Classification(3, one_hot=True),
        (3, "softmax", "categorical_crossentropy", "categorical_accuracy"),
        *(ONE_HOT, "categorical_accuracy", ClassAnswers(3, False)),
    ),
    (
        Classification(3, one_hot=True),
        (3, None, keras.losses.CategoricalCrossentropy(from_logits=True), "accuracy"),
        *(ONE_HOT, "accuracy", ClassAnswers(3, True)),
    ),
    (Regression(), (1, None, "mse", "mae"), NUMBERS[:, 0], "mae", NumberAnswers(1)),
    (
        Regression(),
        (1, None, "mse", keras.metrics.RootMeanSquaredError()),
        NUMBERS[:, 0],
        "root_mean_squared_error",
        NumberAnswers(1),
    ),
    (Regression(3), (3, None, "mae", "mse"), NUMBERS, "mse", NumberAnswers(3)),
    (Regression(3), (3, None, "mae", keras.metrics.R2Score()), NUMBERS, "r2_score", NumberAnswers(3)),
]


@pytest.mark.parametrize(("task", "made", "y", "metric", "answers"), READABLE)
def test_a_metric_of_the_answers_is_what_keras_reports(
    task: Task, made: tuple, y: np.ndarray, metric: str, answers: Any
) -> None:
    network = model(*made, y=y)
    found = answers_of(network, task, X, y, metric)
    assert found == answers
    own = task.metric(metric, y, found.read(network.predict(X, verbose=0)))
    assert own == pytest.approx(metrics_of(network, X, y)[metric], rel=1e-3)


@pytest.mark.parametrize("bias", [0.0, 1990.0, 2000.0])
def test_numbers_far_from_zero_are_read_though_keras_is_not_exact(bias: float) -> None:
    years = (2000 + 10 * RNG.normal(size=300)).astype(np.float32)
    network = model(1, None, "mse", "r2_score")
    network.layers[-1].bias.assign([bias])
    assert answers_of(network, Regression(), X, years, "r2_score") == NumberAnswers(1)


def test_an_objective_that_only_the_model_knows_is_not_checked() -> None:
    network = model(3, None, "mse", y=NUMBERS)
    assert answers_of(network, Regression(3), X, NUMBERS, "loss") == NumberAnswers(3)
    assert metrics_of(network, X, NUMBERS)["loss"] == pytest.approx(network.evaluate(X, NUMBERS, verbose=0))
    assert "mae" not in metrics_of(network, X, NUMBERS)


def test_binary_accuracy_of_logits_is_refused() -> None:
    network = model(1, None, BINARY(from_logits=True), "accuracy", y=TWO)
    with pytest.raises(SpaceError, match=r"reports accuracy 0\.\d{4} where its answers, read as the logit of class 1,"):
        answers_of(network, Classification(2), X, TWO, "accuracy")


def test_logits_in_place_of_probabilities_are_refused_even_where_samples_are_sorted() -> None:
    network = model(1, None, BINARY(from_logits=True), "accuracy", y=TWO)
    x, y = np.repeat(X, 8, axis=0), np.repeat(TWO, 8)
    z = network.predict(x, verbose=0)[:, 0]
    order = np.argsort(np.where((z > 0) & (z <= 0.5), 1, 0), kind="stable")  # the first 256 show no difference
    with pytest.raises(SpaceError, match="threshold of the metric"):
        answers_of(network, Classification(2), x[order], y[order], "accuracy")


def test_a_metric_of_its_own_under_a_known_name_is_refused() -> None:
    def mae(y: Any, z: Any) -> Any:
        error: Any = keras.ops.mean(keras.ops.abs(y - z), axis=-1)
        return 1000 * error

    with pytest.raises(SpaceError, match=r"reports mae .* read as the 3 predicted numbers, give"):
        answers_of(model(3, None, "mse", mae), Regression(3), X, NUMBERS, "mae")


@pytest.mark.parametrize("kind", [list, dict])
def test_several_outputs_are_refused(kind: Any) -> None:
    x = keras.Input((4,))
    outputs = [keras.layers.Dense(2, name="a")(x), keras.layers.Dense(2, name="b")(x)]
    network = keras.Model(x, outputs if kind is list else dict(zip("ab", outputs, strict=True)))
    with pytest.raises(
        SpaceError, match=f"the model answers a {kind.__name__} of 2: a network for this command has one"
    ):
        answers_of(network, Classification(2), X, TWO, "accuracy")


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"shape \(n, 1\), but a classifier of 3 classes"):
        answers_of(model(1, "sigmoid", None), Classification(3), X, THREE, "accuracy")


def test_a_model_that_is_not_compiled_is_read_by_its_shape_and_values() -> None:
    network = model(3, "softmax", None)
    assert metrics_of(network, X, THREE) == {}
    assert answers_of(network, Classification(3), X, THREE, "accuracy") == ClassAnswers(3, False)
    assert answers_of(model(3, None, None), Classification(3), X, THREE, "accuracy") == ClassAnswers(3, True)
    assert answers_of(model(1, None, None), Classification(2), X, TWO, "accuracy") == ClassAnswers(1, True)


def test_a_metric_that_is_no_number_is_not_told() -> None:
    each: Any = None
    network = model(3, None, "mse", keras.metrics.R2Score(class_aggregation=each))
    assert "r2_score" not in metrics_of(network, X, NUMBERS)
    assert answers_of(network, Regression(3), X, NUMBERS, "r2_score") == NumberAnswers(3)


@pytest.mark.parametrize(
    ("loss", "y", "told"),
    [
        ("categorical_crossentropy", THREE, r"which are int32 \(n,\) \(ValueError: .*same rank"),
        ("sparse_categorical_crossentropy", ONE_HOT, r"which are float32 \(n, 3\) \(ValueError: .*must have rank"),
    ],
)
def test_targets_that_the_loss_does_not_take_are_told_in_one_line(loss: str, y: np.ndarray, told: str) -> None:
    network = model(3, "softmax", loss, "accuracy")
    with pytest.raises(
        SpaceError, match=f"loss and metrics cannot be computed for the targets, {told}.*: give targets"
    ) as e:
        metrics_of(network, X, y)
    assert len(str(e.value).splitlines()) == 1
    with pytest.raises(SpaceError, match="cannot be computed for the targets"):
        answers_of(network, Classification(3, one_hot=y is ONE_HOT), X, y, "accuracy")


@keras.saving.register_keras_serializable("test_answers")
def own_loss(y: Any, z: Any) -> Any:
    return keras.losses.categorical_crossentropy(y, z)


@pytest.mark.parametrize(
    ("loss", "columns", "one_hot"),
    [
        ("categorical_crossentropy", 3, True),
        ("CategoricalCrossentropy", 3, True),
        (keras.losses.categorical_crossentropy, 3, True),
        ([keras.losses.CategoricalCrossentropy(from_logits=True)], 3, True),
        (keras.losses.CategoricalFocalCrossentropy(), 3, True),
        ("mse", 3, True),
        (BINARY(), 3, True),
        (BINARY(), 1, False),
        ("sparse_categorical_crossentropy", 3, False),
        (SPARSE(from_logits=True), 3, False),
        (keras.losses.CategoricalGeneralizedCrossEntropy(), 3, False),
        ("crossentropy", 3, None),
        (own_loss, 3, None),
        (None, 3, None),
    ],
)
def test_which_losses_take_one_hot_rows(loss: Any, columns: int, one_hot: bool | None) -> None:
    assert takes_one_hot(model(columns, None, loss), columns) is one_hot


@pytest.mark.parametrize(
    ("loss", "logits"),
    [
        ("binary_crossentropy", False),
        (BINARY(), False),
        (BINARY(from_logits=True), True),
        ([SPARSE(from_logits=True)], True),
        (None, False),
    ],
)
def test_which_losses_take_logits(loss: Any, logits: bool) -> None:
    assert takes_logits(model(3, None, loss)) is logits


def test_the_main_metric_is_compared_whatever_the_objective_is() -> None:
    network = model(1, None, BINARY(from_logits=True), "accuracy", y=TWO)
    with pytest.raises(SpaceError, match="reports accuracy"):
        answers_of(network, Classification(2), X, TWO, "loss")


@pytest.mark.parametrize(
    ("task", "made", "y", "metric"),
    [
        (Classification(2), (1, "sigmoid", None), TWO, "accuracy"),  # not compiled
        (Regression(3), (3, None, "mse", "mae"), NUMBERS, "mae"),
        (Regression(3), (3, None, "mse"), NUMBERS, "loss"),  # only Keras knows it
    ],
)
def test_what_fit_measured_is_what_the_model_answers(task: Task, made: tuple, y: np.ndarray, metric: str) -> None:
    network = model(*made, y=y if made[2] else None)
    answers = answers_of(network, task, X, y, metric)
    own = task.metric(metric, y, answers.read(network.predict(X, verbose=0)))
    right = metrics_of(network, X, y)[metric] if own is None else own
    for measured in (right, 1.02 * right):  # a mean over batches
        check_measured(network, task, answers, X, y, metric, measured)
    with pytest.raises(SpaceError, match=f"fit measured {metric} .* let the model itself change samples and answers"):
        check_measured(network, task, answers, X, y, metric, 1.5 * right)


def test_what_cannot_be_computed_is_not_compared() -> None:
    network = model(3, None, None)
    check_measured(network, Regression(3), NumberAnswers(3), X, NUMBERS, "wit", 12.0)
