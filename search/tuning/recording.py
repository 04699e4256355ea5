"""MLflow as the observer of a tuner that was asked to record its trials."""

import logging
import os
from pathlib import Path

from ..study.names import check_experiment_name
from ..tracking.recorder import TrackingObserver
from ..tracking.tracker import Tracker
from ..training.device import software

_logger = logging.getLogger(__name__)


def recorder_of(tracking_uri: str, study: str, folder: Path) -> TrackingObserver:
    """Records a study in the experiment of its name, or of the variable MLFLOW_EXPERIMENT_NAME.

    Args:
        tracking_uri: of MLflow.
        study: its name.
        folder: of the project, which gets the artifacts of a new experiment.

    Raises InputError when the store cannot be used.
    """
    given = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    experiment = check_experiment_name(given) if given else study
    tracker = Tracker(tracking_uri, experiment, artifact_root=folder / "artifacts", warn=_logger.warning)
    return TrackingObserver(tracker, software())
