"""The file of a checkpoint: what is in it, and what happens to one that is damaged, foreign or cannot be written."""

import logging
import random
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from kerastuna.search.training.checkpoints import (
    Checkpoint,
    SavedState,
    UnfitCheckpoint,
    can_be_kept,
    values_of,
)
from kerastuna.spaces.architecture import Architecture, Conv2D, Dense, Flatten
from kerastuna.spaces.space import build_model

IDENTITY = {"values": {"units": 3, "rate": 0.1}, "seed": 7}
HISTORY = [{"loss": 0.1 + 0.2, "val_loss": float("inf")}]


def network(units: int = 3, dtype: str | None = None, activation: str = "relu") -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation, dtype=dtype), layers.Dropout(0.5)])
    model.add(layers.BatchNormalization())
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    return model


def trained(dtype: str | None = None) -> keras.Model:
    model = network(dtype=dtype)
    model.fit(np.ones((8, 4)), np.ones((8, 3)))
    return model


def save(checkpoint: Checkpoint, model: keras.Model) -> None:
    checkpoint.save(model, values_of(model), HISTORY)


def load(checkpoint: Checkpoint) -> SavedState:
    saved = checkpoint.load()
    assert saved is not None
    return saved


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "kept" / "0000.npz", IDENTITY)


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_everything_comes_back(checkpoint: Checkpoint, dtype: str | None):
    model, other = trained(dtype), network(dtype=dtype)
    save(checkpoint, model)
    drawn = random.random(), np.random.random(), np.random.standard_normal()
    saved = load(checkpoint)
    assert (saved.history, saved.is_finished) == (HISTORY, False)
    saved.restore(other)
    assert (random.random(), np.random.random(), np.random.standard_normal()) == drawn
    for kind, values in values_of(model).items():
        for value, restored in zip(values, values_of(other)[kind], strict=True):
            np.testing.assert_array_equal(value, restored)
    assert len(values_of(other)["optimizer"]) == 2 + 2 * len(model.trainable_variables)
    assert any(np.any(value) for value in values_of(other)["optimizer"][2:])


def test_a_checkpoint_takes_the_place_of_the_one_before(checkpoint: Checkpoint):
    model = trained()
    save(checkpoint, model)
    checkpoint.save(model, values_of(model), [*HISTORY, *HISTORY], is_finished=True)
    saved = load(checkpoint)
    assert (len(saved.history), saved.is_finished) == (2, True)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["0000.npz"]


def test_there_is_none_of_another_training(checkpoint: Checkpoint):
    assert checkpoint.load() is None
    save(checkpoint, trained())
    for other in ({"seed": 8}, {"values": {"units": 3, "rate": 0.2}}):
        assert Checkpoint(checkpoint.path, IDENTITY | other).load() is None
    assert checkpoint.load() is not None


@pytest.mark.parametrize("other", [{"units": 4}, {"activation": "tanh"}])
def test_another_network_is_left_as_it_is(checkpoint: Checkpoint, other: dict):
    save(checkpoint, trained())
    model = network(**other)
    before = model.get_weights()
    with pytest.raises(UnfitCheckpoint):
        load(checkpoint).restore(model)
    for weights, known in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, known)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def one_bit_off(data: bytes) -> bytes:
    return data[:400] + bytes([data[400] ^ 1]) + data[401:]


@pytest.mark.parametrize("damage", [cut, one_bit_off, lambda data: b"", lambda data: b"\x93NUMPY nonsense"])
def test_a_damaged_one_is_told_of_in_one_line_and_removed(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
):
    save(checkpoint, trained())
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    assert checkpoint.load() is None
    assert "0000.npz is damaged (" in caplog.text
    assert caplog.text.endswith("): its training begins anew\n")
    assert caplog.text.count("\n") == 1
    assert not checkpoint.path.exists()


def test_nothing_is_unpickled(checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture):
    checkpoint.path.parent.mkdir()
    np.savez(checkpoint.path, about=np.array([{"identity": IDENTITY}], object))
    assert checkpoint.load() is None
    assert "allow_pickle=False" in caplog.text


def test_a_place_that_cannot_be_written_to_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    checkpoint, model = Checkpoint(tmp_path / "file" / "0000.npz", IDENTITY), trained()
    for _ in range(2):
        save(checkpoint, model)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"no checkpoint can be written to {str(tmp_path / 'file')!r} (")
    assert record.getMessage().endswith("): a training that is killed will begin anew")


def test_removing_takes_along_what_a_kill_left(checkpoint: Checkpoint):
    save(checkpoint, trained())
    other = checkpoint.path.with_name("00001.npz")
    for path in (checkpoint.path.with_name("0000.npz.17.partial"), other):
        path.touch()
    for _ in range(2):
        checkpoint.remove()
        assert list(checkpoint.path.parent.iterdir()) == [other]


def test_its_size_is_what_is_said(checkpoint: Checkpoint):
    """12 bytes for each parameter with Adam, and 20 KB."""
    layers = (Conv2D(16, 3), Flatten(), Dense(10, "softmax"))
    model = build_model(Architecture((12, 12, 1), layers))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    save(checkpoint, model)
    assert 16_000 < model.count_params() < 17_000
    assert 12 * model.count_params() < checkpoint.path.stat().st_size < 12 * model.count_params() + 20_000


def test_a_model_with_a_step_of_its_own_cannot_be_kept():
    class Own(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    model = Own([keras.Input((4,)), layers.Dense(1)])
    assert not can_be_kept(model)  # not compiled either
    model.compile("sgd", "mse")
    assert not can_be_kept(model)
    assert can_be_kept(network())
