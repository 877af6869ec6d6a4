"""What people type for times, lists of numbers and CPUs → values. Raises DataError."""

from __future__ import annotations

import re

from edge_lstm.errors import DataError

UNITS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
MOST = 1_000_000


def parse_time(text: str, option: str) -> float:
    """'30m', '20ms', '1.5' (seconds) → seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in UNITS:
        raise DataError(f"{option} {text!r} is no time; write it as 20ms, 30s, 10m or 2h")
    return float(found[1]) * UNITS[found[2]]


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """'1,2,4' → (1, 2, 4), each at least 1, none twice."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(1 <= number <= MOST for number in numbers):
        raise DataError(f"{option} {text!r}: expected whole numbers from 1 on, such as 1 or 1,2,4")
    return tuple(dict.fromkeys(numbers))


def parse_cpus(text: str) -> tuple[int, ...]:
    """'0,2' or '0-3' → the CPUs' numbers."""
    cpus: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        if not found:
            raise DataError(f"--pin {text!r}: expected CPU numbers, such as 0,2 or 0-3")
        cpus |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    return tuple(sorted(cpus))


def parse_percent(text: str, option: str) -> float:
    """'5%' or '5' → 0.05."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", text.strip())
    if not found:
        raise DataError(f"{option} {text!r}: expected a percentage, such as 5%")
    return float(found[1]) / 100
