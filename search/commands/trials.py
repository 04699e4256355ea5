"""`kerastuna trials`: the trials of a study."""

import argparse
import sys

from .common import open_study_of, print_json


def trials(options: argparse.Namespace) -> int:
    """Print the leaderboard of a study, or with `--all` every trial."""
    study = open_study_of(options)
    from ..display.tables import console, leaderboard_table, trials_table
    from ..study.attributes import is_rejection
    from ..study.goal import budget_of, goal_of
    from ..study.records import trial_records

    goal, budget, shown = goal_of(study), budget_of(study), study.get_trials(deepcopy=False)
    if options.trained:
        shown = [trial for trial in shown if not is_rejection(trial)]
    records = trial_records(shown)
    if options.json:
        print_json(records)
        return 0
    out = console(sys.stdout)
    if options.all:
        summaries = [str(trial.user_attrs.get("summary", "")) for trial in shown]
        out.print(trials_table(records, summaries, goal))
    else:
        out.print(f"study {study.study_name}", markup=False)
        out.print(leaderboard_table(shown, goal, options.top, budget=budget))
        from ..display.summary import counts_line

        out.print(counts_line(shown), markup=False)
    return 0
