"""File names that earlier versions wrote have to be found again."""

from kerastuna.search.study.names import JOURNAL_NAME


def test_the_journal_is_found_where_earlier_versions_put_it() -> None:
    assert JOURNAL_NAME == "optuna.journal"
