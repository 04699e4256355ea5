"""The champion published: drawn, described and registered in MLflow."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from ...spaces.space import SearchSpace
from ..commands.session import Session
from ..messages import redact
from ..report.champion_figures import champion_figures
from ..report.model_card import model_card
from ..study.budget import COSTS
from ..tracking.registry import ALIAS, register_champion
from .evaluation import TestResult


def _publish(
    session: Session,
    record: dict[str, Any],
    model: keras.Model,
    hyperparameters: keras_tuner.HyperParameters,
    shown: tuple[TestResult, np.ndarray] | None,
) -> dict[str, Any]:
    """Draw the study and the champion, write the card, register the model; returns the record's part on MLflow."""
    tracker, hypermodel, study = session.tracker, session.tuner.hypermodel, session.study
    result, images = shown or (None, None)
    architecture = hypermodel.architecture(hyperparameters) if isinstance(hypermodel, SearchSpace) else None
    name = re.sub(r"[/:]", "-", study.study_name)
    told = {
        "tracking_uri": redact(tracker.tracking_uri),
        "run_id": tracker.run_id,
        "model": f"models:/{name}@{ALIAS}",
    }
    folder = Path(record["model_path"]).parent
    card = folder / "MODEL_CARD.md"
    with tempfile.TemporaryDirectory() as scratch:
        figures = Path(scratch)
        drawn = champion_figures(
            record,
            architecture=architecture,
            images=images,
            labels=None if result is None else result.labels,
            predictions=None if result is None else result.predictions,
        )
        drawn.save(figures)
        card.write_text(model_card(record | {"mlflow": told}))
        shutil.copy(card, figures)
        registered = register_champion(
            session.tracking_uri,
            tracker.experiment_id,
            tracker.run_id,
            name=name,
            model=model,
            rank=session.tuner.oracle.goal.rank(record["validation"]["mean"], record),
            confirmed=record["validation"]["mean"],
            params=record["hyperparameters"],
            metrics=_metrics(record),
            tags={**session.facts, "kerastuna.study": study.study_name, "trial.number": record["trial"]},
            artifacts=figures,
        )
    if not registered.is_champion:
        told["model"] = registered.uri
        card.write_text(model_card(record | {"mlflow": told}))
    return told


def _metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """The champion's figures for MLflow."""
    metrics: dict[str, float] = {f"validation_{key}": float(record["validation"][key]) for key in ("mean", "std", "n")}
    metrics |= {key: float(record[key]) for key in COSTS if record[key] is not None}
    metrics |= {"search_value": record["search_value"], "winners_curse": record["winners_curse"]}
    test = record["test"] or {}
    keys = ("mean", "std", "min", "max", "n", "standard_error", "opening")
    return metrics | {f"test_{key}": float(test[key]) for key in keys if key in test}
