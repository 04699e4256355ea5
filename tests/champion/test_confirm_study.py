"""The model of a champion, saved; the whole confirmation is tested from the shell in tests/end_to_end."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastuna.search.champion.confirm_study import save_model


def test_a_model_replaces_the_one_before_it(tmp_path: Path) -> None:
    images = np.ones((2, 4, 4, 1), np.float32)
    path = tmp_path / "champions" / "champion.keras"
    for units in (2, 3):
        model: Any = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(units)])
        assert save_model(model, path) == path
    loaded: Any = keras.models.load_model(path)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6)
    assert [file.name for file in path.parent.iterdir()] == ["champion.keras"]
