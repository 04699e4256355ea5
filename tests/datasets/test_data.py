"""Loading data sets: slices of MNIST, small arrays, rows, and what is predicted from them."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets_support import damage, like, refusal, small_set, write_npz

from kerastuna.search.datasets.data import (
    Dataset,
    check_spec,
    load_dataset,
    load_test,
)
from kerastuna.search.datasets.resolve import EMBEDDED_MNIST
from kerastuna.search.datasets.task import Classification, Regression

# What is loaded


def test_mnist_is_scaled_and_split_nine_to_one():
    data = load_dataset("mnist")
    with np.load(EMBEDDED_MNIST) as archive:
        x, y = archive["x_train"], archive["y_train"]
    assert (data.name, data.task, data.input_shape) == ("mnist", Classification(10), (28, 28, 1))
    assert data.x_train.shape == (54000, 28, 28, 1)
    assert data.x_validation.shape == (6000, 28, 28, 1)
    assert data.x_train.dtype == data.x_validation.dtype == np.float32
    assert data.y_train.dtype == data.y_validation.dtype == np.int32
    assert data.x_train.max() == 1.0
    assert data.x_train.min() == 0.0
    # Together the two parts are MNIST again: the same images with the same labels.
    parts = zip((data.x_train, data.x_validation), (data.y_train, data.y_validation), strict=True)
    found = sorted(
        (hashlib.md5(np.round(image * 255).astype(np.uint8)).digest(), label)
        for images, labels in parts
        for image, label in zip(images, labels.tolist(), strict=True)
    )
    given = sorted((hashlib.md5(image).digest(), label) for image, label in zip(x, y.tolist(), strict=True))
    assert found == given
    shares = np.bincount(data.y_validation) / np.bincount(y)
    assert np.abs(shares - 0.1).max() < 0.0002


def test_embedded_mnist_has_the_published_checksums():
    readme = (EMBEDDED_MNIST.parent / "README.md").read_text()
    assert hashlib.sha256(EMBEDDED_MNIST.read_bytes()).hexdigest() in readme
    published = dict(re.findall(r"\| (\S+-ubyte) \| ([0-9a-f]{32}) \|", readme))
    files = {"train-images-idx3": "x_train", "train-labels-idx1": "y_train"}
    files |= {"t10k-images-idx3": "x_test", "t10k-labels-idx1": "y_test"}
    with np.load(EMBEDDED_MNIST) as archive:
        for file, key in files.items():
            array = archive[key]
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            assert hashlib.md5(header + array.tobytes()).hexdigest() == published[f"{file}-ubyte"]


@pytest.mark.parametrize(
    ("x_train", "expected_first_pixel"),
    [
        (np.full((30, 4, 5), 51, np.uint8), 0.2),
        (np.full((30, 4, 5), 51, np.int64), 0.2),
        (np.full((30, 4, 5), 255, ">u2"), 1.0),
        (np.full((30, 4, 5), -7.5, np.float64), -7.5),
        (np.full((30, 4, 5), 300, np.float16), 300.0),
        (np.full((30, 4, 5), 0.25, ">f4"), 0.25),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)
def test_integers_are_scaled_and_floats_are_kept(tmp_path: Path, x_train: np.ndarray, expected_first_pixel: float):
    data = load_dataset(write_npz(tmp_path / "set.npz", small_set(x_train=x_train)))
    assert data.x_train.dtype == np.float32
    assert data.x_train.dtype.isnative
    assert data.x_train[0, 0, 0, 0] == np.float32(expected_first_pixel)


def test_channels_image_size_and_column_of_labels_are_free(tmp_path: Path):
    y_train = np.arange(30, dtype=np.int64)[:, None] % 15
    spec = write_npz(tmp_path / "colour.npz", small_set(x_train=np.zeros((30, 3, 7, 2), np.uint8), y_train=y_train))
    data = load_dataset(spec)
    assert (data.name, data.input_shape, data.task) == ("colour", (3, 7, 2), Classification(15))
    assert data.y_train.shape == (27,)


@pytest.mark.parametrize("compressed", [False, True])
def test_test_part_of_an_npz(tmp_path: Path, compressed: bool):
    arrays = small_set()
    spec = write_npz(tmp_path / "set.npz", arrays, compressed=compressed)
    part = load_test(spec, load_dataset(spec))
    assert part is not None
    np.testing.assert_array_equal(part[0], arrays["x_test"][..., None].astype(np.float32) / 255)
    np.testing.assert_array_equal(part[1], arrays["y_test"])
    assert (part[0].dtype, part[1].dtype) == (np.float32, np.int32)


def test_a_set_without_a_test_part_has_none(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(x_test=None, y_test=None))
    assert load_test(spec, like()) is None
    assert len(load_dataset(spec).x_train) == 27


@pytest.mark.parametrize(("file", "name"), [("two words (1).npz", "two-words-1"), ("Set.v2.NPZ", "Set.v2")])
def test_the_name_is_a_slug(tmp_path: Path, file: str, name: str):
    (tmp_path / file).write_bytes(Path(write_npz(tmp_path / "source.npz", small_set())).read_bytes())
    assert load_dataset(str(tmp_path / file)).name == name


def test_path_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_npz(tmp_path / "set.npz", small_set())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_dataset("~/set.npz").name == "set"


def test_rows_of_numbers(tmp_path: Path):
    x, y = np.arange(60).reshape(20, 3) * 10, np.arange(20) / 3
    spec = write_npz(tmp_path / "rows.npz", {"x_train": x, "y_train": y, "x_test": x[:5], "y_test": y[:5]})
    check_spec(spec)
    data = load_dataset(spec)
    assert (data.task, data.input_shape, data.unit, data.columns) == (Regression(), (3,), "rows", ())
    assert (data.x_train.shape, data.x_validation.shape) == ((18, 3), (2, 3))
    assert data.x_train.dtype == data.y_train.dtype == np.float32
    np.testing.assert_allclose(data.x_train[:, 0] / 90, data.y_train, rtol=1e-6)
    part = load_test(spec, data)
    assert part is not None
    np.testing.assert_array_equal(part[0], x[:5])
    np.testing.assert_array_equal(part[1], y[:5].astype(np.float32))


def test_one_hot_rows_and_their_class_numbers(tmp_path: Path):
    arrays = small_set()
    one_hot = {key: np.eye(3)[arrays[key]] for key in ("y_train", "y_test")}
    spec = write_npz(tmp_path / "set.npz", small_set(**one_hot))
    numbers = load_dataset(write_npz(tmp_path / "numbers.npz", arrays))
    assert numbers.with_class_numbers() is numbers
    data = load_dataset(spec)
    assert (data.task, data.unit, data.y_train.dtype) == (Classification(3, one_hot=True), "images", np.float32)
    converted = data.with_class_numbers()
    assert (converted.task, converted.y_train.dtype) == (Classification(3), np.int32)
    assert (converted.name, converted.identity()) == (data.name, data.identity())
    for field in ("x_train", "x_validation", "y_train", "y_validation"):
        assert getattr(converted, field).dtype == getattr(numbers, field).dtype
        np.testing.assert_array_equal(getattr(converted, field), getattr(numbers, field))
    np.testing.assert_array_equal(data.y_train, np.eye(3)[numbers.y_train])
    for like_it, expected in ((data, one_hot["y_test"]), (converted, arrays["y_test"])):
        part = load_test(spec, like_it)
        assert part is not None
        np.testing.assert_array_equal(part[1], expected)


def test_the_task_can_be_chosen(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(y_train=np.arange(30) % 3 + 1))
    assert "--task classification" in refusal(load_dataset, spec)
    assert load_dataset(spec, task="classification").task == Classification(3, names=("1", "2", "3"))
    assert load_dataset(spec, task="regression").task == Regression()
    assert "must be one of auto, classification, regression" in refusal(load_dataset, spec, task="ranking")


# Fingerprint and identity


def test_fingerprint_is_of_the_training_arrays_alone(tmp_path: Path):
    def fingerprint(**replaced: np.ndarray | None) -> str:
        return load_dataset(write_npz(tmp_path / "set.npz", small_set(**replaced))).fingerprint

    original = small_set()
    x, y = original["x_train"], original["y_train"]
    assert re.fullmatch("[0-9a-f]{64}", fingerprint())
    assert fingerprint() == fingerprint(x_test=None, y_test=None)
    assert fingerprint() == fingerprint(x_train=np.asfortranarray(x))
    changed_pixel, changed_label = x.copy(), y.copy()
    changed_pixel[17, 2, 3] ^= 1
    changed_label[17] = (changed_label[17] + 1) % 3
    others = [
        fingerprint(x_train=changed_pixel),
        fingerprint(y_train=changed_label),
        fingerprint(x_train=x.astype(np.int16)),
        fingerprint(x_train=x.reshape(30, 5, 4)),
        fingerprint(x_train=x[::-1]),
        fingerprint(x_train=x // 2),
        fingerprint(x_train=(x // 2).astype(np.int8)),
    ]
    assert len({fingerprint(), *others}) == 8


def test_studies_of_images_with_integer_labels_keep_their_fingerprint(tmp_path: Path):
    arrays = small_set()
    digest = hashlib.sha256()
    for array, start in ((arrays["x_train"], b"|u1(30, 4, 5)"), (arrays["y_train"], b"|u1(30,)")):
        digest.update(start + array.tobytes())
    assert load_dataset(write_npz(tmp_path / "set.npz", arrays)).fingerprint == digest.hexdigest()


def test_the_fingerprint_does_not_depend_on_the_task(tmp_path: Path):
    texts = np.array(["a", "bb", "c"])[np.arange(30) % 3]
    spec = write_npz(tmp_path / "set.npz", small_set(y_train=np.arange(30) % 3))
    prints = {load_dataset(spec, task=task).fingerprint for task in ("auto", "classification", "regression")}
    prints |= {load_dataset(write_npz(tmp_path / "texts.npz", small_set(y_train=texts))).fingerprint}
    assert len(prints) == 2


def test_identity_names_what_was_used(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    everything, limited = load_dataset(spec), load_dataset(spec, images=12, seed=9)
    assert everything.fingerprint == limited.fingerprint
    assert json.loads(json.dumps(limited.identity())) == {
        "fingerprint": limited.fingerprint,
        "images": 12,
        "validation": 3,
        "validation_fraction": 0.1,
        "split_seed": 9,
    }


# The test part stays closed


def test_a_damaged_test_part_does_not_concern_training(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(), compressed=True)
    damage(spec, "x_test.npy")
    damage(spec, "y_test.npy")
    assert isinstance(load_dataset(spec), Dataset)
    assert "x_test" in refusal(load_test, spec, like=like())


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another shape": ({"x_test": np.zeros((6, 5, 5), np.uint8)}, "both must have one shape"),
    "another rank": ({"x_test": np.zeros((6, 20), np.uint8)}, "both must have one shape"),
    "no samples": ({"x_test": np.zeros((0, 4, 5), np.uint8)}, "none of them 0"),
    "texts": ({"x_test": np.full((6, 4, 5), "a")}, "must be integers or floating point"),
    "NaN": ({"x_test": np.full((6, 4, 5), np.nan)}, "NaN, infinite or beyond float32"),
    "wide integers": ({"x_test": np.full((6, 4, 5), 256)}, "allowed are 0 to 255"),
    "an unknown label": ({"y_test": np.array([0, 1, 2, 3, 0, 1])}, "labels from 0 to 3: allowed are 0 to 2"),
    "one label short": ({"y_test": np.arange(5) % 3}, "5 targets for 6 images"),
    "no labels": ({"y_test": None}, "lacks y_test"),
    "no images": ({"x_test": None}, "lacks x_test"),
}


@pytest.mark.parametrize("kind", ["file", "function"])
@pytest.mark.parametrize("name", list(WRONG))
def test_a_test_part_that_cannot_be_used_is_found_before_it_is_opened(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    replaced, told = WRONG[name]
    spec = write_npz(tmp_path / "set.npz", small_set(**replaced))
    if kind == "function":
        module = f"data_with_{name.replace(' ', '_')}"
        (tmp_path / f"{module}.py").write_text(f"import numpy as np\ndef load(): return dict(np.load({spec!r}))\n")
        monkeypatch.syspath_prepend(tmp_path)
        spec = f"{module}:load"
    refused = refusal(load_dataset, spec, check_test=True)
    assert told in refused
    assert refused == refusal(load_test, spec, like=load_dataset(spec))


@pytest.mark.parametrize("seeded", [True, False])
def test_a_function_that_splits_at_random_is_refused(seeded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec, module = write_npz(tmp_path / "set.npz", small_set()), f"split_seeded_{seeded}"
    (tmp_path / f"{module}.py").write_text(
        "import numpy as np\n\n\ndef load():\n"
        f"    arrays, order = dict(np.load({spec!r})), np.random.default_rng({0 if seeded else ''}).permutation(20)\n"
        "    return arrays | {name: arrays[name][order] for name in ('x_train', 'y_train')}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = load_dataset(f"{module}:load")
    if seeded:
        assert load_dataset(f"{module}:load", check_test=True).fingerprint == found.fingerprint
        assert load_test(f"{module}:load", found) is not None
        return
    for refused in (
        refusal(load_dataset, f"{module}:load", check_test=True),
        refusal(load_test, f"{module}:load", like=found),
    ):
        assert "returns other training samples each time" in refused
        assert "random_state" in refused


def test_a_good_test_part_is_looked_at_and_not_kept(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(), compressed=True)
    checked = load_dataset(spec, check_test=True)
    assert checked.identity() == load_dataset(spec).identity()
    for arrays in (small_set(x_test=None, y_test=None), small_set(x_test=np.ones((6, 4, 5), np.float32))):
        assert isinstance(load_dataset(write_npz(tmp_path / "other.npz", arrays), check_test=True), Dataset)
    damage(spec, "x_test.npy")
    assert "x_test of" in refusal(load_dataset, spec, check_test=True)


# Refusals


@pytest.mark.parametrize("absent", ["x_test", "y_test"])
def test_half_a_test_part(tmp_path: Path, absent: str):
    spec = write_npz(tmp_path / "set.npz", small_set(**{absent: None}))
    assert f"lacks {absent}" in refusal(load_test, spec, like=like())
    assert len(load_dataset(spec).x_train) == 27


def test_fewer_images_than_classes(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set())
    assert "2 training images" in refusal(load_dataset, spec, images=2)
    assert len(load_dataset(spec, images=3).x_train) == 3


def test_no_rows_to_train_on(tmp_path: Path):
    spec = write_npz(tmp_path / "set.npz", small_set(y_train=np.arange(30) / 7))
    assert "0 training images were asked for, but one is needed" in refusal(load_dataset, spec, images=0)
    assert len(load_dataset(spec, images=1).x_train) == 1


def test_a_negative_seed(tmp_path: Path):
    assert "-1" in refusal(load_dataset, write_npz(tmp_path / "set.npz", small_set()), seed=-1)
