"""What is counted of a block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MAX_LISTED_ERRORS = 20  # of a block: enough for a summary, bounded for a file of nothing but errors


@dataclass
class Counts:
    """What a summary counts. ``errors`` lists the first error rows: (row in the block from 0, reason)."""

    rows: int = 0
    written: int = 0
    below_threshold: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[int, str]] = field(default_factory=list)
