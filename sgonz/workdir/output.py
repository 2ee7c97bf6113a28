"""What a job printed itself, beside the logs of its runs: Slurm's and the set-up lines' last words."""

from __future__ import annotations

from pathlib import Path

TAIL_BYTES = 8192
LONGEST = 300  # characters of a line


def output_of(folder: Path, element: int) -> Path:
    """Where one job of a submission prints to."""
    return folder / f"{element}.out"


def last_words(output: Path) -> str:
    """The last line that says something; empty where there is none."""
    try:
        with output.open("rb") as stream:
            stream.seek(max(0, output.stat().st_size - TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:LONGEST] for line in reversed(lines) if line.strip()), "")
