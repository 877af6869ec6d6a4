"""Shares as the reports show them."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A share of texts as a percentage of two decimals, never rounded up: 0.92676 → "92.67"."""
    # A share of whole texts may lie a hair below its decimal: 0.8888 · 10^4 is 8887.999….
    return f"{math.floor(share * 1e4 + 1e-6) / 100:.2f}"
