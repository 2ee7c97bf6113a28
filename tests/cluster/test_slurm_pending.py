"""Why a job waits, of what squeue says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.slurm_pending import reason, sentence
from sgonz.cluster.slurm_requests import Requests


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("JobArrayTaskLimit", "as many elements of its array run as it allows"),
        ("QOSMaxCpuPerUserLimit", "a limit of its QOS is reached"),
        ("AssocGrpGRES", "a limit of its account is reached"),
        ("MaxJobsPerAccount", "its account has as many jobs as it may"),
        ("MaxGRESRunMinsPerUser", "a limit of its account or of the site is reached"),  # since 24.05
    ],
)
def test_reasons_of_slurm_are_told_in_words(word: str, meaning: str) -> None:
    said = sentence(f"PENDING|{word}|N/A\n")
    assert said == f"in Slurm's queue: {word} ({meaning}); no estimate of its start"


def test_a_reason_that_is_not_known_is_shown_as_it_is() -> None:
    assert sentence("PENDING|NvidiaImexChannels|N/A\n") == "in Slurm's queue: NvidiaImexChannels; no estimate of its start"  # fmt: skip


def squeue(folder: Path, says: str) -> Requests:
    command = folder / "squeue"
    command.write_text(f"#!/bin/sh\necho 'slurm_load_jobs error: {says}' >&2\nexit 1\n")
    command.chmod(0o755)
    return Requests(60.0, {"PATH": f"{folder}:/usr/bin:/bin"})


def test_a_job_that_the_queue_has_forgotten_is_an_answer_and_silence_is_none(tmp_path: Path) -> None:
    said = reason(squeue(tmp_path, "Invalid job id specified"), 12, 3)
    assert said == "Slurm's queue does not have its job any more; the next turn finds out how it ended"
    with pytest.raises(NoAnswer):
        reason(squeue(tmp_path, "Unable to contact slurm controller (connect failure)"), 12, 3)
