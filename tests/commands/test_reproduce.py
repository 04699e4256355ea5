"""`kerastuna reproduce`: the references beside what was published of them."""

import json
from typing import Any


def test_counts_are_exact_and_accuracies_stand_beside_the_published_ones(kerastuna: Any) -> None:
    arguments = ("reproduce", "eip_3", "--seeds", "1", "--epochs", "1", "--images", "300", "--workers", "1")
    status, out, err = kerastuna(*arguments, "--json", "--device", "cpu")
    assert status == 0
    (row,) = json.loads(out)
    assert row["params"] == row["published_params"] == {"total": 14652, "trainable": 14440, "non_trainable": 212}
    assert row["counts_agree"] is True
    assert (row["epochs"], row["images"], row["batch_size"]) == (1, 300, 64)
    assert (row["test"]["n"], row["test"]["std"], row["test"]["published"]) == (1, None, 0.9941)
    assert (row["test"]["images"], row["test"]["values"]) == (10_000, [row["test"]["mean"]])
    assert "1 training of 1 epoch on 300 images" in err
    assert f"eip_3, seed 0: test accuracy {row['test']['mean']:.4f}" in err

    status, out, err = kerastuna(*arguments, "--device", "cpu")  # it is known by now
    assert status == 0
    assert "test accuracy 0" not in err
    assert "14,652 (14,440 + 212)" in out
    assert f"{row['test']['mean']:.4f}" in out
    assert "architecture and recipe as published" in out
    assert "accuracies are on the test set: these are all that ran" in out


def test_an_unknown_network_is_refused(kerastuna: Any) -> None:
    status, _, err = kerastuna("reproduce", "eip_9")
    assert (status, err) == (
        2,
        "kerastuna: 'eip_9' is no known network: choose one of eip_1, eip_2, eip_3, eip_4, eip_5, "
        "compact-15000, compact-4000, compact-2500\n",
    )


def test_a_champion_is_trained_by_its_own_recipe(kerastuna: Any) -> None:
    arguments = ("reproduce", "compact-2500", "--seeds", "1", "--epochs", "1", "--images", "200", "--workers", "1")
    status, out, _ = kerastuna(*arguments, "--json", "--device", "cpu")
    assert status == 0
    (row,) = json.loads(out)
    assert row["params"] == row["published_params"] == {"total": 2235, "trainable": 2065, "non_trainable": 170}
    assert row["summary"] == "8 | p5-s18-s18-s18-s18 | pool+dense"
    assert row["test"]["published"] == 0.9935
