"""Every error that a user can cause or meet.

SgonzError
├── UserError            bad input: exit code 2, no traceback
│   ├── SpecError        a sweep or a cluster profile says something that cannot be
│   ├── DataError        a data file holds something that cannot be read
│   ├── ModelError       a model or tokenizer is missing or does not fit
│   ├── StoreError       the database is missing, corrupt or too new
│   │   └── StoreSilent  the database server does not answer
│   └── WorkdirError     the work folder cannot be used (not writable, disk full)
└── RunError             a run cannot give a result (recorded as its cause; never retried as it is)
"""

from __future__ import annotations


class SgonzError(Exception):
    """What went wrong in one line, and what to do about it in another."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UserError(SgonzError):
    exit_code = 2


class SpecError(UserError):
    """A sweep file, a profile or an option says something that cannot be."""


class DataError(UserError):
    """A data file cannot be read: names the file, the line and what was expected."""

    def __init__(self, file: str, line: int | None, problem: str, *, hint: str | None = None) -> None:
        where = f"{file}:{line}" if line is not None else file
        super().__init__(f"{where}: {problem}", hint=hint)


class ModelError(UserError):
    """A model or tokenizer is missing, or does not fit what it is asked to do."""


class StoreError(UserError):
    """The database cannot be opened, read or trusted."""


class StoreSilent(StoreError):
    """The database server does not answer: nothing is known, and nothing is lost."""


class WorkdirError(UserError):
    """The work folder cannot be written or its disk is full."""


class RunError(SgonzError):
    """A run cannot give a result; trying again as it stands would end the same way."""
