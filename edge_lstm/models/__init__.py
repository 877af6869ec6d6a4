"""Data of the package: the embedded model and the example reviews."""

from __future__ import annotations

from pathlib import Path

# Reviews that were written for this project: columns id, text, label and kind.
REVIEWS = Path(__file__).with_name("reviews.csv")


def example_texts() -> tuple[str, ...]:
    """Return the texts of the example reviews, in the order of the file."""
    import csv

    with REVIEWS.open(encoding="utf-8", newline="") as file:
        return tuple(row["text"] for row in csv.DictReader(file))
