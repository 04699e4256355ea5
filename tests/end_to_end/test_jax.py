"""A search and a confirmation on JAX, where an engine trains the networks of a `SearchSpace`.

This file is run as a program with KERAS_BACKEND=jax, and prints what it saw.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import script_environment


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, mnist_slice: Path) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, __file__, str(tmp_path_factory.mktemp("jax")), str(mnist_slice)],
        env=script_environment(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_trials_are_trained_by_the_engine(seen: dict[str, Any]):
    history = seen["history"]
    assert len(history) == 2
    assert history[0]["compile_seconds"] > 0
    assert "compile_seconds" not in history[1]
    assert {"accuracy", "loss", "val_accuracy", "val_loss", "learning_rate", "seconds"} <= history[1].keys()


def test_the_score_is_that_of_the_model_that_is_kept(seen: dict[str, Any]):
    assert seen["score"] == pytest.approx(seen["evaluated"], abs=1e-6)


def test_a_second_search_from_the_same_seed_gives_the_same_scores(seen: dict[str, Any]):
    assert seen["again"] == seen["score"]


def test_a_confirmation_is_trained_by_the_engine(seen: dict[str, Any]):
    assert seen["confirmation"][0]["compile_seconds"] > 0
    assert len(seen["confirmation"]) == 2


def test_what_was_compiled_is_kept(seen: dict[str, Any]):
    assert seen["compiled"] > 0


def test_a_tuner_that_looks_at_every_batch_trains_by_fit(seen: dict[str, Any]):
    assert seen["batches"] == 4  # two epochs of 64 images, 32 at a time
    assert "compile_seconds" not in seen["by_fit"][0]


def main(folder: Path, images: str) -> dict[str, Any]:
    from kerastuna.search import OptunaTuner, load_dataset
    from kerastuna.search.training.engine import keep_compiled_programs
    from kerastuna.search.training.train import train
    from kerastuna.spaces.convnet import ConvNet

    class Counting(OptunaTuner):
        batches = 0

        def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
            self.batches += 1

    data = load_dataset(images, images=64)
    validation = (data.x_validation, data.y_validation)
    values = {
        **{"blocks": 1, "block1_convs": 1, "block1_conv1": 4, "block1_pointwise": "none", "head_pointwise": False},
        **{"head": "pool_dense", "dropout": 0.1, "decay": "cosine", "learning_rate": 3e-3, "batch_size": 32},
    }

    def searched(kind: type[OptunaTuner], name: str) -> Any:
        tuner = kind(ConvNet(), "val_accuracy", 1, budget=900, seed=4, directory=folder, project_name=name)
        tuner.enqueue(values)
        tuner.search(data.x_train, data.y_train, validation_data=validation, epochs=2, verbose=0)
        return tuner

    keep_compiled_programs("jax", folder / "compiled")
    tuner, again, counting = (searched(*of) for of in ((OptunaTuner, "a"), (OptunaTuner, "b"), (Counting, "c")))
    model: Any = tuner.get_best_models()[0]
    hp = tuner.oracle.get_best_trials()[0].hyperparameters
    _, confirmation = train(ConvNet(), hp, 7, data.x_train, data.y_train, 2, validation=validation)
    return {
        "history": tuner.oracle.study.best_trial.user_attrs["history"],
        "score": tuner.oracle.study.best_value,
        "again": again.oracle.study.best_value,
        "evaluated": model.evaluate(*validation, batch_size=512, verbose=0, return_dict=True)["accuracy"],
        "confirmation": confirmation,
        "compiled": sum(path.is_file() for path in (folder / "compiled").rglob("*")),
        "batches": counting.batches,
        "by_fit": counting.oracle.study.best_trial.user_attrs["history"],
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
