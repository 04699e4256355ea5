"""`kerastuna trials`: the trials of a study."""

import argparse
import sys

from .common import open_study_of, print_json


def trials(options: argparse.Namespace) -> int:
    """Print the leaderboard of a study, or with `--all` every trial."""
    study = open_study_of(options)
    from ..display.lines import show_line
    from ..display.tables import console, leaderboard_table, trials_table
    from ..study.attributes import is_rejection
    from ..study.goal import budget_of, goal_of
    from ..study.records import full_record, trial_records

    goal, budget, shown = goal_of(study), budget_of(study), study.get_trials(deepcopy=False)
    if options.trained:
        shown = [trial for trial in shown if not is_rejection(trial)]
    if options.json:
        print_json(trial_records(shown))
        return 0
    out = console(sys.stdout)
    if options.all:
        out.print(trials_table([full_record(trial) for trial in shown], goal))
    else:
        out.print(f"study {study.study_name}", markup=False)
        out.print(leaderboard_table(shown, goal, options.top, budget=budget))
        from ..display.summary import counts_line

        show_line(out, counts_line(shown))
    return 0
