"""The search space that a user names."""

import inspect
from typing import Any

from ..datasets.task import Classification, Task
from ..errors import SpaceError
from ..messages import cause, shown
from ..user_code import find_module, import_attribute, is_reference
from .options import SPACES


def check_space(spec: str) -> None:
    """Refuse, without importing Keras, a space that cannot be found; raises SpaceError."""
    if not is_reference(spec):
        raise SpaceError(
            f"space {shown(spec)} is not of the form module:attribute, such as my_space:MySpace, and neither "
            f"{' nor '.join(SPACES)}"
        )
    module = spec.partition(":")[0]
    if module != "kerastuna" and not module.startswith("kerastuna."):  # finding a submodule imports its packages
        find_module(module, f"space {shown(spec)}", SpaceError)


def space_slug(spec: str) -> str:
    """A short name for the space: its attribute in lower case."""
    return spec.rpartition(":")[2].rpartition(".")[2].lower()


def load_space(
    spec: str, input_shape: tuple[int, ...], task: Task, parameters: int | None = None, smaller: bool = False
) -> Any:
    """The `HyperModel` or build function that `spec` names.

    A class is made with what its constructor takes of these: `input_shape`, that of one sample; `classes` or `outputs`,
    as the `task` tells; `parameters`, the number that its networks may use up; and `smaller`, whether networks that use
    up less are looked for too. Where they are, `parameters` is None for a class that does not take `smaller`. Raises
    SpaceError when it cannot be imported or made, or is neither.
    """
    check_space(spec)
    module, _, attribute = spec.partition(":")
    what = f"space {shown(spec)}"
    space = import_attribute(module, attribute, what, SpaceError)
    import keras_tuner

    from ...spaces.space import SearchSpace

    if isinstance(space, SearchSpace) or (isinstance(space, type) and issubclass(space, SearchSpace)):
        _check_images_and_classes(what, input_shape, task)
    if isinstance(space, type):
        if not issubclass(space, keras_tuner.HyperModel):
            raise SpaceError(
                f"{what} is the class {space.__name__}: give a keras_tuner.HyperModel, or a build function"
            )
        offered = {"input_shape": input_shape, **task.offered}
        names = inspect.signature(space).parameters
        if "smaller" in names:
            offered |= {"parameters": parameters, "smaller": smaller}
        elif "parameters" in names:
            offered["parameters"] = None if smaller else parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in names.values())
        try:
            made = space(**{key: value for key, value in offered.items() if takes_any or key in names})
        except Exception as error:
            raise SpaceError(
                f"{what} cannot be made with {', '.join(f'{key}={value}' for key, value in offered.items())} "
                f"({cause(error)})"
            ) from error
        return _with_build(made, what)
    if isinstance(space, keras_tuner.HyperModel) or callable(space):
        return _with_build(space, what)
    raise SpaceError(f"{what} is of type {type(space).__name__}: give a keras_tuner.HyperModel, or a build function")


def _check_images_and_classes(what: str, input_shape: tuple[int, ...], task: Task) -> None:
    """Refuse data that a `SearchSpace` is not made for."""
    if len(input_shape) != 3:
        raise SpaceError(
            f"{what} takes images (height, width, channels), but the samples of this data set are {input_shape}: give "
            "a --space of your own"
        )
    if not isinstance(task, Classification):
        raise SpaceError(
            f"{what} tells classes apart, but the targets of this data set are numbers: give a --space of your own, or "
            "--task classification where they are whole numbers that stand for classes"
        )


def _with_build(space: Any, what: str) -> Any:
    import keras_tuner

    if isinstance(space, keras_tuner.HyperModel) and type(space).build is keras_tuner.HyperModel.build:
        raise SpaceError(f"{what} has no build(hp): give {type(space).__name__} one that returns a compiled model")
    return space
