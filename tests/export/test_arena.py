"""The least arena of a file is one in which tflite-micro runs it, and the next smaller one is not."""

from pathlib import Path

import numpy as np
import pytest

from kerastuna.search.export.arena import ALIGNMENT, least_arenas
from kerastuna.search.export.process import run_jobs
from kerastuna.search.export.writers import litert_int8
from kerastuna.spaces import Activation, Architecture, Conv2D, Dense, Flatten, GlobalAveragePooling2D
from kerastuna.spaces.chip import chip_cost
from kerastuna.spaces.space import build_model

RUNTIMES = "kerastuna.search.export.runtimes"
NETWORKS = {
    "large": Architecture((28, 28, 1), (Conv2D(4), GlobalAveragePooling2D(), Dense(3), Activation("softmax"))),
    "small": Architecture((8, 8, 1), (Conv2D(2), GlobalAveragePooling2D(), Dense(3), Activation("softmax"))),
    "wide": Architecture((3, 3, 1), (Conv2D(200), Flatten(), Dense(3), Activation("softmax"))),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("arenas")
    paths = {name: folder / f"{name}.tflite" for name in (*NETWORKS, "broken")}
    for name, architecture in NETWORKS.items():
        build_model(architecture).save(folder / f"{name}.keras")
        np.save(folder / "samples.npy", np.random.default_rng(0).random((20, *architecture.input_shape), np.float32))
        model, samples = str(folder / f"{name}.keras"), str(folder / "samples.npy")
        litert_int8(model, (), architecture.input_shape, str(paths[name]), samples)
    paths["broken"].write_bytes(b"no model")
    return paths


def test_it_is_the_least_one_and_the_closed_form_bounds_it(files: dict[str, Path]) -> None:
    found = least_arenas({**files, "again": files["small"]})
    assert found["again"] == found["small"]
    assert "problem" in found["broken"]
    kept = run_jobs(RUNTIMES, {name: ("kept_arena", {"path": str(files[name])}) for name in NETWORKS})
    for name, architecture in NETWORKS.items():
        least, cost = found[name]["arena_bytes"], chip_cost(architecture)
        for size, runs in ((least, True), (least - ALIGNMENT, False)):
            tried = run_jobs(RUNTIMES, {"file": ("run_in", {"path": str(files[name]), "size": size})})
            assert ("problem" not in tried["file"]) is runs, (name, size)
        assert cost is not None
        assert least <= cost.ram < 1.15 * least, name
        # To plan the small one takes more than its values, and so does to prepare the wide one.
        more = least - kept[name]["bytes"]
        assert (more < ALIGNMENT) if name == "large" else (more > 20 * ALIGNMENT), name
