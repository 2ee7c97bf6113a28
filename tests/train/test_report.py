"""What is told of a run's steps."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from sgonz.train import report
from sgonz.train.checkpoint import Position


def test_a_step_lasts_until_the_device_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: clock.now, time=time.time))

    class Behind:
        def item(self) -> float:
            clock.now += 3.0  # for what the device was given in the steps before
            return 2.0

    told: list[object] = []
    reporter = report.Reporter(told.append, "run", 1, epochs=1, per_epoch=4)
    at = Position(micro_batch=8, loss_sum=Behind(), loss_steps=1)  # type: ignore[arg-type]
    for _ in range(2):  # each is given to the device in a second; the second one is told of
        began, clock.now = clock.now, clock.now + 1.0
        at.step += 1
        reporter.step(at, 8, began)
    assert len(told) == 1
    assert reporter.seconds_per_step == pytest.approx((1 + 1 + 3) / 2)
