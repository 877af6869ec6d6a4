"""The embedded model and the example reviews: data, and where they are."""

from __future__ import annotations

from pathlib import Path

REVIEWS = Path(__file__).with_name("reviews.csv")


def example_texts() -> tuple[str, ...]:
    """The texts of the example reviews, in their order."""
    import csv

    with REVIEWS.open(encoding="utf-8", newline="") as file:
        return tuple(row["text"] for row in csv.DictReader(file))
