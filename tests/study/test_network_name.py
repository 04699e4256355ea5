"""What a network is called, also where its space has no words for it."""

from kerastuna.search.study.network_name import MOST_LETTERS, network_name


def test_a_network_is_called_by_its_summary() -> None:
    assert network_name("8 | gap", {"units": 4}) == "8 | gap"


def test_a_network_without_a_summary_is_called_by_its_hyperparameters() -> None:
    assert network_name("", {"layers": 1, "units0": 20, "act": "relu"}) == "layers=1, units0=20, act=relu"
    assert network_name("", {}) == ""


def test_many_and_long_hyperparameters_are_shortened() -> None:
    name = network_name("", {f"hyperparameter_{place}": "x" * 99 for place in range(99)})
    assert len(name) == MOST_LETTERS
    assert "hyperparameter_0=xxxxxxxxxxxxxxxxxxxx…xxx" in name
    assert "\n" not in network_name("", {"a\nb": "c\nd"})
