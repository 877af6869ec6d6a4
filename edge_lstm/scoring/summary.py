"""What a run did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_lstm.answering import ABSTAINED
from edge_lstm.scoring.worker import MAX_LISTED_ERRORS, Counts


@dataclass(frozen=True)
class RowProblem:
    """An error row: its file, its number in it (from 1, the header not counted) and the reason."""

    source: str
    row: int
    error: str


@dataclass
class Summary:
    """The summary of a run; of a resumed one the rows of all its parts.

    rows: read; written: into the output (fewer only with ``only_label`` or ``only_abstained``).
    labels: rows per label; statuses: rows per status (ok, empty, unknown_words, truncated, abstained, error).
    below_threshold: those below the threshold.
    first_errors: the first error rows. seconds: of this part; resumed_at: rows that were done before it.
    """

    output: str | None = None
    model_sha256: str = ""
    workers: int = 1
    rows: int = 0
    written: int = 0
    errors: int = 0
    below_threshold: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    first_errors: list[RowProblem] = field(default_factory=list)
    added_columns: tuple[str, ...] = ()
    resumed_at: int = 0
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        """Rows of this part per second."""
        return (self.rows - self.resumed_at) / self.seconds if self.seconds else 0.0

    def add(self, counts: Counts, source: str, first: int) -> None:
        """Count a chunk that was written. first: how many rows of its source are before it."""
        self.rows += counts.rows
        self.written += counts.written
        self.errors += counts.statuses["error"]
        self.below_threshold += counts.statuses[ABSTAINED]
        self.labels.update(counts.labels)
        self.statuses.update(counts.statuses)
        for index, reason in counts.errors[: MAX_LISTED_ERRORS - len(self.first_errors)]:
            self.first_errors.append(RowProblem(source, first + index + 1, reason))

    def merge(self, values: dict[str, Any]) -> None:
        """Add what :meth:`to_dict` says of another part."""
        for name in ("rows", "written", "errors", "below_threshold", "resumed_at"):
            setattr(self, name, getattr(self, name) + values[name])
        self.labels.update(values["labels"])
        self.statuses.update(values["statuses"])
        self.added_columns = tuple(values["added_columns"])
        problems = [RowProblem(**problem) for problem in values["first_errors"]]
        self.first_errors = [*self.first_errors, *problems][:MAX_LISTED_ERRORS]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        values["labels"] = dict(sorted(self.labels.items()))
        values["statuses"] = dict(sorted(self.statuses.items()))
        values["seconds"] = round(self.seconds, 3)
        values["rows_per_second"] = round(self.rows_per_second, 1)
        return values

    def restore(self, values: dict[str, Any]) -> None:
        """Begin with what :meth:`to_dict` said of the parts before this one."""
        self.merge({**values, "resumed_at": values["rows"]})
