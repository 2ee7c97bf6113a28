"""What jobs used, as sacct tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from sgonz.cluster.base import JobStatus, JobUsage
from sgonz.cluster.site import read_gpus
from sgonz.cluster.slurm_words import STATES, read_indices

USAGE_FORMAT = "JobID,State,ExitCode,ElapsedRaw,NodeList,AllocTRES,MaxRSS,User"
GIVEN_UP = ("REQUEUED", "RESIZING")  # what the line of an earlier start says for good
UNPLACED = "None assigned"  # in place of a node
WHOLE = -1  # the index of what is said of an array as a whole: that it was cancelled before any of it started
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def read_usage(text: str) -> dict[tuple[int, int], JobUsage]:
    """Lines of `sacct -D -n -P -o USAGE_FORMAT`: jobs that are over, by array and index.

    A job that Slurm sent back and started again stands there several times (-D): its times add up. One that
    still has a line of being at work is not in the answer. The line of what was never started may name jobs
    that were (it is not written anew for each), or no index at all: it counts for what no other line names.
    What never had a node used nothing, whatever time its line tells: one line stands for a whole array.
    """
    lines = [fields for line in text.splitlines() if len(fields := line.split("|")) == 8]
    own = {key for fields in lines if "[" not in fields[0] for key in _keys(fields[0].partition(".")[0])}
    found: dict[tuple[int, int], JobUsage] = {}
    unfinished: set[tuple[int, int]] = set()
    memory: dict[tuple[int, int], float] = {}
    for fields in lines:
        job, state, code, elapsed, node, tres, peak, owner = fields
        name, _, step = job.partition(".")
        placed = node != UNPLACED
        for key in _keys(name):
            if ("[" in name and key in own) or (key[1] == WHOLE and placed):
                continue
            if step:  # only steps know their memory
                memory[key] = max(memory.get(key, 0.0), _megabytes(peak))
                continue
            word = state.split(" ", 1)[0]
            at_work = STATES.get(word, (JobStatus.GONE, None))[0] is not JobStatus.GONE
            if at_work and word not in GIVEN_UP:
                unfinished.add(key)
                continue
            before = found.get(key)
            seconds = float(elapsed) if placed and elapsed.isdigit() else 0.0
            found[key] = JobUsage(
                elapsed=seconds + (before.elapsed if before else 0.0), state=state, exit_code=code,
                node=node if placed else "", owner=owner or (before.owner if before else ""),
                gres=_gres(tres) or (before.gres if before else ""), gpus=_gpus(tres, before),
            )  # fmt: skip
    return {
        key: replace(used, peak_memory_mb=memory.get(key) or None)
        for key, used in found.items()
        if key not in unfinished
    }


def _keys(name: str) -> Iterable[tuple[int, int]]:
    array, underscore, indices = name.partition("_")
    if not array.isdigit():
        return ()
    if not underscore:
        return [(int(array), WHOLE)]
    return [(int(array), index) for index in read_indices(indices) or ()]


def _gpus(tres: str, before: JobUsage | None) -> int | None:
    counted = _gpu_counts(tres)
    if counted:
        return counted.get("") or sum(counted.values())
    return before.gpus if before else None


def _gpu_counts(tres: str) -> Mapping[str, int]:
    """AllocTRES names the sum and then each type: gres/gpu=2,gres/gpu:a100=2."""
    words = [word for word in tres.split(",") if re.match(r"gres/gpu[:=]", word)]
    return read_gpus(",".join(words))


def _gres(tres: str) -> str:
    return ",".join(word.removeprefix("gres/") for word in tres.split(",") if word.startswith("gres/"))


def _megabytes(text: str) -> float:
    """MaxRSS: 1234K, 1.5G, bytes, or nothing."""
    found = re.fullmatch(r"([\d.]+)([KMGT]?)", text.strip())
    return float(found[1]) * UNITS.get(found[2], 1) / 2**20 if found else 0.0
