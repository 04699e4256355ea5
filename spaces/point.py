"""One point of a space, read the way a `HyperModel` reads KerasTuner's hyperparameters, and fast."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, final

SEVERAL = (list, tuple)
"""`list | tuple` would be made anew in every call."""


@final
class Point:
    """Takes the place of `keras_tuner.HyperParameters` where all values are known and nothing has to be declared.

    KerasTuner makes, checks and copies an object for every hyperparameter that is read, which takes longer than all
    the rest of describing a network. Reading a value here is a look-up. There is no other method of `HyperParameters`:
    a space that uses one gets an AttributeError.

    Args:
        values: of every active hyperparameter, by name. They are not changed.

    Reading an active hyperparameter without a value raises LookupError; an inactive one is None, as in KerasTuner.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._scope = _Scope()

    def Choice(  # noqa: N802  the methods are KerasTuner's
        self, name: str, values: Any, ordered: Any = None, default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        return self._value(name, parent_name, parent_values)

    def Int(  # noqa: N802
        self, name: str, min_value: Any, max_value: Any, step: Any = None, sampling: Any = None, default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        return self._value(name, parent_name, parent_values)

    def Float(  # noqa: N802
        self, name: str, min_value: Any, max_value: Any, step: Any = None, sampling: Any = None, default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        return self._value(name, parent_name, parent_values)

    def Boolean(  # noqa: N802
        self, name: str, default: Any = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        return self._value(name, parent_name, parent_values)

    def Fixed(  # noqa: N802
        self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        return self._value(name, parent_name, parent_values)

    def get(self, name: str) -> Any:
        """The value of an active hyperparameter; raises LookupError for any other."""
        return self.values[self._scope.prefix + name]

    __getitem__ = get

    def conditional_scope(self, parent_name: str, parent_values: Any) -> AbstractContextManager[None]:
        """What is read in the block is active only while the parent has one of these values."""
        scope = self._scope
        return _Within(scope, scope.active and self._allows(parent_name, parent_values), scope.prefix)

    def name_scope(self, name: str) -> AbstractContextManager[None]:
        """Names in the block begin with `name` and a slash."""
        scope = self._scope
        return _Within(scope, scope.active, f"{scope.prefix}{name}/")

    def _value(self, name: str, parent_name: str | None, parent_values: Any) -> Any:
        active = self._scope.active and (not parent_name or self._allows(parent_name, parent_values))
        return self.values[self._scope.prefix + name] if active else None

    def _allows(self, parent_name: str, parent_values: Any) -> bool:
        name = self._scope.prefix + parent_name
        if name not in self.values:
            return False
        value = self.values[name]
        return value in parent_values if isinstance(parent_values, SEVERAL) else value == parent_values


@final
class _Scope:
    """Whether what is read now is active, and what its name begins with."""

    def __init__(self) -> None:
        self.active, self.prefix = True, ""


@final
class _Within(AbstractContextManager[None]):
    """Within its block, a scope is as given. A generator as context manager takes twice as long."""

    def __init__(self, scope: _Scope, active: bool, prefix: str) -> None:
        self._scope, self._inside = scope, (active, prefix)

    def __enter__(self) -> None:
        scope = self._scope
        self._before = scope.active, scope.prefix
        scope.active, scope.prefix = self._inside

    def __exit__(self, *error: object) -> None:
        self._scope.active, self._scope.prefix = self._before
