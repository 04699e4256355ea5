"""What a search is asked to do: the options of the command, checked, and the profiles that fill in the rest."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from .errors import InputError, StudyError

DEFAULT_SPACE = "kerastuna.spaces.convnet:ConvNet"
RUNS_FOLDER = Path("mlruns")
SAMPLERS = ("tpe", "random", "gp", "cmaes", "nsga2", "qmc")
PRUNERS = ("halving", "hyperband", "median", "none")


@final
@dataclass(frozen=True)
class Profile:
    """How thorough a search is.

    Attributes:
        images: training images; None for all. Validation is a tenth of the data set in every profile.
        epochs: of a full trial.
        trials: trained trials of the study in all.
    """

    name: str
    images: int | None
    epochs: int
    trials: int


PROFILES = {
    "quick": Profile("quick", images=4000, epochs=5, trials=20),
    "full": Profile("full", images=None, epochs=20, trials=100),
}


@final
@dataclass(frozen=True)
class SearchOptions:
    """The options of `kerastuna search`; None where the profile decides.

    Args:
        space, data: see the README; `device`: "auto", "gpu" or "cpu".
        budget: the most parameters, at least 1.
        profile: "auto", "quick" or "full".
        images: training images; `epochs`: of a full trial; `trials`: trained trials in all; each at least 1.
        timeout: seconds, above 0, after which no epoch is begun.
        study: its name; None for data-space-budget-profile.
        storage: of the study; `tracking_uri`: of MLflow; None for those in `folder`.
        warm_start: whether the reference networks of the space are tried first.

    Raises InputError for a value outside these bounds.
    """

    space: str = DEFAULT_SPACE
    data: str = "mnist"
    budget: int = 15000
    profile: str = "auto"
    images: int | None = None
    trials: int | None = None
    epochs: int | None = None
    timeout: float | None = None
    device: str = "auto"
    seed: int = 0
    sampler: str = "tpe"
    pruner: str = "halving"
    study: str | None = None
    storage: str | None = None
    tracking_uri: str | None = None
    warm_start: bool = True
    folder: Path = RUNS_FOLDER

    def __post_init__(self) -> None:
        for name in ("budget", "images", "trials", "epochs", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"--{name} {value}: give a number above 0")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed {self.seed}: give a whole number from 0 to {2**32 - 1}")
        for name, allowed in (("profile", ("auto", *PROFILES)), ("sampler", SAMPLERS), ("pruner", PRUNERS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name} {getattr(self, name)}: choose one of {', '.join(allowed)}")
        if self.study is not None and not self.study.strip():
            raise StudyError("--study is empty: give a name, or leave it out")

    def resolved(self, on_gpu: bool) -> Profile:
        """The profile, with "auto" decided by the device, and with what was given in place of its numbers."""
        name = self.profile if self.profile != "auto" else "full" if on_gpu else "quick"
        given: dict[str, Any] = {"images": self.images, "epochs": self.epochs, "trials": self.trials}
        return replace(PROFILES[name], **{key: value for key, value in given.items() if value is not None})

    def request(self, profile: Profile) -> dict[str, Any]:
        """The options that make the same study again, with what `profile` decided; JSON-able."""
        names = ("space", "data", "budget", "seed", "sampler", "pruner")
        return {name: getattr(self, name) for name in names} | {
            "profile": profile.name,
            "images": profile.images,
            "epochs": profile.epochs,
            "trials": profile.trials,
        }

    def study_name(self, data: str, space: str, profile: str) -> str:
        """The name given, or data-space-budget-profile."""
        return self.study or f"{data}-{space}-{self.budget}-{profile}"

    @property
    def storage_location(self) -> str | Path:
        """Where the study is kept."""
        return self.storage or self.folder / "optuna.journal"
