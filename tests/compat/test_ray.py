"""Private names of Ray that are used still do what they are used for."""

from typing import Any

from ray._private.worker import print_to_stdstream

from kerastuna.search.compat.ray import quiet_ray


def test_reports_of_rays_processes_are_not_printed(capsys: Any):
    report = {"pid": "raylet", "is_err": False}
    with quiet_ray():
        print_to_stdstream(report | {"lines": ["A worker died"]}, ignore_prefix=False)
    assert capsys.readouterr().out == ""
    print_to_stdstream(report | {"lines": ["Another one died"]}, ignore_prefix=False)  # Ray tells nothing twice
    assert "Another one died" in capsys.readouterr().out
