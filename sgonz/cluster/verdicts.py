"""What a probe's answers mean: lines of a report, pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgonz.cluster.doctor import Check, green, red, yellow
from sgonz.cluster.probing import HIDDEN, NO_PYTHON, NO_SGONZ, SETUP, UNWRITABLE, Probe
from sgonz.cluster.profile import Resource
from sgonz.cluster.site import read_gpus

SLOW_SECONDS = 10.0  # until a file of one machine is seen on the other
SKEW_SECONDS = 2.0
OTHER_DISK = "Give --workdir, or workdir in the profile, on a disk that every node sees and may write."


def judge(found: Probe, resource: Resource | None, folder: str, python: str, version: str) -> list[Check]:
    """Lines about the node, from the first thing that is wrong to the last that could be seen."""
    where = f"on {found.node}" if found.node not in ("", "this machine", "(null)") else "here"
    if found.refused:
        return [red("probe job", found.refused, "Change what the resource class asks for, as Slurm says.")]
    status = found.exit_code.partition(":")[0]
    failures = {
        str(HIDDEN): red("work folder", f"{folder} is not what it is here {where}: not shared", OTHER_DISK),
        str(UNWRITABLE): red("work folder", f"{folder} cannot be written {where}", OTHER_DISK),
        str(SETUP): red("set-up lines", f"they fail {where}: {_last(found.output)}", "Change setup in the profile."),
        str(NO_PYTHON): red("python", f"{python} is not there {where}",
                            "Install sgonz on a disk that every node sees, and run it from there."),
        str(NO_SGONZ): red("python", f"{python} cannot import sgonz {where}: {_last(found.output)}",
                           "Install sgonz on a disk that every node sees, for the nodes' kind of machine."),
    }  # fmt: skip
    if found.report is None:
        return [failures.get(status) or _unfinished(found, where)]
    greeting, report = found.greeting or found.report, found.report
    return [
        green("probe job", f"ran {where or greeting['host']} ({greeting['host']})"),
        green("work folder", f"{folder} is seen and written {where}"),
        _python(report, version, where),
        _torch(report, resource, where),
        _files(found, report),
        *_clock(found, report),
        _hub(report),
    ]


def _unfinished(found: Probe, where: str) -> Check:
    if found.state in ("PENDING", "CONFIGURING", ""):
        why = found.reason if found.reason not in ("", "None") else "no reason given"
        return yellow(
            "probe job", f"has not started in time: {why}", "Try again with --wait, or see squeue --start."
        )
    said = f"{found.state} {where}, exit code {found.exit_code or 'unknown'}, {found.reason}: {_last(found.output)}"
    if found.state in ("RUNNING", "COMPLETING", "COMPLETED"):
        return red(
            "work folder", f"nothing was heard in time from the probe {where}; its state: {said}", OTHER_DISK
        )
    return red("probe job", said.rstrip(": "), "See the node's slurmd log, or ask the site.")


def _python(report: Mapping[str, Any], version: str, where: str) -> Check:
    said = f"{report['executable']} ({report['python']}), sgonz {report['sgonz']}"
    if report["sgonz"] != version:
        return red(
            "python", f"{said} {where}, but {version} here", "Run the same installation in both places."
        )
    return green("python", f"{said}, the same {where}")


def _torch(report: Mapping[str, Any], resource: Resource | None, where: str) -> Check:
    """`resource` is None where its GPUs are none."""
    asked = sum(read_gpus((resource.gres if resource else None) or "").values())
    given = report["given"] or ""
    if report["torch"] is None:
        return red(
            "torch", f"cannot be imported {where}: {report['torch_error']}", "pip install 'sgonz[train]'"
        )
    seen = ", ".join(report["gpus"])
    if len(report["gpus"]) >= max(1, asked):
        return green("torch", f"{report['torch']} sees {seen}")
    if not asked:
        return green("torch", f"{report['torch']}, on processors")
    why = report.get("gpu_error") or "nothing is said of the others"
    said = f"{report['torch']} computes on {len(report['gpus'])} of {asked} GPUs (given: {given or 'none'}): {why}"
    if report.get("nvidia"):
        return red(
            "torch", said, "Runs would fail: see the driver on the node, and that torch is built for it."
        )
    return yellow("torch", said, "The node shows no GPU of NVIDIA's: runs would compute on processors.")


def _files(found: Probe, report: Mapping[str, Any]) -> Check:
    """Half of the way there and back: the clocks of the two machines do not matter."""
    if report["heard"] is None:
        return yellow("event files", "the node did not see a file from here within a minute", OTHER_DISK)
    delay = max(0.0, ((found.seen - report["time"]) + (report["heard"] - found.echoed)) / 2)
    said = f"a line written on one side is seen on the other after {delay:.1f} s"
    if delay > SLOW_SECONDS:
        return yellow("event files", said, "Progress will be shown late; nothing is lost.")
    return green("event files", said)


def _clock(found: Probe, report: Mapping[str, Any]) -> list[Check]:
    """Neither side can see a file before it is written: that bounds what the node's clock may be off."""
    if report["heard"] is None:
        return []
    least, most = report["time"] - found.seen, report["heard"] - found.echoed
    if least > SKEW_SECONDS or most < -SKEW_SECONDS:
        skew = least if least > 0 else most
        return [
            yellow(
                "clock", f"the node's is {skew:+.0f} s off", "Times of runs are off by that; ask the site."
            )
        ]
    return [green("clock", f"as here, as far as files tell ({least:+.1f} to {most:+.1f} s)")]


def _hub(report: Mapping[str, Any]) -> Check:
    if report["absent"]:
        return red("hub cache", f"{report['hub_cache']} lacks {', '.join(report['absent'])}",
                   "Fetch them here with `sgonz prefetch SWEEP`; HF_HOME has to be a folder that nodes see.")  # fmt: skip
    return green("hub cache", f"{report['hub_cache']}, nothing lacking")


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was said"
