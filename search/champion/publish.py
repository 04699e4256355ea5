"""The champion published: drawn, described in a card, and registered in MLflow."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import keras
import numpy as np
import optuna

from ...spaces.architecture import Architecture
from ..display.summary import champion_lines
from ..messages import redact
from ..report.champion_figures import champion_figures
from ..report.model_card import model_card
from ..study.budget import COSTS, as_budget
from ..study.study_id import StudyId
from ..tracking.inputs import DataPart
from ..tracking.registry import ALIAS, register_champion, registered_name
from ..tracking.runs import ID_TAG
from ..tracking.tracker import Tracker
from .evaluation import TestResult
from .ledger import openings

CARD_NAME = "MODEL_CARD.md"


@final
@dataclass(frozen=True)
class Publisher:
    """Publishes champions of one study.

    Attributes:
        tracker: of the study, whose run is open.
        tracking_uri: of MLflow, as it is used; it may hold a password.
        tags: for the champion's run and the registered version.
        owner: the study; None for one without an id.
    """

    tracker: Tracker
    tracking_uri: str
    tags: Mapping[str, str]
    owner: StudyId | None = None

    def publish(
        self,
        record: Mapping[str, Any],
        model: keras.Model,
        rank: tuple[float, ...],
        *,
        architecture: Architecture | None,
        result: TestResult | None,
        samples: np.ndarray | None,
    ) -> dict[str, Any]:
        """Draw the champion, write its card beside its model file, and register the model.

        Args:
            record: of the champion.
            rank: where it stands by its confirmed figures, the smaller the better.
            architecture: None where the space has no closed form.
            result, samples: of the test set; None where it was not opened.

        Returns the record's part on MLflow. Raises InputError when the store cannot be used.
        """
        name = registered_name(self.tracking_uri, re.sub(r"[/:]", "-", record["study"]), self.owner)
        owner = {} if self.owner is None else {ID_TAG: self.owner.id}
        told = {
            "tracking_uri": redact(self.tracker.tracking_uri),
            "run_id": self.tracker.run_id,
            "model": f"models:/{name}@{ALIAS}",
        }
        card = Path(record["model_path"]).parent / CARD_NAME
        with tempfile.TemporaryDirectory() as scratch:
            figures = Path(scratch)
            drawn = champion_figures(
                record,
                architecture=architecture,
                samples=samples,
                targets=None if result is None else result.targets,
                answers=None if result is None else result.answers,
            )
            drawn.save(figures)
            card.write_text(model_card({**record, "mlflow": told}))
            registered = register_champion(
                self.tracking_uri,
                self.tracker.experiment_id,
                self.tracker.run_id,
                name=name,
                model=model,
                input_shape=record["data"]["input_shape"],
                rank=rank,
                confirmed=record["validation"]["mean"],
                params=record["hyperparameters"],
                metrics=_metrics(record),
                tags={**self.tags, **_tags(record), **owner},
                artifacts=figures,
                registration=record["registration"],
                description=_description(record),
                warn=self.tracker.warn,
            )
        self.tracker.log_data(_parts(record), registered.run_id)
        # With the run, the card names this version: the alias may go to another one.
        own = {**told, "model": f"models:/{name}/{registered.version}"}
        self.tracker.log_text(registered.run_id, model_card({**record, "mlflow": own}), card.name)
        if not registered.is_champion:
            told["model"] = registered.uri
            card.write_text(model_card({**record, "mlflow": told}))
        return told


def keep_card_up_to_date(study: optuna.Study, champion: Mapping[str, Any], card: Path) -> None:
    """Write the card of the study's champion again where the test set was opened since it was written."""
    entries = [vars(opening) for opening in openings(study)]
    if entries != champion["openings"] and "mlflow" in champion:
        card.write_text(model_card({**champion, "openings": entries}))


def _description(record: Mapping[str, Any]) -> tuple[str, str]:
    """Of the registered model and of its version, in words."""
    data, budget = record["data"], as_budget(record["budget"])
    limit = f" of at most {budget}" if budget else ""
    model = f"The best network{limit} that the study {record['study']} found on {data['name']}, by Kerastuna."
    champion, *lines = champion_lines({**record, "mlflow": {"model": ""}})
    told = [champion, *(line.strip() for line in lines if not line.startswith("  model"))]
    return model, "\n\n".join(told)


def _parts(record: Mapping[str, Any]) -> list[DataPart]:
    """The data of the model that ships: all that it was trained on, and the test set."""
    data, test = record["data"], record["test"] or {}
    shape = data.get("input_shape")
    parts = [
        DataPart(data["name"], "training with validation", data["fingerprint"], record["train_images_final"], shape)
    ]
    if "fingerprint" in test:
        parts.append(DataPart(data["name"], "test", test["fingerprint"], test["images"], shape))
    return parts


def _tags(record: Mapping[str, Any]) -> dict[str, Any]:
    reference = record.get("reference")
    own = {"kerastuna.study": record["study"], "trial.number": record["trial"], "architecture": record["summary"]}
    return own | ({"reference": reference} if reference else {})


def _metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """The champion's figures for MLflow, as far as they are known: a single value has no standard deviation."""
    metrics = {key: float(record[key]) for key in COSTS if record.get(key) is not None}
    metrics |= {"search_value": record["search_value"], "winners_curse": record["winners_curse"]}
    keys = ("mean", "std", "min", "max", "n", "standard_error", "opening")
    for part in ("validation", "test"):
        figures = record[part] or {}
        known = [key for key in keys if figures.get(key) is not None and (key != "std" or figures["n"] > 1)]
        metrics |= {f"{part}_{key}": float(figures[key]) for key in known}
        int8 = figures.get("int8") or {}
        metrics |= {f"{part}_int8_{key}": int8[key] for key in ("mean", "change") if key in int8}
    return metrics
