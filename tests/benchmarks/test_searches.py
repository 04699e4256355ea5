"""Every contender searches, in this process, on few images; and the benchmark as it is run."""

import json
from pathlib import Path

import peers
import pytest
from side_by_side import one_search
from side_by_side.contenders import CONTENDERS
from side_by_side.measures import search_from_json
from side_by_side.setting import Setting

pytest.importorskip("optuna_integration", reason="needs the extra bench")
pytest.importorskip("tensorboard", reason="needs the extra bench")


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_trains_and_rejects_until_its_time_is_up(
    name: str, mnist_slice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "kerastuna":  # so few that its first proposals, which are made narrower until they fit, do not
        monkeypatch.setattr(one_search, "BUDGET", 250)
    for seconds in (3, 10, 40):  # the first will do, unless the machine is very busy
        setting = Setting("tiny", images=100, validated=20, epochs=1, seconds=seconds, seeds=1, data=str(mnist_slice))
        result = one_search.run(name, 1, setting)
        search = search_from_json(result["search"])
        is_timed = not CONTENDERS[name].every_core  # the time of an over-budget proposal; they are rare
        if search.accuracy is not None and ("over_budget" in search.proposals or not is_timed):
            break
    assert result["images"] == [100, 20]
    assert search.trained > 0
    assert search.over_budget_ms and search.proposals["over_budget"] if is_timed else search.over_budget_ms is None
    assert search.over_total == 0 or CONTENDERS[name].module == "keras_tuner_peers"  # it counts trained ones alone
    assert search.proposals.get("failed", 0) == 0
    assert search.accuracy is not None
    assert 0 <= search.accuracy <= 1
    assert search.curve[-1][0] <= seconds
    assert 0 < search.training_seconds < seconds * search.workers
    assert search.epochs >= search.trained - search.proposals.get("unfinished", 0)


def test_a_run_writes_its_results(mnist_slice: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--name", "tiny", "--data", str(mnist_slice), "--images", "100", "--validated", "20", "--epochs", "1"]
    options += ["--seconds", "3", "--seeds", "1", "--contenders", "kerastuna", "--results", str(tmp_path / "new")]
    assert peers.main(options) == 0
    assert capfd.readouterr().out.startswith("1/1 ")
    written = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert written == ["peers-tiny.json", "peers-tiny.md", "peers-tiny.png"]
    told = json.loads((tmp_path / "new" / "peers-tiny.json").read_text())
    [search] = told["searches"]
    assert search["proposals"]
    assert "optuna-integration" in told["versions"]
    before = (tmp_path / "new" / "peers-tiny.md").read_text()
    (tmp_path / "new" / "peers-tiny.md").unlink()
    assert peers.main(["--redraw", str(tmp_path / "new" / "peers-tiny.json")]) == 0
    assert (tmp_path / "new" / "peers-tiny.md").read_text() == before


def test_a_search_that_fails_is_told_and_fails_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gone = Setting("gone", images=100, validated=20, epochs=1, seconds=1, seeds=1)
    assert peers.run(gone, ["nobody"], tmp_path / "peers-gone.json") == 1
    told = capfd.readouterr().out
    assert "failed: status 1" in told
    assert "KeyError: 'nobody'" in told
    assert list(tmp_path.iterdir()) == []
