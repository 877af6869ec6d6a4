"""Days in values of rows: dates and times of ISO 8601, and Unix seconds."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from typing import Any

# Seconds from September 2001 to November 2286. Shorter numbers may be dates without hyphens, and
# longer ones milliseconds.
_SECONDS = re.compile(r"[1-9]\d{9}(\.\d*)?", re.ASCII)


def to_day(value: Any) -> date:
    """Return the day of a value, in UTC. A time without a zone counts as UTC.

    value: text, a datetime or a date. Text is ISO 8601, such as 2026-03-01 or
        2026-03-01T12:00:00Z, or seconds since 1970.

    Raises ValueError if it is something else.
    """
    # A datetime and a date become ISO 8601.
    text = str(value).strip()
    if _SECONDS.fullmatch(text):
        return datetime.fromtimestamp(float(text), timezone.utc).date()
    # Python 3.10 does not read the Z.
    time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    return (time.astimezone(timezone.utc) if time.tzinfo else time).date()
