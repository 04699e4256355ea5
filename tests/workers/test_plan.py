"""How many workers a machine gets, and what each sees of it."""

from pathlib import Path

import joblib
import pytest

from kerastuna.search.errors import InputError
from kerastuna.search.workers import plan
from kerastuna.search.workers.plan import check_workers, compilation_environment, environments


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(plan, "_available_bytes", lambda: 100 * plan.WORKER_BYTES)
    for name in ("OMP_NUM_THREADS", "NPROC", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_worker_for_each_core_with_one_thread():
    each = environments("auto")
    assert len(each) == 8
    assert {environment["TF_NUM_INTRAOP_THREADS"] for environment in each} == {"1"}
    assert len({environment["KERASTUNER_TUNER_ID"] for environment in each}) == 8
    assert not any("CUDA_VISIBLE_DEVICES" in environment for environment in each)


def test_fewer_workers_share_the_threads():
    assert [environment["OMP_NUM_THREADS"] for environment in environments(3)] == ["2", "2", "2"]


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert {environment["OMP_NUM_THREADS"] for environment in environments(2)} == {"5"}


def test_no_more_workers_than_trials_or_memory(monkeypatch: pytest.MonkeyPatch):
    assert len(environments("auto", at_most=3)) == 3
    assert len(environments(6, at_most=2)) == 2
    assert len(environments(6, at_most=0)) == 1
    monkeypatch.setattr(plan, "_available_bytes", lambda: int(2.5 * plan.WORKER_BYTES))
    assert len(environments("auto")) == 2
    assert len(environments(6)) == 6  # asked for


def test_every_worker_sees_one_gpu():
    seen = [environment["CUDA_VISIBLE_DEVICES"] for environment in environments("auto", gpus=2)]
    assert seen == ["0", "1", "0", "1"]
    assert len(environments("auto", gpus=2, per_gpu=3)) == 6
    assert len(environments(5, gpus=2)) == 5


def test_gpus_that_the_user_has_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-abc")
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments(2, gpus=2)] == ["3", "GPU-abc"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"workers": 0}, "--workers 0: give a whole number of at least 1, or auto"),
        ({"workers": "many"}, "--workers many"),
        ({"workers": True}, "--workers True"),
        ({"workers": "auto", "per_gpu": 0, "gpus": 1}, "--workers-per-gpu 0"),
        ({"workers": "auto", "per_gpu": 2}, "--workers-per-gpu 2: Keras finds no GPU"),
        ({"workers": 9, "per_gpu": 2, "gpus": 4}, "--workers 9: 2 for each of 4 GPUs are 8"),
    ],
)
def test_numbers_that_are_refused(given, told):
    with pytest.raises(InputError, match=told):
        environments(**given)


def test_check_workers_takes_what_is_allowed():
    check_workers("auto")
    check_workers(1, 4)


def test_the_memory_of_this_machine_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert plan._available_bytes() > 1 << 20


MIB = 1 << 20
VERSION_2 = ("0::{}\n", "", ("memory.max", "memory.current", "inactive_file"))
VERSION_1 = (
    "5:cpu,cpuacct:/elsewhere\n4:blkio,memory:{}\n0::/\n",
    "memory",
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@pytest.mark.parametrize(("line", "top", "names"), [VERSION_1, VERSION_2])
@pytest.mark.parametrize("seen", ["pods/one", "", "pods"])  # a container sees its own group at the top, under no name
def test_a_container_has_less_memory_than_its_machine(
    line: str, top: str, names: tuple[str, str, str], seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()
    monkeypatch.setattr(plan, "CGROUPS", tmp_path)
    monkeypatch.setattr(plan, "OWN_CGROUPS", tmp_path / "own")
    (tmp_path / "own").write_text(line.format("/pods/one"))
    everything = plan._available_bytes()
    group = tmp_path / top / seen
    group.mkdir(parents=True, exist_ok=True)
    limit, used, idle = names
    (group / limit).write_text(f"{40 * MIB}\n")
    (group / used).write_text(f"{30 * MIB}\n")
    (group / "memory.stat").write_text(f"anon 5\n{idle} {8 * MIB}\n")
    assert plan._available_bytes() == 18 * MIB
    (group / limit).write_text("max\n")
    assert plan._available_bytes() == pytest.approx(everything, rel=0.3)


def test_jax_keeps_every_program():
    assert compilation_environment("there")["JAX_COMPILATION_CACHE_DIR"] == "there"
