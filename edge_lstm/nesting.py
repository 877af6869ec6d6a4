"""How deep JSON is nested. Files from anyone are refused beyond a depth."""

from __future__ import annotations

from typing import Any


def depth(value: Any) -> int:
    """Return how deep lists and objects are nested: 0 for a plain value, 1 for a list of them.

    It works level by level: Python's stack is finite.
    """
    deepest = 0
    level = [value]
    while nested := [each for each in level if isinstance(each, (dict, list))]:
        deepest += 1
        level = []
        for each in nested:
            level += each.values() if isinstance(each, dict) else each
    return deepest
