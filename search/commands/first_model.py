"""The first model of a user's own space, tried before any trial is trained."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..datasets.data import Dataset
from ..errors import KerastunaError, SpaceError
from ..messages import cause, shown

if TYPE_CHECKING:
    from ..tuning.tuner import OptunaTuner


def check_first_model(
    tuner: "OptunaTuner", dataset: Dataset, space: str, objective: str, say: Callable[[str], None]
) -> None:
    """Refuse a space whose models cannot be confirmed, tested and exported, or say what will not be possible.

    The model at the default hyperparameters is built, and answers a few validation samples untrained. One that cannot
    be built is left to its trial, which fails and records why.

    Args:
        tuner: of the study.
        dataset: it is searched for.
        space: as the user named it.
        objective: the metric, such as "val_accuracy".
        say: shows one line.

    Raises SpaceError, in one line.
    """
    import keras

    from ...spaces.space import SearchSpace
    from ..training.answers import answers_of
    from ..training.saved_model import saving_problem

    hypermodel: Any = tuner.hypermodel
    if isinstance(hypermodel, SearchSpace):
        return
    try:
        model = hypermodel.build(tuner.oracle.get_space())
    except Exception as error:
        say(f"the model at the default hyperparameters cannot be built ({cause(error)})")
        return
    if not isinstance(model, keras.Model):  # KerasTuner says so
        return
    metric = objective.removeprefix("val_")
    try:
        answers_of(model, dataset.task, dataset.x_validation, dataset.y_validation, metric)
    except KerastunaError as error:
        raise SpaceError(f"space {shown(space)}: {error}") from error
    except Exception as error:
        raise SpaceError(
            f"space {shown(space)}: its model does not take the samples of the data set as they are, which are "
            f"{dataset.x_validation.dtype} (n, {', '.join(map(str, dataset.input_shape))}) ({cause(error)}): let the "
            "model itself change them"
        ) from error
    if problem := saving_problem(model):
        say(f"space {shown(space)}: {problem}")
