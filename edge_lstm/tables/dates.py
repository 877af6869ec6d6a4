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

    value: a datetime, a date, or text: ISO 8601, such as 2026-03-01 or 2026-03-01T12:00:00Z, or
        seconds since 1970.

    Raises ValueError if it is something else.
    """
    if isinstance(value, datetime):
        time = value
    elif isinstance(value, date):
        return value
    elif not isinstance(value, str):
        raise ValueError("not a date")  # noqa: TRY004 - the row is wrong, not the program
    elif _SECONDS.fullmatch(value.strip()):
        time = datetime.fromtimestamp(float(value), timezone.utc)
    else:
        # Python 3.10 does not read the Z.
        time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip()))
    return (time.astimezone(timezone.utc) if time.tzinfo else time).date()
