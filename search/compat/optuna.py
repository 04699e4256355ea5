"""Private names of Optuna that have no public replacement.

Each function and class gives its reason. tests/compat/test_optuna.py fails when an upgrade changes what they use.
"""

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GridSampler, PartialFixedSampler, QMCSampler, RandomSampler
from optuna.storages.journal import _storage


def grid_values(sampler: GridSampler) -> Mapping[str, Sequence[Any]]:
    """The values of every parameter of a `GridSampler`, which it takes as an argument and does not show again."""
    return sampler._search_space


def wrapped_sampler(sampler: PartialFixedSampler) -> BaseSampler:
    """The sampler that a `PartialFixedSampler` wraps, which it takes as an argument and does not show again."""
    return sampler._base_sampler


def fixed_parameters(sampler: PartialFixedSampler) -> Mapping[str, Any]:
    """The parameters that a `PartialFixedSampler` fixes, which it takes as an argument and does not show again."""
    return sampler._fixed_params


def widen_text_columns() -> None:
    """Let the tables that Optuna makes in MySQL or MariaDB hold long texts.

    Optuna gives no choice of the columns' types. Their TEXT ends at 64 KiB; a space or a history may be longer.
    """
    from optuna.storages._rdb.models import BaseModel
    from sqlalchemy import Text
    from sqlalchemy.dialects.mysql import MEDIUMTEXT

    for table in BaseModel.metadata.tables.values():
        for column in table.columns:
            if type(column.type) is Text and "mysql" not in column.type._variant_mapping:
                column.type = column.type.with_variant(MEDIUMTEXT(), "mysql", "mariadb")


def share_distributions() -> None:
    """Let journals that are read from now on share the distributions that are equal.

    A journal holds those of every trial as texts. Optuna makes an object of each: a third of the time to read it.
    Distributions are never changed, but there is no public way to keep them.
    """
    reader: Any = _storage
    if not hasattr(reader.json_to_distribution, "cache_info"):
        reader.json_to_distribution = functools.lru_cache(maxsize=10_000)(reader.json_to_distribution)


@final
class SobolPoint(QMCSampler):
    """One point of a scrambled Sobol sequence.

    `QMCSampler` counts the points that it made in the study, and begins again in each process. There is no public way
    to choose the point.

    Args:
        seed: of the sequence.
        number: of the point, from 0.
        independent_seed: for parameters that are not part of the sequence.
    """

    def __init__(self, seed: int, number: int, independent_seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(
                scramble=True,
                seed=seed,
                independent_sampler=RandomSampler(seed=independent_seed),
                warn_independent_sampling=False,
            )
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, Any]) -> int:
        return self._number
