"""`kerastuna studies`: the studies there are."""

import argparse
import shutil
import sys

from ..errors import InputError
from .common import open_storage_of, print_json, say


def studies(options: argparse.Namespace) -> int:
    """Print the studies of a storage, or delete one."""
    if options.delete is not None and options.json:
        raise InputError("--json lists the studies: leave it out where one is deleted")
    storage = open_storage_of(options)
    from ..study.names import CHECKPOINT_FOLDER, safe_study_name
    from ..study.records import study_rows
    from ..study.studies import delete_study, load_study
    from ..study.study_id import found_folder, id_of

    if options.delete is not None:
        owner = id_of(load_study(storage, options.delete).user_attrs)
        running = delete_study(storage, options.delete, options.force)
        for place in ("trials", "champions"):
            if (own := found_folder(options.folder / place, safe_study_name(options.delete), owner)) is not None:
                shutil.rmtree(own / CHECKPOINT_FOLDER, ignore_errors=True)
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
