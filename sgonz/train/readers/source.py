"""One split on its way to examples: where it is, what is asked of it, and what was met while reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sgonz.errors import DataError
from sgonz.plan.runs import Dataset


@dataclass(kw_only=True)
class Source:
    """What a format's module is handed; it counts here what it meets."""

    dataset: Dataset
    split: str  # train, validation or test
    file: str  # path, or the hub's name for it, as errors show it
    answers_as_listed: bool = False
    strip_questions: bool = True
    test_ids: frozenset[str] = frozenset()  # questions of the test split
    drop_overlap: bool = False
    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)

    @property
    def is_train(self) -> bool:
        return self.split == "train"

    def error(self, line: int | None, problem: str, *, hint: str | None = None) -> DataError:
        return DataError(self.file, line, problem, hint=hint)

    def label(self, found: str, line: int | None) -> str:
        """The label itself. Raises DataError where it is empty or not one of the data set's."""
        allowed = self.dataset.labels
        if not found:
            raise self.error(line, "the label is empty", hint=_allowed(allowed))
        if allowed is not None and found not in allowed:
            raise self.error(line, f"label {found!r} is not one of this data set's", hint=_allowed(allowed))
        return found

    def whole(self, found: str, line: int | None) -> str:
        r"""The text itself. Raises DataError where it holds half of a surrogate pair (a lone \ud83d)."""
        try:
            found.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(line, f"{found[error.start]!r} is half of a surrogate pair") from error
        return found


def _allowed(labels: tuple[str, ...] | None) -> str | None:
    return f"Allowed: {', '.join(labels)}." if labels else None
