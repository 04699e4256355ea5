"""`kerastuna describe`: a reference network or a trial, layer by layer."""

import json
from typing import Any

import pytest


def test_json_by_the_contract(kerastuna: Any) -> None:
    told = json.loads(kerastuna("describe", "eip_3", "--json").out)
    assert told["name"] == "eip_3"
    assert told["params"] == {"total": 14652, "trainable": 14440, "non_trainable": 212}
    assert set(told) == {
        *("name", "params", "macs", "peak_activation_bytes", "receptive_field", "layers"),
        *("flash", "ram", "batch_normalizations_left"),
    }
    assert (told["flash"], told["ram"], told["batch_normalizations_left"]) == (23_952, 33_552, 0)
    assert told["receptive_field"] == 28
    assert sum(layer["params"] for layer in told["layers"]) == 14652
    assert sum(layer["macs"] for layer in told["layers"]) == told["macs"]
    assert told["layers"][0] == {
        "name": "conv2d_1",
        "kind": "Conv2D",
        "output_shape": [26, 26, 16],
        "params": 160,
        "macs": 26 * 26 * 16 * 9,
        "receptive_field": 3,
    }


def test_the_table_of_layers(kerastuna: Any) -> None:
    table = kerastuna("describe", "eip_3").out
    assert "14,652 parameters (14,440 trainable, 212 not)" in table
    assert table.count("conv2d_") == 7
    assert (
        "at most 23,952 bytes of flash and 33,552 bytes of RAM (tflite-micro); no BatchNormalization left"
        in " ".join(table.split())
    )
    assert "receptive field 28 pixels" in " ".join(table.split())


def test_a_board_with_a_rough_estimate_of_the_time_and_its_source(kerastuna: Any) -> None:
    table = " ".join(kerastuna("describe", "eip_3", "--board", "rpi-pico").out.split())
    # 3,578,496 MACs of 8.2 to 19.6 cycles at 133 MHz
    assert "on rpi-pico (RP2040, Cortex-M0+) it fits in the 1,048,576 bytes of flash and 202,752 of RAM that" in table
    assert "roughly 0.22 to 0.53 s for one image at 133 MHz" in table
    assert "8.2 to 20 cycles, as measured by others of the standard convolutions of person detection" in table
    small = " ".join(kerastuna("describe", "eip_3", "--board", "nucleo-g071rb").out.split())
    assert "it may not fit in the 65,536 bytes of flash and 27,648 of RAM" in small
    # 3,578,496 MACs of 1.6 to 11.9 cycles at 216 MHz
    fast = " ".join(kerastuna("describe", "eip_3", "--board", "nucleo-f746zg").out.split())
    assert "roughly 0.027 to 0.2 s for one image at 216 MHz" in fast
    told = json.loads(kerastuna("describe", "eip_3", "--board", "esp32-s3", "--json").out)["board"]
    assert told["seconds"] == pytest.approx([3_578_496 * 1.1 / 240e6, 3_578_496 * 5.8 / 240e6])
    status, _, err = kerastuna("describe", "eip_3", "--board", "abacus")
    assert (status, err.startswith("kerastuna: --board abacus: choose one of ")) == (2, True)


@pytest.mark.usefixtures("storage")
def test_a_trial(kerastuna: Any) -> None:
    described = json.loads(kerastuna("describe", "--trial", "1", "--json").out)
    assert described["name"] == "trial-0001"
    assert described["params"]["total"] == 14652


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("5", "--trial 5: study 'one' has trials 0 to 4"),
        ("-1", "--trial -1: study 'one' has trials 0 to 4"),
        ("4", "--trial 4 has not begun: it is waiting"),
    ],
)
def test_a_trial_without_hyperparameters_is_refused(kerastuna: Any, number: str, told: str) -> None:
    assert kerastuna("describe", "--trial", number) == (2, "", f"kerastuna: {told}\n")
    assert kerastuna("describe", "eip_3", "--study", "one") == (
        *(2, ""),
        "kerastuna: --study is for --trial N: leave it out\n",
    )


def test_a_trial_of_a_space_that_was_changed_since_is_refused(kerastuna: Any, storage: Any) -> None:
    import optuna

    changed = "the space kerastuna.spaces.convnet:ConvNet was changed since: put it back as it was"
    told = "the trial had 13,380 parameters, and its hyperparameters give 14,652 now"
    assert kerastuna("describe", "--trial", "2") == (2, "", f"kerastuna: --trial 2: {changed} ({told})\n")
    unlike = optuna.create_trial(value=0.5, user_attrs={"hyperparameters": {"width": 3}, "params": 90})
    optuna.load_study(storage=storage, study_name="one").add_trial(unlike)
    status, out, err = kerastuna("describe", "--trial", "5")
    assert (status, out) == (2, "")
    assert err.startswith(f"kerastuna: --trial 5: {changed} (KeyError: ")


def test_a_study_with_few_trials_tells_so(kerastuna: Any, storage: Any) -> None:
    import optuna

    study = optuna.create_study(storage=storage, study_name="few")
    told = kerastuna("describe", "--study", "few", "--trial", "0").err
    assert told == "kerastuna: --trial 0: study 'few' has no trial yet\n"
    study.ask()
    told = kerastuna("describe", "--study", "few", "--trial", "1").err
    assert told == "kerastuna: --trial 1: study 'few' has trial 0 only\n"


def test_a_study_of_another_program_cannot_be_described(kerastuna: Any, storage: Any) -> None:
    import optuna

    optuna.create_study(storage=storage, study_name="other").ask()
    status, _, err = kerastuna("describe", "--study", "other", "--trial", "0")
    assert status == 2
    assert "study 'other' was not made by kerastuna search" in err
