"""Jobs in a process of their own: one that fails or crashes does not stop the others."""

from kerastuna.search.export.process import run_jobs


def test_a_crash_costs_one_job(tmp_path, monkeypatch):
    (tmp_path / "crashing.py").write_text(
        "import os, signal, sys\n"
        "from kerastuna.search.export.process import serve\n"
        "def double(x):\n    return {'x': 2 * x}\n"
        "def crash():\n    print('out of cheese', file=sys.stderr)\n    sys.stderr.flush()\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def fail():\n    raise ValueError('no such\\nthing')\n"
        "serve({'double': double, 'crash': crash, 'fail': fail})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    jobs = {"a": ("double", {"x": 1}), "b": ("fail", {}), "c": ("crash", {}), "d": ("double", {"x": 4})}
    assert run_jobs("crashing", jobs) == {
        "a": {"x": 2},
        "b": {"problem": "ValueError: no such thing"},
        "c": {"problem": "its process ended with SIGSEGV (out of cheese)"},
        "d": {"x": 8},
    }
