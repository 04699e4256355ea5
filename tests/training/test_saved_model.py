"""What another process can load: the claims are compared with a new process that loads the files."""

import importlib
import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from kerastuna.search.errors import SpaceError
from kerastuna.search.training.saved_model import load_saved, modules_of, saving_problem

MODULE = "classes_of_a_user"
CLASSES = """
    import keras
    from keras import layers

    register = keras.saving.register_keras_serializable("user")

    class Plain(layers.Layer):
        def call(self, x): return x / 2

    @register
    class Registered(layers.Layer):
        def call(self, x): return x / 3

    class Even(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None): return keras.ops.ones(shape, dtype)

    class Loss(keras.losses.Loss):
        def call(self, y_true, y_pred): return keras.ops.abs(y_true - y_pred)

    def double(x): return 2 * x

    @register
    def triple(x): return 3 * x

    def loss(y_true, y_pred): return keras.ops.mean(keras.ops.abs(y_true - y_pred))

    class Network(keras.Model):
        def __init__(self, units=3, **named):
            super().__init__(**named)
            self.units, self.hidden, self.answer = units, layers.Dense(units), layers.Dense(1)
        def call(self, x): return self.answer(self.hidden(x))

    @register
    class Described(Network):
        def get_config(self): return {**super().get_config(), "units": self.units}

    @register
    class LeftToTheFirstCall(Described):
        def build(self, shape): self.built = True

    @register
    class Undescribed(keras.Model):
        def __init__(self, hidden):
            super().__init__()
            self.hidden = hidden
        def call(self, x): return self.hidden(x)

    def local():
        @register
        class Local(layers.Layer):
            def call(self, x): return x
        return Local()
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("user")
    (folder / f"{MODULE}.py").write_text(textwrap.dedent(CLASSES))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(MODULE)
    del sys.modules[MODULE]
    for name in [name for name in keras.saving.get_custom_objects() if name.startswith("user>")]:
        keras.saving.get_custom_objects().pop(name)


def sequential(*layers: Any, **compiled: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.compile(**{"loss": "mse", "metrics": ["mae"], **compiled})
    return model


def called(model: Any) -> Any:
    model.compile("sgd", "mse")
    model(np.zeros((1, 4), np.float32))
    return model


def made(user: ModuleType) -> dict[str, Any]:
    dense, lambda_ = keras.layers.Dense, keras.layers.Lambda
    nested = keras.Sequential([keras.Input((4,)), user.Plain()])
    return {
        "keras": sequential(dense(2, activation="relu")),
        "registered": sequential(user.Registered(), dense(2, activation=user.triple), lambda_(user.triple)),
        "described": called(user.Described(5)),
        "first data": called(keras.Sequential([dense(3), dense(1)])),
        "layer": sequential(user.Plain()),
        "nested": sequential(nested, user.Plain()),
        "initializer": sequential(dense(2, kernel_initializer=user.Even())),
        "loss": sequential(loss=user.Loss()),
        "loss function": sequential(loss=user.loss),
        "metric": sequential(metrics=[user.loss]),
        "activation": sequential(dense(2, activation=user.double)),
        "lambda": sequential(lambda_(lambda x: 2 * x)),
        "lambda activation": sequential(dense(2, activation=lambda x: 2 * x)),
        "named lambda": sequential(lambda_(user.double)),
        "keras.ops": sequential(dense(2, activation=keras.ops.abs)),
        "network": called(user.Network(5)),
        "undescribed": called(user.Undescribed(dense(1))),
        "left": called(user.LeftToTheFirstCall(5)),
        "local": sequential(user.local()),
    }


REGISTER = "put @keras.saving.register_keras_serializable() before the"
PROBLEMS = {
    "layer": f"layer Plain of {MODULE} is not registered with Keras: {REGISTER} class, else the champion cannot be",
    "nested": f"layer Plain of {MODULE} is not registered with Keras",
    "initializer": f"initializer Even of {MODULE} is not registered with Keras",
    "loss": f"loss Loss of {MODULE} is not registered with Keras",
    "loss function": f"function loss is not registered with Keras: {REGISTER} function, else",
    "metric": "function loss is not registered with Keras",
    "activation": "function double is not registered with Keras",
    "lambda": "the model has a lambda, which Keras does not load from a file: give a named function with",
    "lambda activation": "the model has a lambda",
    "named lambda": "function double is not registered with Keras",
    "keras.ops": "Keras does not load its function keras.ops.abs from a file: call it in a function with",
    "network": f"model Network of {MODULE} is not registered with Keras",
    "undescribed": "the model cannot be saved and loaded again (NotImplementedError",
    "left": "of 4 arrays of weights, 0 are the same after the model was saved and loaded: let its build",
    "local": f"layer Local of {MODULE} is defined within a function: move it to the top of the module",
}
LOADER = f"""
    import json, sys, warnings
    warnings.simplefilter("ignore")
    import keras, numpy as np, {MODULE}
    x, told = np.load("x.npy"), {{}}
    for name in json.loads(sys.argv[1]):
        try:
            told[name] = keras.saving.load_model(f"{{name}}.keras").predict(x, verbose=0).tolist()
        except Exception as error:
            told[name] = type(error).__name__
    json.dump(told, open("told.json", "w"))
