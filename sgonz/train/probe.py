"""What a node sees of an installation and a work folder: run by `sgonz doctor` inside a job of its own."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from pathlib import Path
from typing import Any

from sgonz import __file__ as package_file
from sgonz import __version__
from sgonz.hub_cache import absent, cache_folder
from sgonz.rundir import write_atomic

PATIENCE = 60.0  # seconds for the other side to answer; it polls several times a second


def main(folder: Path) -> int:
    """Greet, wait for the answer, report; each is a file in the folder that both sides see."""
    asked = json.loads((folder / "asked.json").read_bytes())
    greeting = {
        "time": time.time(),
        "host": socket.gethostname(),
        "sgonz": __version__,
        "package": package_file,
    }
    write_atomic(folder / "greeting.json", json.dumps(greeting).encode())
    echo = folder / "echo"
    deadline = time.monotonic() + PATIENCE
    while not echo.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
        os.listdir(folder)  # makes a network file system look again
    heard = time.time() if echo.exists() else None
    report = {**greeting, "heard": heard, "python": platform.python_version(), "executable": sys.executable,
              **accelerator(), "hub_cache": str(cache_folder()), "absent": absent(asked["models"], asked["datasets"])}  # fmt: skip
    write_atomic(folder / "report.json", json.dumps(report).encode())
    return 0


def accelerator() -> dict[str, Any]:
    """What torch can compute on; or that it is not there."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        import torch
    except Exception as error:  # a broken installation raises whatever it likes
        return {"torch": None, "torch_error": f"{type(error).__name__}: {error}", "given": given, "gpus": []}
    from sgonz.train.device import nvidia_is_here

    names: list[str] = []
    problem = None
    try:
        torch.cuda.init()  # says what is wrong where there is none
        for number in range(torch.cuda.device_count()):
            torch.ones(2, 2, device=f"cuda:{number}").sum().item()  # a driver names what it cannot use, too
            names.append(torch.cuda.get_device_name(number))
    except Exception as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
    return {"torch": torch.__version__, "torch_error": None, "given": given, "gpus": names,
            "gpu_error": problem, "nvidia": nvidia_is_here()}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
