"""The split into training and validation: disjoint, stratified, and fixed by the seed."""

from pathlib import Path

import numpy as np
from datasets_support import Arrays, write_npz
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kerastuna.search.datasets.data import load_dataset
from kerastuna.search.datasets.splitting import stratified_sizes


def numbered_images(labels: list[int]) -> Arrays:
    """A training part whose image i has only pixels of value i, so that a split can be read off the pixels."""
    x = np.broadcast_to(np.arange(len(labels), dtype=np.float32)[:, None, None], (len(labels), 2, 3))
    return {"x_train": x, "y_train": np.array(labels)}


def numbers(x: np.ndarray) -> list[int]:
    return x[:, 0, 0, 0].astype(int).tolist()


def test_split_is_disjoint_complete_and_in_order(tmp_path: Path):
    labels = [0] * 60 + [1] * 30 + [2] * 10
    data = load_dataset(write_npz(tmp_path / "set.npz", numbered_images(labels)))
    training, validation = numbers(data.x_train), numbers(data.x_validation)
    assert sorted(training + validation) == list(range(100))
    assert training == sorted(training)
    assert np.bincount(data.y_validation).tolist() == [6, 3, 1]
    assert data.y_train.tolist() == [labels[i] for i in training]
    assert data.y_validation.tolist() == [labels[i] for i in validation]


def test_split_is_fixed_by_the_seed(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", numbered_images([0, 1, 2, 3] * 50))
    first, again, other = (load_dataset(spec, images=40, seed=seed) for seed in (3, 3, 4))
    assert numbers(first.x_validation) == numbers(again.x_validation)
    assert numbers(first.x_train) == numbers(again.x_train)
    assert numbers(first.x_validation) != numbers(other.x_validation)
    assert numbers(first.x_train) != numbers(other.x_train)
    assert (first.identity()["split_seed"], other.identity()["split_seed"]) == (3, 4)


def test_fewer_training_images_leave_validation_alone(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", numbered_images([0, 0, 1, 2] * 50))
    everything = load_dataset(spec)
    for images, used in ((3, 3), (40, 40), (180, 180), (100_000, 180)):
        data = load_dataset(spec, images=images)
        assert numbers(data.x_validation) == numbers(everything.x_validation)
        assert len(data.x_train) == used
        assert not set(numbers(data.x_train)) & set(numbers(data.x_validation))
        assert np.bincount(data.y_train, minlength=3).min() >= 1
    assert np.bincount(load_dataset(spec, images=40).y_train).tolist() == [20, 10, 10]


def test_numbers_are_split_without_classes(tmp_path: Path):
    rows = np.arange(100, dtype=np.float32)
    spec = write_npz(tmp_path / "set.npz", {"x_train": rows[:, None], "y_train": rows / 7})
    whole, again, limited, other = (
        load_dataset(spec, images=images, seed=seed) for images, seed in ((None, 3), (None, 3), (40, 3), (None, 4))
    )
    training, validation = whole.x_train[:, 0].tolist(), whole.x_validation[:, 0].tolist()
    assert (len(training), len(validation)) == (90, 10)
    assert (training, validation) == (sorted(training), sorted(validation))
    assert sorted(training + validation) == rows.tolist()
    np.testing.assert_array_equal(whole.y_train, whole.x_train[:, 0] / 7)
    np.testing.assert_array_equal(again.x_validation, whole.x_validation)
    np.testing.assert_array_equal(limited.x_validation, whole.x_validation)
    assert set(limited.x_train[:, 0].tolist()) < set(training)
    assert len(limited.x_train) == 40
    assert other.x_validation.tolist() != whole.x_validation.tolist()


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=12).filter(lambda counts: max(counts) > 1),
    images=st.integers(0, 200),
    seed=st.integers(0, 2**32),
)
@example(counts=[1] * 11 + [4], images=0, seed=0)  # in proportion, a class with a single image would have to give it
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_class_trains_and_validation_is_never_empty(tmp_path: Path, counts: list[int], images: int, seed: int):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).tolist()
    spec = write_npz(tmp_path / "set.npz", numbered_images(labels))
    images += len(counts)
    data, limited = (
        # "auto" takes many different labels for numbers
        load_dataset(spec, images=most, seed=seed, task="classification")
        for most in (None, images)
    )
    total = sum(counts)
    assert len(data.x_validation) == min(max(1, round(total / 10)), total - len(counts))
    assert np.bincount(data.y_train, minlength=len(counts)).min() >= 1
    assert sorted(numbers(data.x_train) + numbers(data.x_validation)) == list(range(total))
    assert numbers(limited.x_validation) == numbers(data.x_validation)
    assert len(limited.x_train) == min(images, len(data.x_train))
    assert set(numbers(limited.x_train)) <= set(numbers(data.x_train))
    assert np.bincount(limited.y_train, minlength=len(counts)).min() >= 1


@given(counts=st.lists(st.integers(1, 10_000), min_size=1, max_size=30), share=st.floats(0, 1))
def test_sizes_follow_the_largest_remainders(counts: list[int], share: float):
    total = int(share * sum(counts))
    array = np.array(counts)
    sizes = stratified_sizes(array, total, np.zeros_like(array), array).tolist()
    assert sum(sizes) == total
    whole = [count * total // sum(counts) for count in counts]
    remainders = [count * total % sum(counts) for count in counts]
    raised = [size - least for size, least in zip(sizes, whole, strict=True)]
    assert set(raised) <= {0, 1}
    lucky = [remainder for remainder, up in zip(remainders, raised, strict=True) if up]
    unlucky = [remainder for remainder, up in zip(remainders, raised, strict=True) if not up]
    assert not lucky or not unlucky or min(lucky) >= max(unlucky)


@given(data=st.data(), counts=st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_sizes_stay_within_their_bounds(data: st.DataObject, counts: list[int]):
    least = [data.draw(st.integers(0, count)) for count in counts]
    most = [data.draw(st.integers(low, count)) for low, count in zip(least, counts, strict=True)]
    total = data.draw(st.integers(sum(least), sum(most)))
    sizes = stratified_sizes(np.array(counts), total, np.array(least), np.array(most)).tolist()
    assert sum(sizes) == total
    assert all(low <= size <= high for low, size, high in zip(least, sizes, most, strict=True))
