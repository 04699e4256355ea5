"""Which hypermodels train in their own way."""

from typing import Any

import keras
import keras_tuner

from kerastuna.search.training.hypermodels import has_own_fit
from kerastuna.spaces import ConvNet


class Plain(keras_tuner.HyperModel):
    def build(self, hp: Any) -> keras.Model:
        return keras.Sequential()


class Own(Plain):
    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> float:
        return 0.5


def test_a_fit_of_its_own() -> None:
    patched: Any = Plain()
    patched.fit = lambda hp, model, *args, **kwargs: 0.5
    assert [has_own_fit(space) for space in (Own(), patched)] == [True, True]
    assert [has_own_fit(space) for space in (Plain(), ConvNet(), Plain().build, None)] == [False] * 4
