"""Names that a user may give. Importing this module is cheap."""

TASKS = ("auto", "classification", "regression")
"""How targets may be understood; see `training_targets`."""
