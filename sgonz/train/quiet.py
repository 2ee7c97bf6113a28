"""Says nothing of what a reader of a job's log can do nothing about; everything else is still said."""

from __future__ import annotations

import logging


def hush() -> None:
    """Before DeepSpeed is imported: its word on the device that it believes to have found. Ours is the run's first event."""
    logging.getLogger("DeepSpeed").addFilter(_of_use)


def _of_use(record: logging.LogRecord) -> bool:
    return record.module != "real_accelerator"
