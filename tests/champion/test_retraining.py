"""Who is told of a training, and what its network is called. tests/champion/test_confirmation.py has the rest."""

import optuna

from kerastuna.search.champion.retraining import NOBODY, Retraining, summary_of


def test_nobody_is_told_by_default():
    retraining = Retraining(None, None, None, "val_accuracy", 1)  # type: ignore[arg-type]
    assert retraining.observer is NOBODY
    assert (retraining.metric, retraining.measures_int8) == ("accuracy", False)
    in_int8 = Retraining(None, None, None, "val_accuracy_int8", 1)  # type: ignore[arg-type]
    assert (in_int8.metric, in_int8.measures_int8) == ("accuracy", True)
    NOBODY.training_started(1, 2, "", "confirm")
    NOBODY.epoch_ended(1, 2, 3, {})
    NOBODY.training_ended(1, 2, None)


def test_the_network_in_a_few_words():
    assert summary_of(optuna.trial.create_trial(value=0.0, user_attrs={"summary": "8 | gap"})) == "8 | gap"
    assert summary_of(optuna.trial.create_trial(value=0.0)) == ""
    attributes = {"summary": "", "hyperparameters": {"layers": 1, "units0": 20}}
    assert summary_of(optuna.trial.create_trial(value=0.0, user_attrs=attributes)) == "layers=1, units0=20"
