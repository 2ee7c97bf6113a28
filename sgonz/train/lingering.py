"""A worker whose list is done waits for more runs, where the profile asks it to."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sgonz.rundir import Element
from sgonz.train.job import Job
from sgonz.workdir import more_work

LOOK_SECONDS = 0.1  # between looks for more runs


def given_and_offered(job: Job, given: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The element's runs and then what is offered, one after the other, until it is time to go."""
    # Those of an earlier start, counted first: an offer may come as soon as the last run has ended.
    number = sum(1 for _ in (job.path / "more").glob(f"{job.element}.*.json"))
    while given["run_ids"] and not job.told.reason:
        yield given
        given = msgspec.to_builtins(_await(job, number))
        number += 1


def _await(job: Job, number: int) -> Element:
    """The next offer; the last one when it is time to go."""
    deadline = time.monotonic() + job.jobs.linger_seconds
    while not job.told.reason:
        if (offered := more_work.read(job.path, job.element, number)) is not None:
            return offered
        if time.monotonic() > deadline and more_work.leave(job.path, job.element, number):
            break
        select.select([job.told.fileno()], (), (), LOOK_SECONDS)
        job.told.hear()
    return more_work.HOME
