"""The figures are saved as files."""

import matplotlib
from study_samples import BUDGET, NAMES

from kerastuna.search.report.study_report import study_figures


def test_figures_are_saved_as_png(study, tmp_path):
    before = dict(matplotlib.rcParams)
    paths = study_figures(study, BUDGET).save(tmp_path / "report")
    assert {path.name for path in paths} == {f"{name}.png" for name in NAMES}
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n") for path in paths)
    assert dict(matplotlib.rcParams) == before
