"""What is answered, given a text's probabilities: the best labels."""

from __future__ import annotations

from edge_lstm.errors import DataError


def check_top(k: int, labels: int) -> None:
    """DataError where the ``k`` most probable of so many labels cannot be given."""
    if not 1 <= k <= labels:
        raise DataError(
            f"the top {k} labels of a model that has {labels} cannot be given; ask for 1 to {labels}"
        )
