"""What a hypermodel does when it is trained."""

from typing import Any

import keras_tuner

from ...spaces.space import SearchSpace


def has_own_fit(hypermodel: Any) -> bool:
    """Whether a hypermodel trains its models in its own way, and not by the `fit` of KerasTuner or of `SearchSpace`.

    A function that builds models has no `fit`.
    """
    fit = getattr(hypermodel, "fit", None)
    known = (None, keras_tuner.HyperModel.fit, SearchSpace.fit)
    return getattr(fit, "__func__", fit) not in known