"""


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_what_is_said_is_what_a_new_process_finds(user: ModuleType, tmp_path: Path, eager: None) -> None:
    models = made(user)
    said = {name: saving_problem(model) for name, model in models.items()}
    assert {name: problem for name, problem in said.items() if problem} == {
        name: said[name] for name, begins in PROBLEMS.items() if said[name].startswith(begins)
    }
    assert said.keys() >= PROBLEMS.keys()
    assert all(len(problem.splitlines()) <= 1 for problem in said.values())

    x = np.random.default_rng(0).random((3, 4), np.float32)
    np.save(tmp_path / "x.npy", x)
    saved = [name for name in models if name != "undescribed"]
    for name in saved:
        models[name].save(tmp_path / f"{name}.keras")
    environment = {"PYTHONPATH": str(Path(str(user.__file__)).parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", textwrap.dedent(LOADER), json.dumps(saved)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    told = json.loads((tmp_path / "told.json").read_text())
    same = {
        name: isinstance(told[name], list) and np.allclose(told[name], models[name].predict(x, verbose=0), atol=1e-6)
        for name in saved
    }
    assert same == {name: not said[name] for name in saved}


def test_several_problems_are_counted(user: ModuleType) -> None:
    both = sequential(user.Plain(), keras.layers.Dense(2, activation=user.double))
    assert "before the class (1 more like it), else" in saving_problem(both)


def test_no_random_number_is_drawn(user: ModuleType) -> None:
    model = sequential(keras.layers.Dropout(0.5), keras.layers.Dense(3))
    random.seed(7)
    np.random.seed(7)
    expected = (random.random(), np.random.random())
    random.seed(7)
    np.random.seed(7)
    assert saving_problem(model) == ""
    assert (random.random(), np.random.random()) == expected


def test_a_file_is_loaded_with_its_loss_or_refused_in_one_line(user: ModuleType, tmp_path: Path) -> None:
    sequential(user.Registered()).save(tmp_path / "good.keras")
    assert load_saved(tmp_path / "good.keras").loss == "mse"
    sequential(user.Plain()).save(tmp_path / "bad.keras")
    (tmp_path / "damaged.keras").write_bytes(b"no model")
    for name, why in (("bad", f"layer Plain of {MODULE} is not registered"), ("damaged", "ValueError")):
        with pytest.raises(SpaceError) as caught:
            load_saved(tmp_path / f"{name}.keras")
        assert f"{name}.keras cannot be loaded ({why}" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_the_modules_that_register_what_a_file_names(user: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    samples = keras.Input((2,))
    added = keras.layers.Add()([samples, user.Registered()(samples)])
    for model, modules in (
        (keras.Model(samples, added), (MODULE,)),
        (sequential(user.Registered()), (MODULE,)),
        (sequential(keras.layers.Dense(2, activation=user.triple)), (MODULE,)),
        (sequential(), ()),
    ):
        model.save(path)
        assert modules_of(path) == modules
