"""The process of one job: does its runs, one or a few at a time, each in a child of a fork server.

`python -m sgonz.train.worker JOB_FOLDER [ELEMENT]`. This process itself stays small and imports no torch, so
that whatever happens to a run, somebody is left to say so. What only a run with a process of its own needs is
imported for the first one: of a job that is short, starting is most of the time (see sgonz.bare).
"""

from __future__ import annotations

import os
import sys
import time

from sgonz import __version__, bare
from sgonz.train.job import Job
from sgonz.train.told import SIGNALS, Told
from sgonz.versions import PACKAGES, versions

TYPE_CHECKING = False  # a worker starts without typing
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Any

    from sgonz.train.children import Child

QUIET = {
    # Asked by a library in the fork server, torch would start the driver there, and no child could use it.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
SECRETS = ("SGONZ_DATABASE", "PGPASSWORD")  # of the store
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
# What came at once of a run that was taken up and has no process.
DONE = "done"
LEFT_OUT = (
    "left out"  # cancelled, held by a later job, or without a result that it needs; nothing is said of it
)
LATER = "later"  # it needs a run of this list that is not done yet


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    if len(given) == 1 and task is not None:
        element, restart = task, os.environ.get("SLURM_RESTART_COUNT")
    elif len(given) == 2:
        element, restart = given[1], None
    else:
        print("usage: python -m sgonz.train.worker JOB_FOLDER [ELEMENT]\n"
              "ELEMENT says which job of it; a task of a Slurm array is told that by Slurm", file=sys.stderr)  # fmt: skip
        return 2
    try:
        work(os.path.abspath(given[0]), int(element), int(restart) if restart else None)
    except Exception as error:
        from sgonz.errors import SgonzError

        if not isinstance(error, SgonzError):
            raise
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def work(folder: str, element: int, restart: int | None = None) -> None:
    """Do an element's runs, or as many of them as there is time for."""
    told = Told(SIGNALS)
    listed = read_job(folder, element)
    for name in SECRETS:
        os.environ.pop(name, None)  # a worker never opens the store, nor does what it starts
    quieten(listed.get("threads", 1))
    restart, event_file = begin_events(folder, element, restart)
    job = Job(folder, listed, element=element, restart=restart, event_file=event_file, told=told)
    code = {"code": listed["code"]} if listed.get("code") else {}
    job.say(
        "job_started", host=os.environ.get("SLURMD_NODENAME") or os.uname().nodename, pid=os.getpid(),
        restart=restart, device=device(), versions={"sgonz": __version__, **code, **versions(PACKAGES)},
    )  # fmt: skip
    left_out = sum(do_list(job, given) for given in lists(job))
    done = f"done, {left_out} left out" if left_out else "done"
    job.say("job_ended", reason=told.reason or done)


def read_job(folder: str, element: int) -> dict[str, Any]:
    """What job.json says, which has such an element."""
    listed: dict[str, Any] = bare.read(f"{folder}/job.json")
    if listed.get("version", bare.JOB_FORMAT) != bare.JOB_FORMAT:
        from sgonz.errors import SpecError

        raise SpecError(
            f"{folder}/job.json has format {listed['version']}, this worker reads {bare.JOB_FORMAT}"
        )
    if not 0 <= element < len(listed["elements"]):
        from sgonz.errors import SpecError

        raise SpecError(
            f"{folder}: there is no element {element}", hint=f"It has {len(listed['elements'])}, from 0."
        )
    return listed


def quieten(threads: int) -> None:
    """What libraries read when they are loaded: threads as the runs say, and no noise."""
    os.environ |= QUIET | dict.fromkeys(THREADS, str(threads))


def lists(job: Job) -> Iterator[Mapping[str, Any]]:
    """The element's runs, and then what is offered while the worker lingers."""
    given = job.listed["elements"][job.element]
    if job.listed.get("linger_seconds"):
        from sgonz.train.lingering import given_and_offered

        yield from given_and_offered(job, given)
    else:
        yield given


def do_list(job: Job, given: Mapping[str, Any]) -> int:
    """Do runs, as many at a time as the job is for, until told to go; how many were left out."""
    unfinished: dict[str, Child | None] = dict.fromkeys(given["run_ids"])  # None: not begun
    specs = bare.specs(job.folder, given)
    left_out = fill(job, unfinished, specs)
    if any(unfinished.values()):
        from sgonz.train import children

        try:
            while at_work := [child for child in unfinished.values() if child is not None]:
                for child in children.attend(job, at_work):
                    children.finish(job, child)
                    unfinished[child.run.root.name] = None
                    if not child.goes_on:
                        del unfinished[child.run.root.name]
                left_out += fill(job, unfinished, specs)
        finally:  # an error of the worker itself ends its runs too
            children.kill_all(unfinished.values())
    return left_out if job.told.reason else left_out + len(unfinished)


def fill(job: Job, unfinished: dict[str, Child | None], specs: Mapping[str, bytes]) -> int:
    """Take up runs in order while there is room for one more; how many were left out."""
    left_out = 0
    room = job.listed.get("runs_at_once", 1) - sum(child is not None for child in unfinished.values())
    for run_id in [run_id for run_id, child in unfinished.items() if child is None]:
        if job.told.reason or not room:
            break
        taken = take_up(job, run_id, unfinished, specs.get(run_id))
        if not isinstance(taken, str):
            unfinished[run_id] = taken
            room -= 1
        elif taken is not LATER:
            del unfinished[run_id]
            left_out += taken is LEFT_OUT
    return left_out


def begin_events(folder: str, element: int, restart: int | None) -> tuple[int, str]:
    """The restart count and event file of this start; without Slurm's count, the first number that is free."""
    os.makedirs(f"{folder}/events", exist_ok=True)
    count = restart or 0
    while True:
        event_file = f"{folder}/events/{element}.{count}.jsonl"
        try:
            os.close(os.open(event_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            if restart is None:
                count += 1
                continue
        return count, event_file


def take_up(job: Job, run_id: str, unfinished: Collection[str], given: bytes | None) -> Child | str:
    """Begin a run, or say at once what comes of it; without a spec `given`, its folder holds that."""
    root = job.run_folder(run_id)
    if os.path.exists(f"{root}/cancel") or is_taken_back(job, run_id):
        return LEFT_OUT
    try:
        if os.path.exists(f"{root}/output/scores.json"):
            return adopt(job, run_id)
        spec = bare.loads(given) if given else bare.read(f"{root}/run.json")
        if not isinstance(spec, dict) or "kind" not in spec:
            raise ValueError("run.json is not that of a run")
    except (ValueError, OSError) as error:
        return refuse(job, run_id, error)
    absent = [need["run_id"] for need in spec.get("needs", ()) if not is_done(job, need["run_id"])]
    if absent:
        return LATER if any(run_id in unfinished for run_id in absent) else LEFT_OUT
    mine = take(job, run_id)
    if mine is None:
        return LEFT_OUT
    if given:
        bare.lay_out(root, given)
    if spec["kind"] != "noop":
        from sgonz.train.children import begin

        return begin(job, run_id, mine)
    job.say("run_started", run_id=run_id, attempt=mine["attempt"])
    do_nothing(job, run_id, mine["attempt"])
    return DONE


def is_done(job: Job, run_id: str) -> bool:
    return os.path.exists(f"{job.run_folder(run_id)}/output/scores.json")


def is_taken_back(job: Job, run_id: str) -> bool:
    """Whether a turn has said meanwhile that the job is not to begin this run."""
    path = f"{job.folder}/{bare.TAKEN_BACK}"
    return os.path.exists(path) and run_id in bare.read(path)


def take(job: Job, run_id: str) -> dict[str, Any] | None:
    listed = job.listed
    try:
        return bare.take(job.run_folder(run_id), tag=listed["tag"], sequence=listed["sequence"],
                         element=job.element, restart=job.restart)  # fmt: skip
    except bare.ClaimRefused:
        return None


def adopt(job: Job, run_id: str) -> str:
    """Tell a result that is there already. Raises ValueError where it is none."""
    root = job.run_folder(run_id)
    result = bare.read(f"{root}/output/scores.json")
    if not isinstance(result, dict) or result.pop("type", None) != "run_ended":
        raise ValueError("output/scores.json is no result")
    if os.path.exists(f"{root}/checkpoint"):  # of an attempt that was killed right after it
        import shutil

        shutil.rmtree(f"{root}/checkpoint", ignore_errors=True)
    job.say("run_ended", **{**result, "time": time.time(), "adopted": True})
    return DONE


def refuse(job: Job, run_id: str, error: Exception) -> str:
    """A run whose own files cannot be read fails, since trying again would read the same."""
    mine = take(job, run_id)
    if mine is None:
        return LEFT_OUT
    message = " ".join(f"{job.run_folder(run_id)}: {error}".split())[:500]
    about = {"run_id": run_id, "attempt": mine["attempt"]}
    job.say("run_started", **about)
    job.say("run_ended", **about, outcome="FAILED", error=message,
            signature=f"{type(error).__name__} in run.json")  # fmt: skip
    return DONE


def do_nothing(job: Job, run_id: str, attempt: int) -> None:
    """The run that measures what surrounds runs; a process of its own would be all that it costs."""
    root = job.run_folder(run_id)
    ended = bare.line("run_ended", run_id=run_id, attempt=attempt, outcome="COMPLETED")
    if bare.still_holds(root, attempt):
        bare.write_atomic(f"{root}/output/scores.json", ended)
        job.append(ended)


def device() -> str:
    """The accelerator's model as the driver names it, or cpu; asked without loading a library for it."""
    cards = "/proc/driver/nvidia/gpus"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1", "NoDevFiles") or not os.path.isdir(cards):
        return "cpu"
    try:
        for card in sorted(os.listdir(cards)):
            with open(f"{cards}/{card}/information", encoding="utf-8") as stream:
                for fact in stream:
                    name, _, value = fact.partition(":")
                    if name == "Model" and value.strip():
                        return value.strip()
    except OSError:  # a container shows but a part of it
        return "gpu"
    return "cpu"


if __name__ == "__main__":
    raise SystemExit(main())
