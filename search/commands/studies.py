"""`kerastuna studies`: the studies there are."""

import argparse
import sys

from .common import open_storage_of, print_json


def studies(options: argparse.Namespace) -> int:
    """Print the studies of a storage, or delete one."""
    storage = open_storage_of(options)
    from ..study.records import study_rows
    from ..study.studies import delete_study

    if options.delete is not None:
        delete_study(storage, options.delete)
        print(f"deleted study {options.delete}; its runs stay in MLflow", file=sys.stderr)
        return 0
    rows = study_rows(storage)
    if options.json:
        print_json(rows)
    else:
        from ..display.tables import console, studies_table

        console(sys.stdout).print(studies_table(rows))
    return 0
