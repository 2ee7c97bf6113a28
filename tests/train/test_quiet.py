"""What the logs of jobs do not say."""

from __future__ import annotations

import logging

import pytest

from sgonz.train.quiet import hush


@pytest.mark.parametrize(("place", "said"), [("real_accelerator", False), ("engine", True)])
def test_only_deepspeeds_guess_at_the_device_is_left_out(
    caplog: pytest.LogCaptureFixture, place: str, said: bool
) -> None:
    hush()
    logger = logging.getLogger("DeepSpeed")
    logger.handle(logger.makeRecord(logger.name, logging.WARNING, f"{place}.py", 1, "a word", (), None))
    assert ("a word" in caplog.text) is said
