"""How answers are read, without a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kerastuna.search.datasets.answers import ClassAnswers, NumberAnswers

LOGITS = st.floats(-1e4, 1e4, width=32)


def matrices(columns: int, elements: st.SearchStrategy[float] = LOGITS) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(columns)), elements=elements)


@given(st.integers(2, 6).flatmap(matrices))
def test_logits_become_probabilities_in_the_same_order(raw: np.ndarray) -> None:
    read = ClassAnswers(raw.shape[1], logits=True).read(raw)
    assert read.dtype == np.float64
    np.testing.assert_allclose(read.sum(axis=1), 1)
    assert (read >= 0).all()
    said = raw[np.arange(len(raw)), read.argmax(axis=1)].astype(np.float64)
    np.testing.assert_allclose(said, raw.max(axis=1), atol=1e-9)  # float64 cannot tell smaller differences


@given(matrices(1, LOGITS.filter(lambda logit: logit == 0 or abs(logit) > 1e-6)))
def test_one_logit_is_that_of_the_second_class(raw: np.ndarray) -> None:
    read = ClassAnswers(1, logits=True).read(raw)
    np.testing.assert_allclose(read.sum(axis=1), 1)
    np.testing.assert_array_equal(read.argmax(axis=1), raw[:, 0] > 0)
    np.testing.assert_array_equal(read, ClassAnswers(1, logits=True).read(raw[:, 0]))  # answers of shape (n,)


@given(matrices(1, st.floats(0, 1, width=32)))
def test_one_probability_is_that_of_the_second_class(raw: np.ndarray) -> None:
    read = ClassAnswers(1, logits=False).read(raw)
    np.testing.assert_array_equal(read[:, 1], raw[:, 0])
    np.testing.assert_array_equal(read.argmax(axis=1), raw[:, 0] > 0.5)  # as keras.metrics.BinaryAccuracy


def test_probabilities_and_numbers_are_taken_as_they_are() -> None:
    raw = np.array([[0.2, 0.8], [0.6, 0.4]], np.float16)
    for answers in (ClassAnswers(2, logits=False), NumberAnswers(2)):
        np.testing.assert_array_equal(answers.read(raw), raw.astype(np.float64))
        assert answers.read(raw).dtype == np.float64
    np.testing.assert_array_equal(NumberAnswers(1).read(np.array([1.5, 2.5])), [[1.5], [2.5]])


def test_huge_logits_do_not_overflow() -> None:
    huge = np.array([[3e38, -3e38]], np.float32)
    np.testing.assert_array_equal(ClassAnswers(2, logits=True).read(huge), [[1, 0]])
    np.testing.assert_allclose(ClassAnswers(1, logits=True).read(huge.T), [[0, 1], [1, 0]], atol=1e-200)


@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (4,), (4, 2, 2)])
def test_answers_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected were \(n, 2\)"):
        ClassAnswers(2, logits=False).read(np.zeros(shape))


@pytest.mark.parametrize(
    ("answers", "width", "meaning"),
    [
        (ClassAnswers(1, logits=False), 1, "the probability of class 1"),
        (ClassAnswers(1, logits=True), 1, "the logit of class 1"),
        (ClassAnswers(7, logits=False), 7, "the probability of each class"),
        (ClassAnswers(7, logits=True), 7, "the logit of each class"),
        (NumberAnswers(1), 1, "the predicted number"),
        (NumberAnswers(3), 3, "the 3 predicted numbers"),
    ],
)
def test_their_record(answers: ClassAnswers | NumberAnswers, width: int, meaning: str) -> None:
    assert answers.record() == {"width": width, "meaning": meaning}


def test_a_single_number_tells_two_classes_apart() -> None:
    assert [ClassAnswers(columns, logits=False).classes for columns in (1, 2, 3)] == [2, 2, 3]
