"""A study with its storage: reading and changing single trials."""

from typing import Any, final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from ..compat.optuna import take_trial
from .attributes import is_enqueued


@final
class StoredStudy:
    """An Optuna study and the storage that it was opened from.

    Optuna's `Study` does not tell its storage, and cannot change a running trial. This class does both, with the public
    methods of the storage. Trials are named by their numbers.

    The storages of this package raise StudyError in every method once the study is deleted.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage) -> None:
        self.study = study
        self.storage = storage
        self._id = storage.get_study_id_from_name(study.study_name)
        self._ids: dict[int, int] = {}
        if (works_on := getattr(storage, "works_on", None)) is not None:
            works_on(self._id, study.study_name)

    def trials(self) -> list[FrozenTrial]:
        """All trials, by number. They are not copied: do not change them."""
        return self.study.get_trials(deepcopy=False)

    def trial(self, number: int) -> FrozenTrial:
        """One trial, read from the storage."""
        return self.storage.get_trial(self.trial_id(number))

    def trial_id(self, number: int) -> int:
        """The storage's own id of a trial. It never changes, and a server is asked for it once."""
        if number not in self._ids:
            self._ids[number] = self.storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return self._ids[number]

    def add(self, trial: FrozenTrial | None) -> int:
        """Store `trial`, in whatever state it is, or a new running one for None; returns its number."""
        trial_id = self.storage.create_new_trial(self._id, template_trial=trial)
        return self.storage.get_trial_number_from_id(trial_id)

    def live(self, number: int) -> optuna.Trial:
        """The running trial as Optuna's objective functions get it, to suggest values and to set constraints."""
        return optuna.Trial(self.study, self.trial_id(number))

    def keep(self, number: int, **attributes: Any) -> None:
        """Set user attributes of a trial that is not finished."""
        trial_id = self.trial_id(number)
        for key, value in attributes.items():
            self.storage.set_trial_user_attr(trial_id, key, value)

    def set_state(self, number: int, state: TrialState) -> bool:
        """Change the state of a trial that is not finished.

        Returns whether it changed: only one process can set a waiting trial to RUNNING. Raises Optuna's
        UpdateFinishedTrialError when the trial is finished.
        """
        return self.storage.set_trial_state_values(self.trial_id(number), state)

    def take_waiting(self, **attributes: Any) -> int | None:
        """Set the first waiting trial to RUNNING, with these user attributes, and return its number.

        Those that were enqueued come before proposals that were put back. None when no trial waits any more.
        """
        waiting = self.storage.get_all_trials(self._id, deepcopy=False, states=(TrialState.WAITING,))
        for trial in sorted(waiting, key=lambda trial: not is_enqueued(trial)):
            try:
                if take_trial(self.storage, self.trial_id(trial.number), attributes):
                    return trial.number
            except UpdateFinishedTrialError:
                continue  # another process took it, and it is finished already
        return None
