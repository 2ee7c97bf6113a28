"""One open database, seen from one work folder: its transactions, and the journal that tells of those that write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from sgonz.plan.state import JobRow
from sgonz.store.connect import begin
from sgonz.store.refusals import store_errors
from sgonz.store.transaction import Transaction
from sgonz.workdir.journal import STORE
from sgonz.workdir.journal import Journal as Record


class Connected:
    """What the parts of a store have in common. Use as a context manager, or close."""

    def __init__(
        self, engine: Engine, location: str | Path, workspace: int, record: Record | None = None
    ) -> None:
        self._engine = engine
        self.location = location
        self._workspace = workspace
        self._record = record
        self._live: tuple[int, list[JobRow]] | None = (
            None  # jobs, and the number of changes they were read at
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One transaction that reads: whatever is asked in it is of the same moment."""
        with store_errors(self.location), begin(self._engine, writes=False) as connection:
            yield Transaction(connection, self._workspace)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction that writes; nothing of it stays when the block is left by an exception."""
        with store_errors(self.location), begin(self._engine, writes=True) as connection:
            at = Transaction(connection, self._workspace)
            self._live = None
            yield at
            at.count_change()

    @contextmanager
    def _writing(self, what: str | None, facts: Mapping[str, Any]) -> Iterator[Transaction]:
        """A transaction that the journal tells of, so that `sgonz db rebuild` can do it again."""
        with self.transaction() as at:
            yield at
            if what is not None and self._record is not None:
                self._record.mark_undone(at.recorded())
                at.set_recorded(self._record.write(STORE, do=what, facts=facts))
