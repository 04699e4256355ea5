"""File names. Importing this module is cheap."""

JOURNAL_NAME = "optuna.journal"
"""The journal file that holds the studies, in the folder of the runs or of the project."""
