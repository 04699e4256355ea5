"""`python -m kerastuna` is the command `kerastuna`."""

import sys

from kerastuna.search.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
