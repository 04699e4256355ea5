"""`kerastuna studies`: the studies there are."""

import argparse
import shutil
import sys

from .common import open_storage_of, print_json


def studies(options: argparse.Namespace) -> int:
    """Print the studies of a storage, or delete one."""
    storage = open_storage_of(options)
    from ..study.names import CHECKPOINT_FOLDER, safe_study_name
    from ..study.records import study_rows
    from ..study.studies import delete_study

    if options.delete is not None:
        delete_study(storage, options.delete)
        for place in ("trials", "champions"):
            folder = options.folder / place / safe_study_name(options.delete) / CHECKPOINT_FOLDER
            shutil.rmtree(folder, ignore_errors=True)
        print(f"deleted study {options.delete}; its runs stay in MLflow", file=sys.stderr)
        return 0
    rows = study_rows(storage)
    if options.json:
        print_json(rows)
    else:
        from ..display.tables import console, studies_table

        console(sys.stdout).print(studies_table(rows))
    return 0
