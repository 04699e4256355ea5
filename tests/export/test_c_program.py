"""The C program gives every value of tflite-micro."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kerastuna.search.errors import KerastunaError
from kerastuna.search.export.c_program import WARNINGS, CompiledProgram, write_c_program
from kerastuna.search.export.formats import MICRO, missing_packages
from kerastuna.search.export.int8_file import UnknownOperator
from kerastuna.search.export.runtimes import _micro_interpreter, c_program, quantize
from kerastuna.search.export.writers import litert_int8

SAMPLES = 50
IN_WORDS = {"preprocessing": "pixels / 255", "meaning": "a */ probability"}
if shutil.which("cc") is None or missing_packages((MICRO,)):
    pytest.skip("there is no C compiler or no tflite-micro", allow_module_level=True)


def maps() -> Any:
    """Convolutions and poolings of every kind, and a BatchNormalization that cannot be folded."""
    return [
        keras.Input((11, 9, 2)),
        layers.Conv2D(6, 3, padding="same", strides=2, activation="relu6"),
        layers.DepthwiseConv2D((2, 3), depth_multiplier=2, activation="relu"),
        layers.AveragePooling2D(2, strides=1, padding="same"),
        layers.BatchNormalization(),
        layers.Conv2D(5, 3, padding="same", use_bias=False),
        layers.MaxPooling2D(2, strides=1, padding="same"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(7, activation="relu"),
        layers.Dense(4, activation="softmax"),
    ]


def curves() -> Any:
    """Activations by a table, and the largest of a map."""
    return [
        keras.Input((6, 6, 1)),
        layers.Conv2D(4, 3, activation="tanh"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3, activation="sigmoid"),
    ]


def rows() -> Any:
    return [keras.Input((6,)), layers.Dense(12, activation="relu"), layers.Dense(2), layers.Softmax()]


def residual() -> Any:
    given = keras.Input((6, 6, 3))
    inner = layers.Conv2D(3, 3, padding="same", activation="relu")(given)
    joined = layers.Add()([layers.Conv2D(3, 1)(given), inner])
    return keras.Model(given, layers.Dense(3)(layers.Flatten()(joined)))


def series() -> Any:
    """A row as a series of one channel, and the mean over its steps."""
    return [
        keras.Input((16,)),
        layers.Reshape((16, 1)),
        layers.Conv1D(4, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.GlobalAveragePooling1D(),
        layers.Dense(3),
    ]


def other_channels() -> Any:
    """A map whose values are another map's, with other channels."""
    return [
        keras.Input((4, 4, 6)),
        layers.Conv2D(6, 1),
        layers.Reshape((8, 4, 3)),
        layers.AveragePooling2D(2),
        layers.GlobalMaxPooling2D(),
    ]


def flat_answer() -> Any:
    """One softmax over all values of a map."""
    return [keras.Input((5, 5, 1)), layers.Conv2D(3, 2, strides=2), layers.Flatten(), layers.Softmax()]


def residual_rows() -> Any:
    """The converter reshapes what an addition and a dense layer take to a vector without a batch."""
    given = keras.Input((6,))
    first = layers.Dense(5, activation="relu")(given)
    joined = layers.Add()([first, layers.Dense(5)(layers.Dense(5, activation="relu")(first))])
    return keras.Model(given, layers.Dense(3)(joined))


@pytest.fixture
def written(request: Any, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """The int8 file of a network with random weights, and samples for it."""
    made = request.param()
    model: Any = keras.Sequential(made) if isinstance(made, list) else made
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.uniform(0.2 if "variance" in weight.name else -0.8, 0.9, weight.shape))
    samples = rng.normal(size=(SAMPLES, *model.input_shape[1:])).astype("float32")
    np.save(tmp_path / "samples.npy", samples)
    model.save(tmp_path / "model.keras")
    path = tmp_path / "model.tflite"
    calibration = str(tmp_path / "samples.npy")
    litert_int8(str(tmp_path / "model.keras"), (), model.input_shape[1:], str(path), calibration)
    return path, samples


