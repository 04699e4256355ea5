"""How an operation of a storage is repeated when the connection was lost in it, and it may have happened or not.

Every operation is one transaction: it has happened as a whole, or not at all. Reading is repeated as it is, and so is
what sets a value: the same value is written once more. The others look first whether they have happened:

- Adding a trial: every trial has a mark of its own, by which it is found again. It is never added twice.
- Ending a trial: one that has ended with the same state and values has ended by this operation, or by another process
  that meant the same. Of two processes that fail one trial, both may then believe that they did it; both enqueue it
  again, and of two retries one is refused.
- Taking a waiting trial (`take_trial`): it is ours when it holds the name of this process, and the time of this claim.
- Putting a trial back: it is done when the trial waits, or another process has taken it since.
- Deleting a study: it is done when the study is not there.
- Changing an attribute of a study (`change_attribute`): it is done when the value is what it was changed to.

What can happen at worst: Optuna's own way to take a trial, which `take_trial` uses behind a gRPC proxy, says that the
trial was not waiting although it has taken it. Nobody trains that trial; it is failed after five minutes, and tried
again. What is added to an attribute is there twice where another process changed it, too, before it was looked at
again. The server of a proxy repeats by itself when its own database fails: see docs/many_machines.md.
"""

import copy
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

MARK = "kerastuna:mark"
"""A system attribute of a trial in a database: what tells it from every other one."""

Calls = tuple[Callable[[], Any], Callable[[], Any]]
"""An operation, and what is called instead where it may have happened."""


def calls(name: str, method: Callable[..., Any], storage: BaseStorage, args: Any, options: Mapping[str, Any]) -> Calls:
    """The operation `name` of a storage, which is its `method` with these arguments, and how it is repeated."""
    planned = _PLANS.get(name)
    if planned is None:
        plain = partial(method, storage, *args, **options)
        return plain, partial(plain)
    return planned(method, storage, *args, **options)


def marked(trial: FrozenTrial | None) -> FrozenTrial:
    """A copy of `trial` with a mark: that of a proxy's client, or its own; of a new running one for None."""
    template = optuna.trial.create_trial(state=TrialState.RUNNING) if trial is None else copy.copy(trial)
    template.system_attrs = {MARK: uuid.uuid4().hex, **template.system_attrs}
    return template


def _adding(
    method: Callable[..., Any], storage: BaseStorage, study_id: int, template_trial: FrozenTrial | None = None
) -> Calls:
    add = partial(method, storage, study_id, marked(template_trial))
    return add, partial(add)  # it looks for the mark by itself


def _state_setting(
    method: Callable[..., Any], storage: BaseStorage, trial_id: int, state: TrialState, values: Any = None
) -> Calls:
    change = partial(method, storage, trial_id, state, values)
    if state == TrialState.RUNNING:
        return change, partial(change)
    if state == TrialState.WAITING:
        before: list[Mapping[str, Any]] = []

        def put_back() -> bool:
            now = storage.get_trial(trial_id)
            is_taken = now.state == TrialState.RUNNING and bool(before) and now.user_attrs != before[0]
            if before and (now.state == TrialState.WAITING or is_taken):
                return True  # it has happened, and another process may have taken it since
            before.append(now.user_attrs)
            return change()

        return put_back, partial(put_back)

    def end() -> bool:
        try:
            return change()
        except UpdateFinishedTrialError:
            now = storage.get_trial(trial_id)
            if now.state != state or (values is not None and now.values != list(values)):
                raise
            return True

    return change, end


def _taking(method: Callable[..., Any], storage: BaseStorage, trial_id: int, user_attrs: Mapping[str, Any]) -> Calls:
    take = partial(method, storage, trial_id, user_attrs)

    def take_or_have() -> bool:
        if take():
            return True
        now = storage.get_trial(trial_id)
        is_ours = all(now.user_attrs.get(key) == value for key, value in user_attrs.items())
        return now.state == TrialState.RUNNING and is_ours

    return take, take_or_have


def _changing(
    method: Callable[..., Any], storage: BaseStorage, study_id: int, key: str, change: Callable[[Any], Any]
) -> Calls:
    written: list[Any] = []

    def first(old: Any) -> Any:
        new = change(old)
        written.append(json.loads(json.dumps(new)))
        return new

    def again(old: Any) -> Any:
        return old if old in written else first(old)

    return partial(method, storage, study_id, key, first), partial(method, storage, study_id, key, again)


def _deleting(method: Callable[..., Any], storage: BaseStorage, study_id: int) -> Calls:
    delete = partial(method, storage, study_id)

    def delete_if_there() -> None:
        with suppress(KeyError):
            delete()

    return delete, delete_if_there


_PLANS: Mapping[str, Callable[..., Calls]] = {
    "create_new_trial": _adding,
    "_create_new_trial": _adding,
    "set_trial_state_values": _state_setting,
    "take_trial": _taking,
    "change_attribute": _changing,
    "delete_study": _deleting,
}
