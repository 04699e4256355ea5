"""The reasons are the contract of `kerastuna trials --json`, and cheap to import."""

import subprocess
import sys

from kerastuna.search.study import names, reasons


def test_the_reasons_are_those_of_the_contract() -> None:
    assert reasons.REJECTIONS == ("over_budget", "infeasible", "duplicate")
    assert reasons.RETRIED_REASONS == ("interrupted", "timeout")
    own = ("error", "build_error", "not_finite", "out_of_memory", "trial_timeout", "process_died")
    assert own == reasons.FAILURES
    assert not {*own} & {*reasons.RETRIED_REASONS}
    assert reasons.STOPPED_EARLY == "stopped_early"


def test_reasons_and_names_import_no_library() -> None:
    program = (
        f"import sys, {reasons.__name__}, {names.__name__}, kerastuna.search.proposals.names; "
        "print([name for name in ('optuna', 'keras', 'mlflow', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
