"""`kerastuna studies`: the studies there are."""

import argparse
import sys

from ..errors import InputError
from .common import open_storage_of, print_json, say


def studies(options: argparse.Namespace) -> int:
    """Print the studies of a storage, or delete one."""
    storage = open_storage_of(options)
    from ..study.records import study_rows
    from ..study.studies import delete_study

    if options.delete is not None:
        running = delete_study(storage, options.delete, options.force)
        ends = ", and the search that worked on it ends at its next step" if running else ""
        say(f"deleted study {options.delete}; its runs stay in MLflow{ends}")
        return 0
    if options.force:
        raise InputError("--force is for --delete: give --delete NAME too")
    rows = study_rows(storage)
    if options.json:
        print_json(rows)
    else:
        from ..display.tables import console, studies_table

        console(sys.stdout).print(studies_table(rows))
    return 0
