"""Slurm as a cluster: arrays through submitit, one squeue and at most one sacct for a look at everything."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from sgonz.cluster import slurm_pending, slurm_unlisted
from sgonz.cluster.base import (
    HeldByQuota,
    JobReport,
    JobUsage,
    NoAnswer,
    SubmissionRefused,
    Written,
)
from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.slurm_ids import Key, elsewhere, external_id, key_in
from sgonz.cluster.slurm_limits import Limits, limits_without_accounting, recent_limits
from sgonz.cluster.slurm_requests import COMMAND_SECONDS, Requests
from sgonz.cluster.slurm_usage import USAGE_FORMAT, WHOLE, read_usage
from sgonz.cluster.slurm_words import (
    SACCT_FORMAT,
    SQUEUE_FORMAT,
    Line,
    by_key,
    fold,
    is_quota,
    is_silence,
    read_sacct,
    read_squeue,
)
from sgonz.plan.state import JobRow
from sgonz.plan.wording import number_of
from sgonz.rundir import JobList, Workdir, write_atomic
from sgonz.workdir.codebase import setup_lines

if TYPE_CHECKING:
    from sgonz.cluster.slurm_executor import ArrayExecutor

# What `python -m sgonz.train.worker` does, without the search for what -m names: 10 ms of every job.
START = "import sys; from sgonz.train.worker import main; sys.exit(main())"
MEMBER = "sgonz.train.member"
MOST_ARRAYS = 500  # in one question, which has to fit on a command line
HELD_SECONDS = 60.0  # after a refusal for quota, before another submission is tried
VANISHED_SECONDS = 300.0  # Slurm's own memory of ended jobs, and time for its accounting to catch up
SETTLED_SECONDS = COMMAND_SECONDS + 10.0  # after which an sbatch that was begun has arrived, or never will


class SlurmCluster:
    """Jobs as Slurm array tasks. Holds what was last heard, and counts what it asks."""

    def __init__(
        self,
        profile: Profile,
        python: str = sys.executable,
        *,
        held_seconds: float = HELD_SECONDS,
        vanished_seconds: float = VANISHED_SECONDS,
        settled_seconds: float = SETTLED_SECONDS,
        first_pause: float = 5.0,
    ) -> None:
        self._profile = profile
        self._python = python
        self._held_seconds = held_seconds
        self._vanished_seconds = vanished_seconds
        self._settled_seconds = settled_seconds
        self._held_until = 0.0
        self.reserved = 0  # jobs that room is left for under the limits, beside those of submissions
        self._next_usage = 0.0
        self._limits: Limits | None = None
        self._called: str | None = None
        self._listing: list[Line] | None = None
        self._remarks: list[str] = []
        self.requests = Requests(
            profile.requests_per_minute, profile.expanded_environment, first_pause=first_pause
        )

    def free_slots(self, live: Sequence[JobRow]) -> int | None:
        """Room under every limit on a user's jobs; the user's other jobs count too."""
        if time.monotonic() < self._held_until:
            return 0
        try:
            rules = self._known_limits().rules(self._profile)
            if not rules:
                return None
            if self._listing is None or (not live and self.requests.may_look):  # else a poll has just looked
                self._listing = self._list()
        except NoAnswer as silence:
            self._remarks.append(silence.message)
            raise
        mine = {key for job in live if (key := self._key(job)) is not None}
        return max(0, min(rule.room(mine, self._listing) for rule in rules) - self.reserved)

    def array_limit(self) -> int:
        return self._known_limits().array

    def submit(self, workdir: Workdir, jobs: JobList) -> list[str]:
        """Send every element of job.json as one array named by its tag; JOBID_INDEX@CLUSTER of each."""
        self.requests.keep_in(workdir.root)
        folder = workdir.job(jobs.tag).absolute()
        if not (folder / "job.json").exists():
            write_atomic(folder / "job.json", msgspec.json.encode(jobs))
        cluster = self._name  # asked before anything is sent
        array = self._executor(workdir, jobs).start()
        return [external_id(array, element, cluster) for element in range(len(jobs.elements))]

    def written(self, workdir: Workdir, jobs: JobList) -> list[Written]:
        """The script, and the command that `submit` would send it with."""
        executor = self._executor(workdir, jobs)
        return [Written(command=shlex.join(executor.command), script=executor.script)]

    def _executor(self, workdir: Workdir, jobs: JobList) -> ArrayExecutor:
        from sgonz.cluster.slurm_executor import ArrayExecutor  # submitit: 0.1 s, and only here

        folder = workdir.job(jobs.tag).absolute()
        resource = self._asked(jobs)
        excluded = tuple(sorted({*resource.exclude, *self.requests.notes.avoided}))
        resource = msgspec.structs.replace(resource, exclude=excluded)
        if jobs.memory_gb is not None:
            resource = msgspec.structs.replace(resource, memory_gb=jobs.memory_gb)
        if jobs.minutes is not None:
            resource = msgspec.structs.replace(resource, max_minutes=jobs.minutes)
        return ArrayExecutor(
            folder,
            tag=jobs.tag,
            elements=len(jobs.elements),
            worker=[self._python, "-u", "-c", START, str(folder)],
            members=[self._python, "-u", "-m", MEMBER, str(folder)],
            processes=jobs.processes,
            setup=(*self._profile.setup, *setup_lines(workdir, jobs.code)),
            resource=self._profile.within_limits(resource),
            send=self.sbatch,
        )

    def _asked(self, jobs: JobList) -> Resource:
        """The resource class of a submission."""
        if jobs.resource is None:
            return self._profile.resource_for("default")[1]
        return self._profile.resources[jobs.resource]

    def sbatch(self, command: Sequence[str]) -> str:
        """What sbatch prints. Raises what a submission raises."""
        result = self.requests.run(command)
        if result.returncode == 0:
            return result.stdout
        said = result.stderr.strip()
        if is_quota(said):
            self._held_until = time.monotonic() + self._held_seconds
            raise HeldByQuota(f"held by quota: {' '.join(said.split())[:300]}")
        if is_silence(said):
            raise self.requests.silent("sbatch", f"had no answer: {said.splitlines()[-1]}")
        raise SubmissionRefused(
            f"Slurm does not take jobs of cluster profile {self._profile.name}: {said[:500]}",
            hint=f"Change what it asks for; sent was: {command[-1]}",
        )

    def poll(self, live: Sequence[JobRow]) -> dict[tuple[str, int], JobReport]:
        """What one squeue says and, of jobs that it does not know any more, one sacct.

        Nothing while the request budget is used up: then nothing is asked and nothing concluded.
        """
        if not any(job.external_id for job in live) or not self.requests.may_look:
            return {}
        try:
            keys = {(job.tag, job.element): (key, job) for job in live if (key := self._key(job)) is not None}
            if keys:
                self._listing = self._list()
        except NoAnswer as silence:
            self._remarks.append(silence.message)
            return {}
        self._remarks += [
            f"{number_of(count, 'job is', 'jobs are')} in cluster {name}; turns with its profile follow what is there"
            for name, count in elsewhere(self._name, live).items()
        ]
        if not keys or self._listing is None:
            return {}
        listed = by_key(self._listing, (key for key, _ in keys.values()))
        reports = {name: line.report for name, (key, _) in keys.items() if (line := listed.get(key))}
        held = Counter(line.reason for line in listed.values() if line.is_held)
        self._remarks += [
            f"{number_of(count, 'job is', 'jobs are')} held in Slurm ({reason}); scontrol release ends that"
            for reason, count in held.items()
        ]
        unlisted = {name: known for name, known in keys.items() if name not in reports}
        reports |= self._of_unlisted(unlisted)
        return {name: report for name, report in reports.items() if report is not None}

    def _of_unlisted(
        self, unlisted: Mapping[slurm_unlisted.Name, tuple[Key, JobRow]]
    ) -> dict[slurm_unlisted.Name, JobReport | None]:
        """Jobs that squeue, which did answer, does not know."""
        left: dict[slurm_unlisted.Name, JobReport | None] = {
            name: slurm_unlisted.LEFT for name, (_, job) in unlisted.items() if job.ended
        }
        asked = {name: known for name, known in unlisted.items() if name not in left}
        try:
            lines = self._accounted([key for key, _ in asked.values()])
        except NoAnswer as silence:
            self._remarks.append(silence.message)
            return left
        listed = (*lines, *(self._listing or ())) if self.keeps_accounts else ()
        reports = slurm_unlisted.reports(
            asked,
            lines,
            known_arrays=(line.array for line in listed),
            missing=self.requests.notes.missing,
            patience=self._vanished_seconds,
        )
        self._remember_missing([asked[name][0] for name, report in reports.items() if report is None])
        return left | reports

    def _accounted(self, keys: Collection[Key]) -> list[Line]:
        """What sacct says of the arrays of these jobs."""
        if not keys or not self._known_limits().accounting:
            return []
        arrays = ",".join(str(array) for array in sorted({array for array, _ in keys}))
        answer = self.requests.ask("sacct", "-X", "-n", "-P", "-j", arrays, "-o", SACCT_FORMAT)
        return read_sacct(answer)

    def _remember_missing(self, keys: Iterable[Key]) -> None:
        before = self.requests.notes.missing
        now = time.time()
        missing = {name: before.get(name, now) for name in map(slurm_unlisted.missing_name, keys)}
        if missing != before:
            self.requests.notes.missing = missing
            self.requests.save()

    @property
    def keeps_accounts(self) -> bool:
        return self._known_limits().accounting

    def pause(self) -> float:
        return self.requests.pause()

    def look_now(self) -> None:
        self.requests.forgive()

    def used(self, external_ids: Sequence[str]) -> dict[str, JobUsage] | None:
        """One sacct for all of them, and not again before the pause is over."""
        keys = {each: key for each in external_ids if (key := key_in(self._name, each)) is not None}
        if not keys or not self.keeps_accounts:
            return {}
        if time.monotonic() < self._next_usage:
            return None
        self._next_usage = time.monotonic() + self.requests.spacing
        arrays = sorted({array for array, _ in keys.values()})[:MOST_ARRAYS]
        ids = ",".join(map(str, arrays))
        known = read_usage(self.requests.ask("sacct", "-D", "-n", "-P", "-j", ids, "-o", USAGE_FORMAT))
        told = {each: known.get(key) or known.get((key[0], WHOLE)) for each, key in keys.items()}
        return {each: used for each, used in told.items() if used is not None}

    def remarks(self) -> list[str]:
        said, self._remarks = self._remarks, []
        return said

    def avoid(self, workdir: Workdir, nodes: Collection[str], live: Sequence[JobRow]) -> None:
        """Keep what is sent from now on off these nodes, and what waits in the queue."""
        if sorted(nodes) == self.requests.notes.avoided:
            return
        self.requests.keep_in(workdir.root)
        self.requests.notes.avoided = sorted(nodes)
        self.requests.save()
        arrays = {key[0]: job.tag for job in live if (key := self._key(job)) is not None}
        for array, tag in arrays.items():
            asked = msgspec.json.decode((workdir.job(tag) / "job.json").read_bytes(), type=JobList)
            excluded = ",".join(sorted({*self._asked(asked).exclude, *nodes}))
            # Those of an array that run already are passed over, with an error that says so.
            self.requests.run(["scontrol", "update", f"JobId={array}", f"ExcNodeList={excluded}"])

    def cancel(self, jobs: Sequence[JobRow]) -> None:
        """scancel by job id; what has ended already is passed over."""
        arrays: dict[int, list[int]] = {}
        for job in jobs:
            if (key := self._key(job)) is not None:
                arrays.setdefault(key[0], []).append(key[1])
        if not arrays:
            return
        ids = [f"{array}_[{fold(indices)}]" for array, indices in arrays.items()]
        result = self.requests.run(["scancel", "--quiet", *ids])
        if result.returncode and is_silence(result.stderr):
            raise self.requests.silent("scancel", f"had no answer: {result.stderr.strip()}")

    def when_late(self, say: Callable[[str], None]) -> None:
        self.requests.when_late = say

    def withdraw(self, jobs: Sequence[JobRow]) -> None:
        """What is pending of their arrays, as one: a part of it would be forgotten without an end.

        Without an answer a job begins, finds that its runs are taken back, and leaves.
        """
        arrays = sorted({key[0] for job in jobs if (key := self._key(job)) is not None})
        if arrays:
            with contextlib.suppress(NoAnswer):
                self.requests.run(["scancel", "--quiet", "--state=PENDING", *map(str, arrays)])

    def explain(self, job: JobRow) -> str | None:
        """Slurm's own reason for a job in its queue, with its estimate; asked for when a person asks."""
        key = self._key(job)
        return slurm_pending.reason(self.requests, *key) if key is not None else None

    def find(self, workdir: Workdir, tag: str) -> list[str] | None:
        """Look a submission up by its tag, in squeue and then in sacct.

        Not sent is certain only when both answered and an sbatch begun by a dead coordinator has had time to arrive.
        """
        self.requests.keep_in(workdir.root)
        job_file = workdir.job(tag) / "job.json"
        try:
            elements = len(msgspec.json.decode(job_file.read_bytes(), type=JobList).elements)
            began = job_file.stat().st_mtime
        except (FileNotFoundError, msgspec.DecodeError):
            return None  # written before anything is sent
        user = ("--user", str(os.getuid()))
        queued = self.requests.ask("squeue", "-h", *user, "--states=all", "--name", tag, "-o", SQUEUE_FORMAT)
        lines = read_squeue(queued)
        if not lines and self._known_limits().accounting:
            since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(began - 3600.0))
            past = self.requests.ask(
                "sacct", "-X", "-n", "-P", *user, "--name", tag, "-S", since, "-o", SACCT_FORMAT
            )
            lines = read_sacct(past)
        if lines:
            array = min(line.array for line in lines)
            return [external_id(array, element, self._name) for element in range(elements)]
        if time.time() - began < self._settled_seconds:
            raise NoAnswer(f"{tag} may still be on its way to Slurm; looked up again in a while")
        return None

    def _list(self) -> list[Line]:
        """All of this user's jobs that the controller remembers, folded, ended ones included."""
        mine = ("--user", str(os.getuid()), "--states=all")
        return read_squeue(self.requests.ask("squeue", "-h", *mine, "-o", SQUEUE_FORMAT))

    @property
    def _name(self) -> str:
        """What the cluster calls itself. Raises NoAnswer."""
        if self._called is None:
            self._called = self._known_limits().cluster
        return self._called

    def ids_here(self, jobs: Sequence[JobRow]) -> list[str]:
        """Slurm's own ids of those of these jobs that this cluster has, in order. Raises NoAnswer."""
        return [f"{key[0]}_{key[1]}" for job in jobs if (key := self._key(job)) is not None]

    def _key(self, job: JobRow) -> Key | None:
        """Array and index of a job; None where it was not sent yet, or not to this cluster."""
        return key_in(self._name, job.external_id) if job.external_id else None

    def _known_limits(self) -> Limits:
        """Asked for once per process; again next time where the accounting did not answer."""
        if self._limits is None:
            try:
                self._limits = recent_limits(self.requests)
            except NoAnswer:
                return limits_without_accounting(self.requests)
        return self._limits