def answers(path: Path, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples and the answers of tflite-micro, both int8."""
    micro = _micro_interpreter(str(path))
    quantization = micro.get_input_details(0)["quantization_parameters"]
    values = quantize(samples, quantization["scales"][0], quantization["zero_points"][0])
    found = []
    for value in values:
        micro.set_input(value[np.newaxis], 0)
        micro.invoke()
        found.append(micro.get_output(0).reshape(-1).copy())
    return values, np.array(found)


@pytest.mark.parametrize(
    ("written", "operators"),
    [
        (maps, {"conv", "depthwise", "average_pool", "max_pool", "multiply", "add", "mean", "softmax"}),
        (curves, {"conv", "look_up", "maximum"}),
        (rows, {"conv", "softmax"}),
        (residual, {"conv", "add"}),
        (series, {"conv", "max_pool", "mean"}),
        (other_channels, {"conv", "average_pool", "maximum"}),
        (flat_answer, {"conv", "softmax"}),
        (residual_rows, {"conv", "add"}),
    ],
    indirect=["written"],
)
def test_every_value_is_that_of_tflite_micro(
    written: tuple[Path, np.ndarray], operators: set[str], tmp_path: Path
) -> None:
    path, samples = written
    values, expected = answers(path, samples)
    assert len(np.unique(expected, axis=0)) > 3
    folder = tmp_path / "program"
    facts = write_c_program(path, folder, "a test /* of */ comments", values[0], expected[0], **IN_WORDS)
    assert set(facts["operators"]) == operators
    assert facts["constant_bytes"] < path.stat().st_size
    program = CompiledProgram(folder)
    given = np.array([program.run(value)[0] for value in values])
    assert np.array_equal(given, expected)
    assert program.compiler


@pytest.mark.parametrize("written", [rows], indirect=True)
def test_the_program_is_c_and_cpp_and_tells_a_wrong_answer(written: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, samples = written
    np.save(tmp_path / "one.npy", samples[:1])
    folder = tmp_path / "program"
    c_program(str(path), str(folder), str(tmp_path / "one.npy"), "rows", **IN_WORDS)
    header = " ".join((folder / "network.h").read_text().replace("*", "").split())
    assert "Input: int8, 6 values, of which the last index changes first;" in header
    assert "where x is the input as float32 (pixels / 255)." in header
    if (compiler := shutil.which("c++")) is not None:
        standards = ["-std=c++98" if word == "-std=c99" else word for word in WARNINGS]
        sources = ["-x", "c++", str(folder / "main.c"), str(folder / "network.c")]
        command = [compiler, *standards, *sources, "-o", str(tmp_path / "cpp")]
        subprocess.run(command, check=True)
        told = subprocess.run([tmp_path / "cpp"], check=True, capture_output=True, text=True).stdout
        assert told.endswith("\nas expected\n")
    test = (folder / "test_image.h").read_text()
    head, tail = test.rsplit("{", 1)
    (folder / "test_image.h").write_text(f"{head}{{{tail.replace(',', '+1,', 1)}")
    with pytest.raises(KerastunaError, match=r"program in program failed \(WRONG: 1 values are not as expected\)"):
        CompiledProgram(folder)
    (folder / "network.c").write_text("int unfinished(")
    with pytest.raises(KerastunaError, match=r"cc in program failed \(.*network\.c"):
        CompiledProgram(folder)


def unknown() -> Any:
    return [keras.Input((4, 4, 1)), layers.Conv2DTranspose(2, 2), layers.Flatten(), layers.Dense(2)]


@pytest.mark.parametrize("written", [unknown], indirect=True)
def test_an_operator_that_it_does_not_have(written: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, samples = written
    with pytest.raises(UnknownOperator, match=r"the operator [A-Z_]* is not in the C program"):
        write_c_program(path, tmp_path / "program", "unknown", samples[0], samples[0], **IN_WORDS)
    np.save(tmp_path / "one.npy", samples[:1])
    told = c_program(str(path), str(tmp_path / "program"), str(tmp_path / "one.npy"), "unknown", **IN_WORDS)
    assert "is not in the C program" in told["left_out"]
    assert not (tmp_path / "program").exists()


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KerastunaError, match="there is no C compiler"):
        CompiledProgram(tmp_path)
