"""Counts of a server, as text for Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# Upper bounds of the histogram of durations, in seconds.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_PREFIX = "edge_lstm_"

# Name of a counter → the names of its labels, and its description.
_COUNTERS = {
    "requests_total": (("path", "status"), "Requests by path and HTTP status."),
    "answers_total": (("question", "source"), "Answers by question, and who gave or refused them."),
    "labels_total": (("question", "label"), "Most probable labels of the files."),
    "statuses_total": (("question", "status"), "Statuses of the files' answers."),
    "shadow_total": (("question",), "Sure answers that the upstream was asked for too."),
    "shadow_disagreements_total": (("question",), "Those with another label of the upstream."),
    "upstream_failures_total": (("reason",), "Requests that the upstream did not answer."),
    "reloads_total": (("question", "result"), "Changed model files, taken or refused."),
    "log_failures_total": ((), "Decisions that could not be written to the log."),
}


class Metrics:
    """Counters, and a histogram of the seconds that requests took."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._durations = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def count(self, name: str, *labels: str) -> None:
        """Add to a counter. name: of _COUNTERS; labels: the values of its labels."""
        self._counts[name][labels] += 1

    def value(self, name: str, *labels: str) -> int:
        """Return a counter."""
        return self._counts[name][labels]

    def time(self, seconds: float) -> None:
        """Add the duration of a request."""
        self._durations[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def render(self) -> str:
        """Return all of it as text."""
        lines: list[str] = []
        for name, (keys, text) in _COUNTERS.items():
            lines += [f"# HELP {_PREFIX}{name} {text}", f"# TYPE {_PREFIX}{name} counter"]
            for labels, count in sorted(self._counts[name].items()):
                pairs = zip(keys, labels)
                shown = ",".join(f'{key}="{_escaped(value)}"' for key, value in pairs)
                lines.append(f"{_PREFIX}{name}{{{shown}}} {count}")
        name = f"{_PREFIX}request_seconds"
        lines += [f"# HELP {name} Duration of requests.", f"# TYPE {name} histogram"]
        total = 0
        for bound, count in zip((*_BOUNDS, "+Inf"), self._durations):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        lines += [f"{name}_sum {self._seconds:.6f}", f"{name}_count {total}"]
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "replace").decode()
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
