"""The data of a study that its figures show."""

from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from kerastuna.search.report.study_view import Point, pareto_front


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1), st.booleans())
def test_pareto_front_is_what_nothing_dominates(pairs, maximize):
    trials = [
        create_trial(state=TrialState.COMPLETE, value=float(value), user_attrs={"params": params})
        for params, value in pairs
    ]
    points = [Point(place, trial, trial.value or 0.0) for place, trial in enumerate(trials, start=1)]
    sign = 1 if maximize else -1
    expected = {
        (p, v) for p, v in pairs if not any(q <= p and sign * w >= sign * v and (q, w) != (p, v) for q, w in pairs)
    }
    front = [(point.cost("params"), int(point.value)) for point in pareto_front(points, maximize=maximize)]
    assert front == sorted(expected)
