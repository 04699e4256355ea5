"""One point of a space, read the way a `HyperModel` reads KerasTuner's hyperparameters, and fast."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final


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
        self._active = True
        self._prefix = ""

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
        return self.values[self._prefix + name]

    __getitem__ = get

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """What is read in the block is active only while the parent has one of these values."""
        before, self._active = self._active, self._active and self._allows(parent_name, parent_values)
        try:
            yield
        finally:
            self._active = before

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Names in the block begin with `name` and a slash."""
        before, self._prefix = self._prefix, f"{self._prefix}{name}/"
        try:
            yield
        finally:
            self._prefix = before

    def _value(self, name: str, parent_name: str | None, parent_values: Any) -> Any:
        active = self._active and (not parent_name or self._allows(parent_name, parent_values))
        return self.values[self._prefix + name] if active else None

    def _allows(self, parent_name: str, parent_values: Any) -> bool:
        name = self._prefix + parent_name
        allowed = parent_values if isinstance(parent_values, list | tuple) else [parent_values]
        return name in self.values and self.values[name] in allowed
