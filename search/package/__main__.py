"""`python -m kerastuna` is the command `kerastuna`."""

from kerastuna.search.commands.cli import run

if __name__ == "__main__":
    run()
