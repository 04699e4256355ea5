"""Studies that the tests of several modules share, and their figures."""

import pytest
from study_samples import BUDGET, FRONT_OF_FOUR, LIMITS, SMALLEST, make_study, mixed_trials

from kerastuna.search.report.study_report import study_figures


@pytest.fixture(scope="session")
def study():
    return make_study(mixed_trials())


@pytest.fixture(scope="session")
def figures(study):
    figures = study_figures(study, BUDGET)
    assert not figures.left_out
    return figures.drawn


@pytest.fixture(scope="session")
def front_study():
    return make_study(mixed_trials(refused=5), FRONT_OF_FOUR, budget=LIMITS)


@pytest.fixture(scope="session")
def front_figures(front_study):
    figures = study_figures(front_study)
    assert not figures.left_out
    return figures.drawn


@pytest.fixture(scope="session")
def target_study():
    return make_study(mixed_trials(refused=5), SMALLEST, budget=LIMITS)


@pytest.fixture(scope="session")
def target_figures(target_study):
    figures = study_figures(target_study)
    assert not figures.left_out
    return figures.drawn
