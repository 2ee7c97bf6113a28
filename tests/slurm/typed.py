"""Commands as a person types them in one folder, and a sweep that trains for seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SHORT = """
name = "short"
datasets = ["pos"]
evaluate = false
[sample]
size = 40
[finetune]
models = ["sample-albert"]
max_length = 32
grid.learning_rate = [1e-3, 2e-3]
grid.batch_size = 8
grid.epochs = 1
"""


class Prompt:
    """A new user's prompt: she has nothing in her environment but what is given here."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.work = folder / "work"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SGONZ_", "SLURM_"))
        }
        self.environment = {**kept, "OMP_NUM_THREADS": "1", **environment}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Type it, and wait for nothing."""
        command = [sys.executable, "-m", "sgonz", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def say(self, *arguments: str, code: int = 0) -> str:
        """What it prints, once it has ended as it should."""
        return said(self.begin(*arguments), code=code)

    def answer(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.say(*arguments, "--format", "json", code=code))


def said(process: subprocess.Popen[str], *, code: int = 0) -> str:
    """What a command printed that was begun."""
    answer, remarks = process.communicate()
    assert process.returncode == code, answer + remarks
    return answer
