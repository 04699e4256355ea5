"""MLflow's UI over a recorded study, seen through a real browser."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker
from kerastuna.search.tracking.ui import ui_command, ui_path

CHROMIUM, DRIVER = shutil.which("chromium") or "", shutil.which("chromedriver") or ""
STUDY = "mnist-convnet-15000-quick"
VALUES = {0: 0.91, 1: 0.95, 2: 0.93, 3: 0.94}  # by trial number, complete ones
PATIENCE = 90  # seconds; the server needs five on an idle machine, a page two

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed"),
    # MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


def record_study(folder: Path) -> Tracker:
    tracker = Tracker(
        default_tracking_uri(folder), "kerastuna/mnist-convnet", artifact_root=folder / "artifacts", warn=pytest.fail
    )
    tracker.start_study(STUDY, {"budget": 15_000, "epochs": 3}, {"profile": "quick"})
    for number in range(6):
        run_id = tracker.start_trial(
            number,
            params={"filters": 4 + number, "batch_norm": True},
            metrics={"params": 9_000 + 1_000 * number, "macs": 800_000 + number},
            tags={"profile": "quick", "architecture": f"{4 + number}-p16 | gap"},
        )
        accuracy = VALUES.get(number, 0.5)
        tracker.log_epochs(run_id, [{"loss": 1 / step, "val_accuracy": accuracy} for step in (1, 2, 3)])
        metrics = {"value": VALUES.get(number), "seconds": 20.0 + number}
        if number == 4:
            tracker.end_trial(run_id, state="PRUNED", reason="stopped_early", metrics=metrics)
        elif number == 5:
            tracker.end_trial(run_id, state="FAIL", reason="not_finite", metrics=metrics)
        else:
            tracker.end_trial(run_id, state="COMPLETE", metrics=metrics)
    tracker.log_rejections(
        [{"number": 6, "reason": "over_budget", "params": 20_000, "hyperparameters": {"filters": 64}}]
    )
    tracker.finish_study("FINISHED", {"best_value": 0.95}, {"best.trial": "trial-0001"})
    return tracker


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The tracker of a recorded study, and the address of MLflow's UI over it."""
    folder = tmp_path_factory.mktemp("ui")
    tracker = record_study(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment = ui_command(default_tracking_uri(folder), port)
    log = folder / "ui.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield tracker, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="module")
def browser(study, tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1440,900",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.get(f"{study[1]}/health")
        # As after a first visit, when the user has closed the assistant that covers a quarter of the page.
        driver.execute_script(
            "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
            "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');"
        )
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def screenshots(tmp_path):
    folder = Path(os.environ.get("KERASTUNA_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def wait_for(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE).until(condition)


def run_names(browser):
    return [link.text for link in browser.find_elements("css selector", ".ag-row a[href*='/runs/']") if link.text]


def test_the_trials_are_nested_under_their_study(study, browser, screenshots):
    tracker, address = study
    browser.get(f"{address}/#/experiments/{tracker.experiment_id}/runs?workflowType=machine_learning")
    wait_for(browser, lambda page: run_names(page) == [STUDY])
    browser.find_element("css selector", ".ag-row button[data-component-id*='runnamecell']").click()
    nested = [f"trial-{number:04d}" for number in range(6)]
    wait_for(browser, lambda page: sorted(run_names(page)) == [STUDY, *nested])
    browser.save_screenshot(str(screenshots / "mlflow-tree.png"))


def test_the_view_of_a_study_shows_its_trials_best_first_with_their_cost(study, browser, screenshots):
    tracker, address = study
    browser.get("about:blank")
    browser.get(f"{address}{ui_path(tracker.study_run)}")
    ranked = [f"trial-{number:04d}" for number in sorted(VALUES, key=lambda number: -VALUES[number])]
    wait_for(browser, lambda page: run_names(page)[:4] == ranked)

    def columns(page):
        headers = page.find_elements("css selector", ".ag-header-cell")
        return [cell.get_attribute("col-id") for cell in sorted(headers, key=lambda cell: cell.location["x"])]

    first = [*(f"metrics.`{name}`" for name in ("value", "params", "macs")), "tags.`architecture`"]
    wait_for(browser, lambda page: columns(page)[3:8] == [*first, "tags.`trial.ended`"])

    def cells(page, column):
        found = page.find_elements("css selector", f".ag-row [col-id='{column}']")
        return [cell.text for cell in sorted(found, key=lambda cell: cell.location["y"])][:6]

    for column, shown in {
        "metrics.`value`": ["0.95", "0.94", "0.93", "0.91"],
        "metrics.`params`": ["10000", "12000", "11000", "9000"],
        "tags.`architecture`": ["5-p16 | gap", "7-p16 | gap", "6-p16 | gap", "4-p16 | gap"],
        "tags.`trial.ended`": ["complete"] * 4,
    }.items():
        wait_for(browser, lambda page, column=column, shown=shown: cells(page, column)[:4] == shown)
    wait_for(browser, lambda page: {"stopped early", "failed: not finite"} <= set(cells(page, "tags.`trial.ended`")))
    browser.save_screenshot(str(screenshots / "mlflow-trials.png"))


def test_the_page_of_a_study_lists_what_was_rejected(study, browser, screenshots):
    tracker, address = study
    run = tracker.study_run
    page = (
        f"/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/rejections.csv?workflowType=machine_learning"
    )
    browser.get("about:blank")
    browser.get(f"{address}{page}")
    words = ("Previewing the first 1 rows", "over_budget", "20000", "filters", "64")
    wait_for(browser, lambda page: all(word in page.find_element("tag name", "body").text for word in words))
    browser.save_screenshot(str(screenshots / "mlflow-rejections.png"))
