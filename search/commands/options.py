"""What a search is asked to do: the options of the command, checked, and the profiles that fill in the rest."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final, get_args

from ...spaces.chip import LEAST_FLASH, LEAST_RAM
from ..datasets.names import TASKS
from ..errors import InputError
from ..messages import redact, shortened
from ..proposals.names import PRUNER_NAMES, SAMPLER_NAMES
from ..study.boards import board_of
from ..study.budget import COST_NAMES, COSTS, Budget
from ..study.directions import Direction, direction_of
from ..study.names import JOURNAL_NAME, check_study_name, safe_study_name
from ..workers.cluster import check_ray
from ..workers.plan import Workers, check_workers

SPACES = {"convnet": "kerastuna.spaces.convnet:ConvNet", "compact": "kerastuna.spaces.compact:Compact"}
"""Spaces by their short names."""
DEFAULT_SPACE = SPACES["convnet"]
RUNS_FOLDER = Path("mlruns")
LARGEST = 2**63 - 1
"""Of any number: databases and file formats hold no larger one."""
MOST_WORKERS = 4096


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


def objective_of(text: str) -> tuple[str, Direction]:
    """A metric and its direction, from NAME:max, NAME:min or the name of one whose direction is known.

    Raises InputError for any other text.
    """
    name, _, direction = text.partition(":")
    if direction_of(name) is not None and not name.startswith("val_"):
        raise InputError(f"objective {name!r} is measured on the samples of the training: give val_{name}")
    known = direction if direction in get_args(Direction) else None if direction else direction_of(name)
    if not name or known is None:
        raise InputError(
            f"objective {text!r}: give the name of a metric that the training reports, such as val_accuracy, with :max "
            "or :min behind it where the name does not tell which is better"
        )
    return name, "max" if known == "max" else "min"


@final
@dataclass(frozen=True)
class SearchOptions:
    """The options of `kerastuna search`; None where the profile decides.

    Args:
        space, data: see docs/settings.md; `device`: "auto", "gpu" or "cpu".
        task: "auto", "classification" or "regression"; `target`: the column of a table that is predicted, None for the
            last.
        objective: NAME or NAME:max or NAME:min; None for the usual one of the task.
        budget: the most parameters, at least 1; `max_macs`: the most multiply-accumulates for one image; `max_ram`: the
            most bytes of tflite-micro's arena for the network in int8; `max_flash`: of its int8 file;
            `max_activations`: of activations at the peak, float32.
        board: a name of `BOARDS`, which sets `max_ram` and `max_flash` where they are None.
        pareto: what a Pareto front is made of; `minimize`, `reach`: what is to be small, and the target to be reached.
            None: the best value of the objective.
        profile: "auto", "quick" or "full".
        images: training images; `epochs`: of a full trial; `trials`: trained trials in all; each at least 1.
        timeout: seconds, above 0, after which no epoch is begun; `trial_timeout`: seconds that one trial may take.
        fix: values of hyperparameters that are not varied, by name; None for none.
        workers: processes that train at the same time, or "auto"; `workers_per_gpu`: the same, for each GPU.
        ray: the Ray cluster that has the workers, "auto" or HOST:PORT; `gpus_per_trial`: of each of them, a fraction or
            a whole number. None: this machine.
        study: its name; None for data-space-budget-profile.
        storage: of the study; `tracking_uri`: of MLflow; None for those in `folder`.
        warm_start: whether the starting points of the space are tried first.
        begin_with: another study of the space, whose best trials are tried next; None for none.

    Raises InputError for a value outside these bounds, and StudyError for a name that `check_study_name` refuses.
    """

    space: str = DEFAULT_SPACE
    data: str = "mnist"
    task: str = "auto"
    target: str | None = None
    objective: str | None = None
    budget: int = 15000
    max_macs: int | None = None
    max_ram: int | None = None
    max_flash: int | None = None
    max_activations: int | None = None
    board: str | None = None
    pareto: Sequence[str] | None = None
    minimize: str | None = None
    reach: Mapping[str, float] | None = None
    profile: str = "auto"
    images: int | None = None
    trials: int | None = None
    epochs: int | None = None
    timeout: float | None = None
    trial_timeout: float | None = None
    fix: Mapping[str, str] | None = None
    device: str = "auto"
    workers: Workers = "auto"
    workers_per_gpu: Workers = "auto"
    ray: str | None = None
    gpus_per_trial: float | None = None
    seed: int = 0
    sampler: str = "tpe"
    pruner: str | None = None
    study: str | None = None
    storage: str | None = None
    tracking_uri: str | None = None
    warm_start: bool = True
    begin_with: str | None = None
    folder: Path = RUNS_FOLDER

    def __post_init__(self) -> None:
        maxima = ("max_macs", "max_ram", "max_flash", "max_activations")
        for name in ("budget", *maxima, "images", "trials", "epochs", "timeout", "trial_timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST:
                told = shortened(str(value))
                raise InputError(f"--{name.replace('_', '-')} {told}: give a number above 0, up to {LARGEST}")
        check_workers(self.workers, self.workers_per_gpu)
        if any(isinstance(given, int) and given > MOST_WORKERS for given in (self.workers, self.workers_per_gpu)):
            raise InputError(f"--workers and --workers-per-gpu: give at most {MOST_WORKERS}")
        check_ray(self.ray, self.gpus_per_trial)
        if self.ray is not None and self.workers_per_gpu != "auto":
            raise InputError(f"--workers-per-gpu {self.workers_per_gpu}: with --ray give --gpus-per-trial instead")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed {shortened(str(self.seed))}: give a whole number from 0 to {2**32 - 1}")
        allowed_values = {
            "task": TASKS,
            "profile": ("auto", *PROFILES),
            "sampler": SAMPLER_NAMES,
            "pruner": (None, *PRUNER_NAMES),
        }
        for name, allowed in allowed_values.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name} {getattr(self, name)}: choose one of {', '.join(filter(None, allowed))}")
        limits = self.limits
        for limit, name, least in ((limits.flash, "flash", LEAST_FLASH), (limits.ram, "ram", LEAST_RAM)):
            if limit is not None and limit < least:
                raise InputError(f"--max-{name} {limit}: no network takes fewer than {least:,} bytes; give more")
        for study, option in ((self.study, "--study "), (self.begin_with, "--begin-with ")):
            if study is not None:
                check_study_name(study, option)
        self._check_goal()

    def _check_goal(self) -> None:
        goals = {"--objective": self.objective, "--pareto": self.pareto, "--reach": self.reach}
        given = [name for name, value in goals.items() if value is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other, as each names a metric: give one of them")
        if (self.minimize is None) != (self.reach is None):
            raise InputError("--minimize and --reach belong together: --minimize params --reach val_accuracy=0.99")
        if self.minimize is not None and self.minimize not in COST_NAMES:
            raise InputError(f"--minimize {self.minimize}: choose one of {', '.join(COSTS)}")
        if self.pareto is not None:
            names = [COST_NAMES.get(part, part.partition(":")[0]) for part in self.pareto]
            if len(names) < 2 or len(set(names)) < len(names) or set(names) <= set(COSTS):
                raise InputError(
                    f"--pareto {','.join(self.pareto)}: give a metric, such as val_accuracy, and one or more of "
                    f"{', '.join(COSTS)} or other metrics, each once"
                )
        for metric in self.metrics:
            try:
                objective_of(metric)
            except InputError as error:
                costs = "" if self.pareto is None else f"; the costs are {', '.join(COSTS)}"
                raise InputError(f"{error}{costs}") from error
        if self.reach is not None and not all(map(direction_of, self.reach)):
            raise InputError(f"--reach {', '.join(self.reach)}: give one metric whose name tells its direction")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are named, the main one first, as they were given; empty for the usual one of the task."""
        if self.objective is not None:
            return (self.objective,)
        return tuple(part for part in self.pareto or self.reach or () if part not in COST_NAMES)

    def arguments(self, *without: str) -> dict[str, str]:
        """What differs from the defaults, as arguments of the command by the names of the fields; without passwords."""
        given: dict[str, str] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name in without or value == getattr(SearchOptions, name):
                continue
            if isinstance(value, Mapping):
                given[name] = ",".join(f"{key}={part}" for key, part in value.items())
            else:
                given[name] = redact(",".join(value) if isinstance(value, list | tuple) else str(value))
        return given

    @property
    def own_device(self) -> str:
        """What this process uses: where workers on other machines have GPUs, it may have none."""
        return "auto" if self.ray is not None and self.device == "gpu" else self.device

    @property
    def wants_smaller(self) -> bool:
        """Whether a network that costs less is looked for, and not the most accurate one alone."""
        return any(goal in COST_NAMES for goal in (*(self.pareto or ()), self.minimize))

    @property
    def limits(self) -> Budget:
        """Every limit on a network."""
        board = None if self.board is None else board_of(self.board)
        return Budget(
            self.budget,
            self.max_macs,
            self.max_ram if board is None or self.max_ram is not None else board.max_ram,
            self.max_flash if board is None or self.max_flash is not None else board.max_flash,
            self.max_activations,
        )

    def resolved(self, on_gpu: bool) -> Profile:
        """The profile, with "auto" decided by the device, and with what was given in place of its numbers."""
        name = self.profile if self.profile != "auto" else "full" if on_gpu else "quick"
        given: dict[str, Any] = {"images": self.images, "epochs": self.epochs, "trials": self.trials}
        return replace(PROFILES[name], **{key: value for key, value in given.items() if value is not None})

    def request(self, profile: Profile) -> dict[str, Any]:
        """The options that make the same study again, with what `profile` decided; JSON-able."""
        goal = (
            "max_macs",
            "max_ram",
            "max_flash",
            "max_activations",
            "board",
            "objective",
            "pareto",
            "minimize",
            "reach",
        )
        names = ("space", "data", "task", "target", "budget", "seed", "sampler", "pruner", "warm_start", "fix", *goal)
        return {name: getattr(self, name) for name in names} | {
            "profile": profile.name,
            "images": profile.images,
            "epochs": profile.epochs,
            "trials": profile.trials,
        }

    def study_name(self, data: str, space: str, profile: str) -> str:
        """The name given, or data-space-budget-profile.

        With the goal where it is not the usual metric of the task, with what is fixed, and with all else that makes
        another study, or finds other networks in it, where it is not that of the profile or the default.
        """
        limits = [
            str(self.budget),
            *(f"{limit}{name}" for name, limit in self.limits.limits.items() if name != "params"),
        ]
        fixed = [f"{name}-{value}" for name, value in (self.fix or {}).items()]
        usual = PROFILES[profile]
        others = {
            "epochs": usual.epochs,
            "images": usual.images,
            "seed": 0,
            "task": "auto",
            "target": None,
            "sampler": SearchOptions.sampler,
            "pruner": self._usual_pruner,
        }
        given = {name: getattr(self, name) for name in others}
        other = [f"{name}-{given[name]}" for name in others if given[name] not in (None, others[name])]
        cold = [] if self.warm_start else ["no-warm-start"]
        made = "-".join([data, space, *limits, profile, *self._goal_in_name, *fixed, *other, *cold])
        return self.study or safe_study_name(made)  # a metric may have any name

    @property
    def _goal_in_name(self) -> list[str]:
        """The goal as the name of a study has it: with directions that were given, and the target to be reached."""
        if self.minimize is not None:
            targets = (self.reach or {}).items()
            return [f"least-{self.minimize}", *(f"{metric}-{float(value)}" for metric, value in targets)]
        parts = [self.objective] if self.objective else ["pareto", *self.pareto] if self.pareto else []
        return [part.replace(":", "-") for part in parts]  # MLflow allows no colon in the name of a model

    @property
    def _usual_pruner(self) -> str | None:
        """The name of the pruner that suits the goal, as `pruner_for` chooses it; None where that one has no name."""
        if self.minimize is not None:
            return None
        return "none" if self.pareto else "halving"

    @property
    def storage_location(self) -> str | Path:
        """Where the study is kept."""
        return self.storage or self.folder / JOURNAL_NAME

    @property
    def location_arguments(self) -> str:
        """The options that lead another command to the study and its files, where they are not in the usual place.

        There is no password in them.
        """
        storage = "" if self.storage is None else f" --storage {shlex.quote(redact(str(self.storage)))}"
        return storage + (f" --folder {shlex.quote(str(self.folder))}" if self.folder != RUNS_FOLDER else "")

    @property
    def tracking_arguments(self) -> str:
        """The option that leads another command to MLflow, where it was given; with no password."""
        return "" if self.tracking_uri is None else f" --tracking-uri {shlex.quote(redact(self.tracking_uri))}"
