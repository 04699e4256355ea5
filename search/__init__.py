"""How a space is searched: the tuner, its oracle, the budget, and what they raise."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands.functions import Champion, Export, confirm, export_champion, export_model
    from .datasets.data import Dataset, load_dataset, load_test
    from .errors import (
        DataError,
        DeviceError,
        InfeasibleArchitecture,
        InputError,
        KerastunaError,
        OverBudget,
        SearchFailed,
        SpaceError,
        StudyError,
    )
    from .report.figures import Figures
    from .report.study_report import leaderboard, study_figures
    from .study.budget import Budget, Size
    from .study.events import SearchObserver
    from .tuning.oracle import OptunaOracle
    from .tuning.tuner import OptunaTuner

__all__ = [
    "Budget",
    "Champion",
    "DataError",
    "Dataset",
    "DeviceError",
    "Export",
    "Figures",
    "InfeasibleArchitecture",
    "InputError",
    "KerastunaError",
    "OptunaOracle",
    "OptunaTuner",
    "OverBudget",
    "SearchFailed",
    "SearchObserver",
    "Size",
    "SpaceError",
    "StudyError",
    "confirm",
    "export_champion",
    "export_model",
    "leaderboard",
    "load_dataset",
    "load_test",
    "study_figures",
]

# The command answers --help and a wrong argument without importing any of this.
_MODULES = {
    "study.budget": ("Budget", "Size"),
    "commands.functions": ("Champion", "Export", "confirm", "export_champion", "export_model"),
    "datasets.data": ("Dataset", "load_dataset", "load_test"),
    "study.events": ("SearchObserver",),
    "tuning.oracle": ("OptunaOracle",),
    "report.figures": ("Figures",),
    "report.study_report": ("leaderboard", "study_figures"),
    "tuning.tuner": ("OptunaTuner",),
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # a notebook completes the names that are not imported yet, too


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY.get(name, 'errors')}", __name__), name)
