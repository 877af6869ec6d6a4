"""A run, or a part of it, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

_COUNTS = ("rows", "errors", "below_threshold", "truncated", "resumed_at")
# Error rows that a summary lists: enough to find a cause, bounded if all rows are errors.
MAX_LISTED_ERRORS = 20


@dataclass(frozen=True)
class RowProblem:
    """An error row.

    source: the name of its file.
    row: its number in the file, from 1; the header is not counted.
    error: the reason.
    """

    source: str
    row: int
    error: str


@dataclass
class Summary:
    """The summary of a run; if it was resumed, of all its parts.

    output: the path of the output; None for standard output.
    model_sha256: of the model file.
    workers: processes that scored.
    rows: rows that were read.
    errors: error rows.
    below_threshold: abstained rows.
    truncated: rows whose text is longer than the model reads, which read only its end.
    labels: label → rows.
    statuses: status → rows (ok, empty, unknown_words, truncated, unfamiliar, abstained, error).
    first_errors: the first error rows, at most MAX_LISTED_ERRORS.
    added_columns: the names of the columns that the run adds.
    resumed_at: rows that were done before this part.
    seconds: duration of this part.
    model: the path of the model file, or a description of the embedded one.
    """

    output: str | None = None
    model_sha256: str = ""
    workers: int = 1
    rows: int = 0
    errors: int = 0
    below_threshold: int = 0
    truncated: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    first_errors: list[RowProblem] = field(default_factory=list)
    added_columns: tuple[str, ...] = ()
    resumed_at: int = 0
    seconds: float = 0.0
    model: str = ""

    @property
    def rows_per_second(self) -> float:
        """Rows of this part per second; 0 before any time has passed."""
        return (self.rows - self.resumed_at) / self.seconds if self.seconds else 0.0

    def add(self, part: Summary) -> None:
        """Add the counts of the part that follows."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.labels.update(part.labels)
        self.statuses.update(part.statuses)
        self.first_errors = [*self.first_errors, *part.first_errors][:MAX_LISTED_ERRORS]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **asdict(self),
            "labels": dict(sorted(self.labels.items())),
            "statuses": dict(sorted(self.statuses.items())),
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 1),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Summary:
        """Return the counts of a part from the values of :meth:`to_dict`."""
        return cls(
            **{name: values[name] for name in _COUNTS},
            labels=Counter(values["labels"]),
            statuses=Counter(values["statuses"]),
            first_errors=[RowProblem(**problem) for problem in values["first_errors"]],
        )
