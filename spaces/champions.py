"""The champions of searches by Kerastuna in `Compact`, and every network that is known by name."""

from collections.abc import Mapping
from types import MappingProxyType

from .references import REFERENCES, HyperparameterValues, Reference

_SHARED: HyperparameterValues = {
    "blocks": 2,
    "first_convs": 1,
    "convs": 4,
    "growth": 1.75,
    "padding": "valid",
    "transition": True,
    "transition_width": 0.5,
    "convolution": "separable",
    "bias": False,
    "order": "conv_bn_relu",
    "head": "pool_dense",
    "dropout": 0.0,
    "optimizer": "adamw",
    "schedule": "one_cycle",
    "batch_size": 64,
    "label_smoothing": 0.0,
    "averaging": 0.99,
    "augment": "affine",
    "rotation": 6.0,
    "shift": 0.06,
    "zoom": 0.14,
    "share": 0.75,
}
_SMALL: HyperparameterValues = MappingProxyType(
    {
        **_SHARED,
        "stem": 0.75,
        "fill": 0.8999999999999999,  # 0.7 and four steps of 0.05, as KerasTuner adds them
        "adam_rate": 0.025504646976763485,
        "weight_decay": 0.0,
        "warm_up": 0.3,
    }
)
_LARGE: HyperparameterValues = MappingProxyType(
    {
        **_SHARED,
        "stem": 0.5,
        "fill": 0.85,
        "adam_rate": 0.018161068914348558,
        "weight_decay": 0.01,
        "warm_up": 0.25,
    }
)
_FOUND = "found by a search and chosen on validation images; the accuracy is the mean of {} models of fresh seeds"

CHAMPIONS: Mapping[str, Reference] = MappingProxyType(
    {
        champion.name: champion
        for champion in (
            Reference(
                "compact-15000", _LARGE, (12_723, 12_237, 486), 0.9963, _FOUND.format(10), "compact", budget=15_000
            ),
            Reference("compact-4000", _SMALL, (3_589, 3_357, 232), 0.9947, _FOUND.format(10), "compact", budget=4_000),
            Reference("compact-2500", _SMALL, (2_235, 2_065, 170), 0.9935, _FOUND.format(10), "compact", budget=2_500),
        )
    }
)
"""The champions of searches in `Compact` by name; their files are in benchmarks/champions/ of the repository."""

NETWORKS: Mapping[str, Reference] = MappingProxyType({**REFERENCES, **CHAMPIONS})
"""All networks that are known by name: the published ones, and these."""
