"""What the program says of the images that it trained on."""

import pytest
import trial_time


def test_the_numbers_of_images_are_those_of_the_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial_time, "measured", lambda *given: [dict.fromkeys(trial_time.PARTS[:-1], 1.0)])
    trial_time.main(["--images", "1000"])
    assert "1,000 training and 6,000 validation images" in capsys.readouterr().out
