"""Names of metrics in int8: "val_accuracy_int8" is "val_accuracy" of the network as it runs on a chip."""

_SUFFIX = "_int8"


def is_in_int8(metric: str) -> bool:
    """Whether the metric of this name is measured in int8."""
    return metric.endswith(_SUFFIX)


def in_float(metric: str) -> str:
    """The name of the same metric in float."""
    return metric.removesuffix(_SUFFIX)
