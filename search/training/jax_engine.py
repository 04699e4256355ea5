"""The engine for JAX: an epoch and its validation are one compiled program, with loops on the device."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, final

import jax  # an extra
import keras
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from ...spaces.augmentation import Augmentation
from .jax_data import DeviceData
from .jax_epoch import EpochProgram, Pair, State

_data = DeviceData()  # for the process


@final
class JaxEngine:
    """Trains compiled Keras models whose data are arrays; ask `engine.obstacle` first whether it can train one."""

    def fit(
        self,
        model: keras.Model,
        x: np.ndarray,
        y: np.ndarray,
        *,
        batch_size: int,
        epochs: int = 1,
        validation_data: tuple[np.ndarray, np.ndarray] | None = None,
        callbacks: Iterable[keras.callbacks.Callback] = (),
        shuffle: bool = True,
        seed: int | None = None,
        verbose: int | str = 0,
        rates: Callable[[int, int], Sequence[float]] | None = None,
        augmentation: Augmentation | None = None,
        initial_epoch: int = 0,
    ) -> keras.callbacks.History:
        """Train `model` in place, as `model.fit` does.

        After every epoch the model has its weights, its moving statistics, its random seeds and the state of its
        optimizer, and `on_epoch_end` is told the same metrics as by `fit`. The learning rate of an epoch is what the
        optimizer has after `on_epoch_begin`, unless `rates` are given. Where the optimizer averages the weights, their
        averages are validated, and a callback puts them in their place. The parameters of callbacks also hold
        "trace_seconds" and "compile_seconds", which were spent before the first epoch.

        Args:
            x: (n, ...); a trained network never changes it, and neither may anybody else while it exists, since it
                stays on the device.
            y: (n, ...).
            batch_size: samples of a training step; the last step of an epoch has what is left.
            validation_data: samples and targets that are evaluated after every epoch.
            callbacks: called at the beginning and at the end of the training and of every epoch.
            shuffle: whether every epoch has an order of its own.
            seed: of these orders, at least 0; with None it is drawn from NumPy's global generator, which
                `keras.utils.set_random_seed` sets.
            verbose, initial_epoch: as for `fit`.
            rates: called with an epoch, counted from 0, and its number of steps: the learning rate of each step.
            augmentation: of the samples, which are images then. What it draws is a function of the seed and the number
                of the step.
        """
        if seed is None:
            seed = int(np.random.randint(2**31))
        train = put(x, y)
        validation = None if validation_data is None else put(*validation_data)
        make_variables(model, x, y)
        program = EpochProgram(model, batch_size, shuffle, augmentation)
        steps = -(-len(x) // batch_size)

        def given(epoch: int) -> Any:
            """The arguments of the program."""
            each = None if rates is None else np.asarray(rates(epoch, steps), np.float32)
            return state_of(model), np.uint32(seed), np.int32(epoch), train, validation, each

        began = time.perf_counter()
        lowered = jax.jit(program.epoch, donate_argnums=0).lower(*given(0))
        traced = time.perf_counter()
        run = lowered.compile(compiler_options=_compiler_options())
        listeners = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
            trace_seconds=traced - began,
            compile_seconds=time.perf_counter() - traced,
        )
        model.stop_training = False
        logs: dict[str, float] = {}
        listeners.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            listeners.on_epoch_begin(epoch)
            # A callback may have changed the state, the learning rate above all.
            state, metrics = run(*given(epoch))
            _assign(model, state)
            logs = {name: float(value) for name, value in jax.device_get(metrics).items()}
            listeners.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        if epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        listeners.on_train_end(logs)
        return model.history


def use_compilation_cache(folder: Path) -> None:
    """Keep every compiled program of this process in `folder`, and take from there what is known.

    JAX leaves out programs that compile within a second otherwise. The folder is made when it is needed.
    """
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    compilation_cache.reset_cache()  # JAX decides at its first compilation whether it uses one


def _compiler_options() -> Any:
    """On a CPU, the first level of LLVM's optimization compiles in a third of the time, and an epoch takes as long."""
    return {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else {}


def put(x: np.ndarray, y: np.ndarray) -> Pair:
    return _data.put(x), _data.put(y)


def make_variables(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Make the variables of the optimizer and of the metrics, which Keras makes at the first batch."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)

    def see(x: Any, y: Any) -> None:
        answers = model(x, training=False)
        model.compute_loss(x, y, answers, training=False)
        model.compute_metrics(x, y, answers)

    two = [jax.ShapeDtypeStruct((2, *array.shape[1:]), array.dtype) for array in (x, y)]
    with keras.StatelessScope():  # variables that are made inside get their values at its end, outside of the trace
        jax.eval_shape(see, *two)
    model.reset_metrics()


def _variables_of(model: keras.Model) -> dict[str, list[Any]]:
    return {
        "trainable": model.trainable_variables,
        "non_trainable": model.non_trainable_variables,
        "optimizer": model.optimizer.variables,
    }


def state_of(model: keras.Model) -> State:
    return {kind: [variable.value for variable in variables] for kind, variables in _variables_of(model).items()}


def _assign(model: keras.Model, state: State) -> None:
    for kind, variables in _variables_of(model).items():
        for variable, value in zip(variables, state[kind], strict=True):
            variable.assign(value)
