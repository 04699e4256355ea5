"""The checkpoint of one training: what another process needs to go on with it after this one was killed."""

import contextlib
import functools
import json
import logging
import os
import random
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import keras
import numpy as np

from ..errors import KerastunaError
from ..messages import cause
from .epochs import EpochMetrics

Values = Mapping[str, Sequence[np.ndarray]]
"""Those of a model's variables, by their kinds."""

_logger = logging.getLogger(__name__)


@final
class UnfitCheckpoint(KerastunaError):
    """A checkpoint is of another network than the one that is trained."""


@final
@dataclass(frozen=True)
class SavedState:
    """A training after some of its epochs.

    Attributes:
        history: the metrics of these epochs, as they were reported.
        is_finished: whether there are no more of them.
        network: a digest of the network, without its weights.
        variables: their values.
        generators: the random states of Python and NumPy, in the form of `random` and `numpy.random`.
    """

    history: Sequence[EpochMetrics]
    is_finished: bool
    network: int
    variables: Values
    generators: tuple[Any, Any]

    def restore(self, model: keras.Model) -> None:
        """Give `model` its variables, and this process its random state; raises UnfitCheckpoint for another network."""
        if not can_be_kept(model):
            raise UnfitCheckpoint("it is of another network")
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        found = _variables_of(model)
        known = {kind: [value.shape for value in values] for kind, values in self.variables.items()}
        if self.network != _digest(model) or known != {kind: [tuple(v.shape) for v in found[kind]] for kind in found}:
            raise UnfitCheckpoint("it is of another network")
        for kind, variables in found.items():
            for variable, value in zip(variables, self.variables[kind], strict=True):
                variable.assign(value.view(_value_of(variable).dtype))
        random.setstate(self.generators[0])
        np.random.set_state(self.generators[1])


@final
@dataclass(frozen=True)
class Checkpoint:
    """Where the state of one training is kept.

    Attributes:
        path: of its file.
        identity: what decides the training, JSON-able: a file with another identity is of another training.
    """

    path: Path
    identity: Mapping[str, Any]

    def load(self) -> SavedState | None:
        """The state that is kept; None where there is none of this training. A damaged file is told of, and removed."""
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                if about["identity"] != _plain(self.identity):
                    return None
                variables = {
                    kind: [file[f"{kind}{place}"] for place in range(count)] for kind, count in about["counts"].items()
                }
                version, numbers, rest = about["python"]
                name, *others = about["numpy"]
                generators = (version, tuple(numbers), rest), (name, file["numpy"], *others)
                return SavedState(about["history"], about["finished"], about["network"], variables, generators)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            _logger.warning("%s is damaged (%s): its training begins anew", self.path, cause(error))
            self.remove()
            return None

    def save(
        self, model: keras.Model, values: Values, history: Sequence[EpochMetrics], *, is_finished: bool = False
    ) -> None:
        """Keep the `values_of` a model after the epochs of `history`, in place of an earlier state.

        A process that is killed leaves the earlier one or the new one. Where it cannot be written, that is told once,
        and the training goes on.
        """
        name, key, *others = np.random.get_state()
        about = {
            "identity": _plain(self.identity),
            "network": _digest(model),
            "history": [dict(metrics) for metrics in history],
            "finished": is_finished,
            "counts": {kind: len(found) for kind, found in values.items()},
            "python": random.getstate(),
            "numpy": [name, *others],
        }
        arrays: dict[str, Any] = {
            f"{kind}{place}": value for kind, found in values.items() for place, value in enumerate(found)
        }
        arrays |= {"numpy": key, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            _tell_once(
                f"no checkpoint can be written to {str(self.path.parent)!r} ({cause(error)}): a training that is "
                "killed will begin anew"
            )
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file, and what a process that was killed while it wrote has left of it."""
        with contextlib.suppress(OSError):  # it is looked for again at the start of the next search
            for path in (self.path, *self.path.parent.glob(f"{self.path.name}.*.partial")):
                path.unlink(missing_ok=True)


def can_be_kept(model: keras.Model) -> bool:
    """Whether the variables of `model` and of its optimizer are all that a training by Keras's own steps changes."""
    return model.built and getattr(model, "compiled", False) and type(model).train_step is keras.Model.train_step


def values_of(model: keras.Model) -> Values:
    """The values of all variables of `model` and of its optimizer, as they are kept."""
    return {kind: [_encoded(variable) for variable in found] for kind, found in _variables_of(model).items()}


def _variables_of(model: keras.Model) -> dict[str, list[Any]]:
    """All that a training changes: the seeds of layers are among those that are not trained."""
    return {
        "trainable": model.trainable_variables,
        "non_trainable": model.non_trainable_variables,
        "optimizer": model.optimizer.variables,
    }


def _value_of(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))


def _encoded(variable: Any) -> np.ndarray:
    """The value of a variable; one that NumPy's files do not know, such as a bfloat16, as a number of its size."""
    value = _value_of(variable)
    return value if value.dtype.kind in "biuf" else value.view(f"u{value.dtype.itemsize}")


def _digest(model: keras.Model) -> int:
    """A number that tells a network from another one, without its weights."""
    try:
        config = json.dumps(model.get_config(), default=str, sort_keys=True)
    except Exception:  # of a class of the user's own
        config = ""
    config = re.sub(r'_\d+"', '"', config)  # Keras numbers names that it gives, over all models of a process
    return zlib.crc32(f"{type(model).__name__} {type(model.optimizer).__name__} {config}".encode())


def _plain(identity: Mapping[str, Any]) -> Any:
    """As it is read from a file."""
    return json.loads(json.dumps(identity, default=str))


@functools.cache
def _tell_once(text: str) -> None:
    _logger.warning("%s", text)
