"""Densities and samples are those of Optuna's own Parzen estimators."""

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from kerastuna.search.compat.optuna_parzen import Estimator

SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-1, 2),
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.25, step=0.05),
    "width": IntDistribution(4, 48, step=2),
    "units": IntDistribution(1, 1000, log=True),
    "head": CategoricalDistribution(["gap", "conv", "dense"]),
}


def parzen(space: dict[str, BaseDistribution], trials: int) -> _ParzenEstimator:
    """An estimator of so many random trials; the first and the last have equal values."""
    draw = np.random.RandomState(trials)
    values = {
        name: draw.randint(0, 3, trials)
        if isinstance(kind, CategoricalDistribution)
        else np.array([kind.to_internal_repr(kind.to_external_repr(value)) for value in _within(kind, draw, trials)])
        for name, kind in space.items()
    }
    return _ParzenEstimator(values, space, _ParzenEstimatorParameters(1.0, True, False, default_weights, True))


def _within(kind: BaseDistribution, draw: np.random.RandomState, trials: int) -> np.ndarray:
    assert isinstance(kind, FloatDistribution | IntDistribution)
    if kind.step is None or kind.log:
        values = np.exp(draw.uniform(np.log(max(kind.low, 1e-4)), np.log(kind.high), trials))
        return values if kind.step is None else np.round(values)
    return kind.low + kind.step * draw.randint(0, round((kind.high - kind.low) / kind.step) + 1, trials)


@pytest.mark.parametrize("trials", [0, 1, 30, 300])
@pytest.mark.parametrize("names", [["x"], ["rate"], ["dropout"], ["width"], ["units"], ["head"], list(SPACE)])
def test_densities_are_optunas(names: list[str], trials: int) -> None:
    space = {name: SPACE[name] for name in names}
    own = parzen(space, trials)
    kept = Estimator(own)
    for seed in range(3):  # what was kept of the first densities serves the next ones
        samples = own.sample(np.random.RandomState(seed), 24)
        again = kept.sample(np.random.RandomState(seed), 24)
        assert all((again[name] == samples[name]).all() for name in names)
        np.testing.assert_allclose(kept.log_pdf(samples), own.log_pdf(samples), rtol=1e-12, atol=1e-13)
