"""What a run, or a part of it, did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

_COUNTS = ("rows", "written", "errors", "below_threshold", "resumed_at")
MAX_LISTED_ERRORS = 20  # enough for a summary, bounded for a file of nothing but errors


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
    labels: rows per label; statuses: rows per status (ok, empty, unknown_words, truncated,
        unfamiliar, abstained, error).
    below_threshold: those below the threshold. model: its path, or the words for the embedded one.
    first_errors: the first error rows. seconds: of this part; resumed_at: rows that were done
        before it.
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
    model: str = ""

    @property
    def rows_per_second(self) -> float:
        """Rows of this part per second."""
        return (self.rows - self.resumed_at) / self.seconds if self.seconds else 0.0

    def add(self, part: Summary) -> None:
        """Count the rows of another part, behind these."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.labels.update(part.labels)
        self.statuses.update(part.statuses)
        self.first_errors = [*self.first_errors, *part.first_errors][:MAX_LISTED_ERRORS]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        values["labels"] = dict(sorted(self.labels.items()))
        values["statuses"] = dict(sorted(self.statuses.items()))
        values["seconds"] = round(self.seconds, 3)
        values["rows_per_second"] = round(self.rows_per_second, 1)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Summary:
        """Return what :meth:`to_dict` said of a part, as far as it is counted."""
        return cls(
            **{name: values[name] for name in _COUNTS},
            labels=Counter(values["labels"]),
            statuses=Counter(values["statuses"]),
            first_errors=[RowProblem(**problem) for problem in values["first_errors"]],
        )
