"""KerasTuner hyperparameters as Optuna distributions: the same values, both ways, under the same conditions."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import keras_tuner
import optuna
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keras_tuner.engine import hyperparameters as kt
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from kerastuna.search.errors import SpaceError
from kerastuna.search.proposals.distributions import Parameter, ParameterSpace, distribution_of, values_key

OPTUNA = optuna.create_study(storage=optuna.storages.InMemoryStorage())


def samples(parameter: Parameter, seed: int = 0, count: int = 30) -> list[Any]:
    """What Optuna can sample: its random draws and the ends of the range."""
    distribution = parameter.distribution
    if distribution.single():  # which Optuna does not leave to a sampler
        return [first(parameter)]
    sampler = optuna.samplers.RandomSampler(seed=seed)
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    drawn = [sampler.sample_independent(OPTUNA, trial, parameter.name, distribution) for _ in range(count)]
    if isinstance(distribution, CategoricalDistribution):
        return [*drawn, *distribution.choices]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [*drawn, distribution.low, distribution.high]


def parameter_of(hp: kt.HyperParameter) -> Parameter:
    parameter = distribution_of(hp)
    assert parameter is not None
    return parameter


def declared(declare: Callable[[keras_tuner.HyperParameters], Any]) -> ParameterSpace:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return ParameterSpace(hp.space)


def first(parameter: Parameter) -> Any:
    distribution: Any = parameter.distribution
    return distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low


FINITE = [
    kt.Boolean("x"),
    kt.Choice("x", [3, 1, 2]),
    kt.Choice("x", [0.1, 1e-9]),
    kt.Choice("x", ["a", "b c/d"]),
    kt.Choice("x", [True, False]),
    kt.Int("x", -2, 5),
    kt.Int("x", 6, 13, step=3),
    kt.Int("x", 7, 7),
    kt.Int("x", 2, 70, step=2, sampling="log"),
    kt.Int("x", 2, 70, step=2, sampling="reverse_log"),
    kt.Int("x", 1, 9, sampling="log"),
    kt.Int("x", 1, 9, sampling="reverse_log"),
    kt.Float("x", 0, 1, step=0.2),
    kt.Float("x", 0, 0.35, step=0.1),
    kt.Float("x", -1, 1, step=1 / 3),
    kt.Float("x", 0, 1, step=5),
    kt.Float("x", 1e-4, 10, step=10, sampling="log"),
    kt.Float("x", 1e-4, 10, step=10, sampling="reverse_log"),
]


@pytest.mark.parametrize("hp", FINITE, ids=repr)
def test_the_values_are_those_of_keras_tuner(hp: Any) -> None:
    expected = {hp.prob_to_value(index / 1000) for index in range(1000)}
    points = ParameterSpace([hp]).points(1000)
    assert points is not None
    values = [point["x"] for point in points]
    assert set(values) == expected
    assert {type(value) for value in values} == {type(value) for value in expected}
    assert len(values) == len(expected)
    assert {parameter_of(hp).decode(sample) for sample in samples(parameter_of(hp))} <= expected


def test_a_step_of_a_fifth_stops_at_four_fifths() -> None:
    parameter = parameter_of(kt.Float("x", 0, 1, step=0.2))
    values = [0.0, 0.2, 0.4, 3 * 0.2, 0.8]  # KerasTuner's, to the last bit: one more of 0.6 would be another trial
    assert [parameter.decode(sample) for sample in (0.0, 0.2, 0.4, 0.6, 0.8)] == values
    assert [parameter.decode(parameter.encode(value)) for value in (0.0, 0.2, 0.4, 0.6, 0.8)] == values
    assert parameter.distribution == FloatDistribution(0, 0.8, step=0.2)
    with pytest.raises(ValueError, match=r"1\.0"):
        parameter.encode(1.0)


@pytest.mark.parametrize(
    ("hp", "distribution"),
    [
        (kt.Float("x", 1e-4, 1e-1, sampling="log"), FloatDistribution(1e-4, 1e-1, log=True)),
        (kt.Float("x", -1, 1), FloatDistribution(-1, 1)),
        (kt.Float("x", 1e-4, 1e-1, sampling="reverse_log"), FloatDistribution(1e-4, 1e-1, log=True)),
        (kt.Int("x", 1, 1000, sampling="log"), IntDistribution(1, 1000, log=True)),
        (kt.Int("x", 4, 49, step=2), IntDistribution(4, 48, step=2)),
        (kt.Int("x", 2, 64, step=2, sampling="log"), IntDistribution(0, 5)),
        (kt.Int("x", 0, 10**12), IntDistribution(0, 10**12)),
        (kt.Boolean("x"), CategoricalDistribution([False, True])),
        (kt.Choice("x", ["b", "a"]), CategoricalDistribution(["b", "a"])),
    ],
    ids=repr,
)
def test_the_sampler_sees_the_scale(hp: Any, distribution: Any) -> None:
    assert parameter_of(hp).distribution == distribution


def test_reverse_log_is_finest_at_the_upper_end() -> None:
    parameter = parameter_of(kt.Float("x", 0.001, 1, sampling="reverse_log"))
    values = sorted(parameter.decode(sample) for sample in samples(parameter, count=500))
    assert float(values[len(values) // 2]) > 0.9
    assert (values[0], values[-1]) == pytest.approx((0.001, 1.0), abs=1e-12)


numbers = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


@st.composite
def hyperparameters(draw: st.DrawFn) -> Any:
    """Any Int or Float that KerasTuner accepts, with at most some hundred values where there is a step."""
    sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    kind = draw(st.sampled_from([kt.Int, kt.Float]))
    value: Any = st.integers(-(10**6), 10**6) if kind is kt.Int else numbers
    low: Any
    high: Any
    low, high = sorted([draw(value), draw(value)])
    if sampling != "linear":
        low, high = sorted([abs(low) or 1, abs(high) or 1])
    step = None
    if draw(st.booleans()):
        if sampling != "linear":
            step = draw(st.integers(2, 10) if kind is kt.Int else st.floats(1.1, 10))
        elif kind is kt.Int:
            step = draw(st.integers(max(1, (high - low) // 300), max(1, high - low)))
        else:
            step = draw(st.floats(max(1e-3, (high - low) / 300), max(1e-3, high - low)))
    return kind("x", low, high, step=step, sampling=sampling)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hp=hyperparameters(), seed=st.integers(0, 2**32 - 1))
def test_whatever_optuna_samples_is_a_value_of_keras_tuner_and_comes_back(hp: Any, seed: int) -> None:
    parameter = parameter_of(hp)  # no warning of Optuna's that a range does not divide
    allowed = None if hp.step is None else {hp.prob_to_value(1 - 1e-12), *map(type(hp.default), hp.values)}
    exact = hp.sampling != "reverse_log" or hp.step is not None or isinstance(hp, kt.Int)
    for sample in samples(parameter, seed, count=5):
        value = parameter.decode(sample)
        assert type(value) is (int if isinstance(hp, kt.Int) else float)
        if allowed is None:
            assert hp.min_value <= value <= hp.max_value
        else:
            assert value in allowed
        encoded = parameter.encode(value)
        assert parameter.distribution._contains(parameter.distribution.to_internal_repr(encoded))
        if exact:
            assert encoded == pytest.approx(sample, rel=1e-12, abs=1e-12 * max(abs(hp.min_value), abs(hp.max_value)))
            assert parameter.decode(encoded) == value
        else:
            assert math.isclose(float(parameter.decode(encoded)), value, rel_tol=1e-9, abs_tol=1e-9 * hp.max_value)


@pytest.mark.parametrize("step", [1e-9, 3e-8, 1e-12])
def test_a_step_far_smaller_than_its_range_is_reached_everywhere(step: float) -> None:
    hp = kt.Float("x", 0, 1, step=step)
    space, parameter = ParameterSpace([hp]), parameter_of(hp)
    for sample in samples(parameter):
        value: Any = parameter.decode(sample)
        assert 0 <= value <= 1
        assert space.encode({"x": value})[0]["x"] == sample


@settings(max_examples=100, deadline=None)
@given(
    values=st.one_of(
        st.lists(st.integers(), min_size=1, max_size=5),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
        st.lists(st.text(), min_size=1, max_size=5),
        st.lists(st.booleans(), min_size=1, max_size=2),
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_choices_come_back_as_they_are(values: list[Any], seed: int) -> None:
    hp = kt.Choice("x", values)
    parameter = parameter_of(hp)
    for sample in samples(parameter, seed, count=3):
        value = parameter.decode(sample)
        assert value in hp.values
        assert parameter.encode(value) == sample


def test_a_fixed_hyperparameter_is_given_and_never_sampled() -> None:
    space = declared(lambda hp: (hp.Fixed("f", 3), hp.Int("n", 1, 2)))
    assert space.fill(first) == {"f": 3, "n": 1}
    assert space.encode({"f": 99, "n": 2})[0] == {"n": 2}


def two_models(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("model", ["mlp", "cnn"])
    with hp.conditional_scope("model", ["mlp"]):
        hp.Int("units", 8, 64, step=8)
        hp.Boolean("dropout")
        with hp.conditional_scope("dropout", [True]):
            hp.Float("rate", 0.1, 0.5)
    with hp.conditional_scope("model", ["cnn"]):
        hp.Choice("units", ["few", "many"])


def test_only_active_hyperparameters_are_sampled_by_nested_conditions() -> None:
    space = declared(two_models)
    choices = {"model": "mlp", "units": 16, "dropout": True, "rate": 0.25}
    assert space.fill(lambda parameter: choices[parameter.name]) == choices
    choices["dropout"] = False
    assert space.fill(lambda parameter: choices[parameter.name]) == {"model": "mlp", "units": 16, "dropout": False}


def test_one_name_with_two_kinds_has_two_names_in_optuna() -> None:
    space = declared(two_models)
    parameters, distributions = space.encode({"model": "cnn", "units": "many"})
    assert parameters == {"model": "cnn", "units [model in ['cnn']]": "many"}
    assert set(parameters) == set(distributions)
    assert space.fill(lambda parameter: parameters[parameter.name]) == {"model": "cnn", "units": "many"}
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    for values in ({"model": "cnn", "units": "many"}, {"model": "mlp", "units": 16, "dropout": False}):
        parameters, distributions = space.encode(values)
        study.add_trial(optuna.create_trial(value=0.0, params=parameters, distributions=distributions))
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=0)
    for _ in range(20):  # Optuna refuses a name that changes its kind
        trial = study.ask()
        space.fill(lambda parameter, trial=trial: trial._suggest(parameter.name, parameter.distribution))
        study.tell(trial, 1.0)


def test_one_name_with_one_range_under_two_conditions_is_one_parameter() -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("model", ["a", "b"])
        for model in ("a", "b"):
            with hp.conditional_scope("model", [model]):
                hp.Int("units", 1, 9)

    space = declared(declare)
    for model in ("a", "b"):
        assert space.encode({"model": model, "units": 5})[0] == {"model": model, "units": 5}


def test_the_whole_numbers_are_those_that_are_active_with_their_own_ranges() -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("size", ["small", "large"])
        with hp.conditional_scope("size", ["small"]):
            hp.Int("units", 1, 4)
            hp.Int("more", 1, 4)
        with hp.conditional_scope("size", ["large"]):
            hp.Int("units", 10, 80, step=2, sampling="log")
        hp.Int("reverse", 1, 3, sampling="reverse_log")
        hp.Int("many", 1, 1000)
        hp.Fixed("fixed", 7)
        hp.Float("rate", 0.0, 1.0, step=0.5)
        hp.Choice("choice", [1, 2])

    space = declared(declare)
    values: dict[str, Any] = {"reverse": 2, "many": 5, "fixed": 7, "rate": 0.5, "choice": 1}
    assert space.whole_numbers({"size": "large", "units": 20, **values}, 999) == {
        "units": [10, 20, 40, 80],
        "reverse": [1, 2, 3],
    }
    small = space.whole_numbers({"size": "small", "units": 2, "more": 3, **values}, 1000)
    assert small.keys() == {"units", "more", "reverse", "many"}
    assert small["units"] == [1, 2, 3, 4]


def test_points_of_a_conditional_space() -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        two_models(hp)
        hp.Fixed("version", 1)

    space = declared(declare)
    assert space.points(10**6) is None  # the rate is continuous

    def declare_finite(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("blocks", 1, 3)
        for block in (2, 3):
            with hp.conditional_scope("blocks", list(range(block, 4))):
                hp.Choice(f"width{block}", [8, 16])

    points = declared(declare_finite).points(7)
    assert points is not None
    assert len({values_key(point) for point in points}) == len(points) == 1 + 2 + 4
    assert {"blocks": 3, "width2": 8, "width3": 16} in points
    assert declared(declare_finite).points(6) is None
    assert declared(lambda hp: hp.Int("n", 0, 10**15)).points(1000) is None


@pytest.mark.parametrize(
    ("hp", "value", "allowed"),
    [
        (kt.Int("n", 4, 48, step=2), 50, "a whole number from 4 to 48 in steps of 2"),
        (kt.Int("n", 4, 48, step=2), 5, "a whole number from 4 to 48 in steps of 2"),
        (kt.Int("n", 4, 48), 4.5, "a whole number from 4 to 48"),
        (kt.Int("n", 4, 48), "8", "a whole number from 4 to 48"),
        (kt.Int("n", 4, 48), None, "a whole number from 4 to 48"),
        (kt.Int("n", 4, 48), math.inf, "a whole number from 4 to 48"),
        (kt.Int("n", 2, 64, step=2, sampling="log"), 7, "a whole number from 2 to 64 in factors of 2"),
        (kt.Int("n", 2, 64, step=2, sampling="log"), "x", "a whole number from 2 to 64 in factors of 2"),
        (kt.Float("n", 0, 1, step=0.2), 1.0, "a number from 0.0 to 1.0 in steps of 0.2"),
        (kt.Float("n", 0, 1), math.nan, "a number from 0.0 to 1.0"),
        (kt.Float("n", 1e-4, 0.1, sampling="log"), 0.2, "a number from 0.0001 to 0.1"),
        (kt.Float("n", 1e-4, 0.1, sampling="reverse_log"), 0.2, "a number from 0.0001 to 0.1"),
        (kt.Float("n", 1e-4, 0.1, sampling="reverse_log"), "x", "a number from 0.0001 to 0.1"),
        (kt.Choice("n", ["a", "b"]), "c", "one of 'a', 'b'"),
        (kt.Choice("n", [32, 64]), 48, "one of 32, 64"),
        (kt.Boolean("n"), "no", "one of True, False"),
    ],
    ids=repr,
)
def test_a_value_outside_the_space_is_refused_in_one_line(hp: Any, value: Any, allowed: str) -> None:
    with pytest.raises(SpaceError) as caught:
        ParameterSpace([hp]).encode({"n": value})
    assert str(caught.value) == f"hyperparameter 'n' = {value!r} is outside the space: give {allowed}"


def test_a_missing_value_is_refused_unless_it_is_inactive() -> None:
    space = declared(two_models)
    with pytest.raises(SpaceError, match="hyperparameter 'rate' has no value"):
        space.encode({"model": "mlp", "units": 8, "dropout": True})
    assert space.encode({"model": "mlp", "units": 8, "dropout": False, "rate": 77})[0] == {
        "model": "mlp",
        "units": 8,
        "dropout": False,
    }


def test_equal_values_are_one_value_whatever_their_type() -> None:
    """An int given for a float, or 1 for True, must not make another trial of the same network."""
    space = declared(lambda hp: (hp.Float("f", 0, 2), hp.Boolean("b"), hp.Choice("c", [1, 2]), hp.Int("i", 0, 3)))
    exact: dict[str, Any] = {"f": 1.0, "b": True, "c": 2, "i": 3}
    loose: dict[str, Any] = {"f": 1, "b": 1, "c": 2.0, "i": 3.0}
    for values in (exact, loose):
        parameters, _ = space.encode(values)
        filled = space.fill(lambda parameter, given=parameters: given[parameter.name])
        assert values_key(filled) == values_key(exact)


@pytest.mark.parametrize("name", ["learning rate", "a/b/c", "x" * 600, "größe", "a=b, c [d in ['e']]", "\n"])
def test_any_name_works_down_to_the_journal(name: str, tmp_path: Any) -> None:
    from kerastuna.search.study.journal import open_journal

    space = declared(lambda hp: (hp.Int(name, 1, 9), hp.Choice("other", ["a"])))
    for restart in range(2):
        storage = open_journal(tmp_path / "journal")
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        study.enqueue_trial(space.encode({name: 7 + restart, "other": "a"})[0])
        trial = study.ask()
        values = space.fill(lambda parameter, trial=trial: trial._suggest(parameter.name, parameter.distribution))
        assert values == {name: 7 + restart, "other": "a"}


def test_two_hundred_hyperparameters() -> None:
    def declare(hp: keras_tuner.HyperParameters) -> None:
        hp.Int("depth", 1, 200)
        for layer in range(1, 200):
            with hp.conditional_scope("depth", list(range(layer, 201))):
                hp.Int(f"width{layer}", 1, 64)

    space = declared(declare)
    assert len(space) == 200
    values = {"depth": 200} | {f"width{layer}": layer % 64 + 1 for layer in range(1, 200)}
    parameters, _ = space.encode(values)
    assert space.fill(lambda parameter: parameters[parameter.name]) == values
    assert len(space.fill(first)) == 2  # of depth 1
    assert space.points(1000) is None


def test_the_description_of_a_space_is_json_and_tells_every_change() -> None:
    space = declared(two_models)
    described = space.describe()
    assert json.loads(json.dumps(described)) == described
    assert described[0]["kind"] == "Choice"

    def other(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("model", ["mlp", "cnn"])
        with hp.conditional_scope("model", ["mlp"]):
            hp.Int("units", 8, 64, step=16)

    assert declared(other).describe()[:2] != described[:2]


@pytest.mark.parametrize(
    ("hp", "told"),
    [
        (kt.Float("x", 0, math.inf), "'x' is a number from 0.0 to inf: give bounds that are finite"),
        (kt.Float("x", math.nan, 1), "'x' is a number from nan to 1.0: give bounds that are finite"),
        (kt.Float("x", -1e308, 1e308), "give bounds that are finite"),
        (kt.Int("x", 1, 2**53 + 1), "give bounds of at most 2**53 either way"),
        (kt.Int("x", -(10**30), 1, step=2), "give bounds of at most 2**53 either way"),
        (kt.Int("x", 1, 9, step=0), "'x' has a step of 0: give one above 0, or none"),
        (kt.Float("x", 0, 1, step=-0.1), "'x' has a step of -0.1: give one above 0"),
        (kt.Float("x", 0, 1, step=math.inf), "'x' has a step of inf: give one above 0"),
        (kt.Float("x", 0, 1, step=1e-300), "'x' has a step of 1e-300, too small to be counted: leave it out"),
        (kt.Choice("x", [math.nan, 1.0]), "'x' = nan, which JSON does not know: give finite values"),
        (kt.Choice("x", [1.0, math.inf]), "'x' = inf, which JSON does not know"),
        (kt.Fixed("x", math.inf), "'x' = inf, which JSON does not know"),
        (kt.Int(3, 1, 9), "hyperparameter 3: give it a name that is text"),
    ],
    ids=repr,
)
def test_what_no_study_could_hold_is_refused_in_one_line(hp: Any, told: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(told)) as caught:
        ParameterSpace([hp])
    assert "\n" not in str(caught.value)


def test_a_kind_that_is_not_keras_tuners_is_refused() -> None:
    class Mine(kt.HyperParameter):
        pass

    with pytest.raises(SpaceError, match="'x' is a Mine"):
        ParameterSpace([Mine("x")])


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text())))
def test_a_key_does_not_depend_on_the_order_and_survives_json(values: dict[str, Any]) -> None:
    assert values_key(dict(reversed(values.items()))) == values_key(values)
    assert values_key(json.loads(json.dumps(values))) == values_key(values)


@given(st.integers(0, 3), st.integers(0, 3))
def test_different_values_have_different_keys(one: int, other: int) -> None:
    assume(one != other)
    assert values_key({"a": one}) != values_key({"a": other})
    assert values_key({"a": one}) != values_key({"a": str(one)})
