"""Counts of a server, as text for Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Upper bounds of the histogram of durations, in seconds.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_PREFIX = "edge_lstm_"

# Name of a counter → its description. _LABELS has the names of its labels, in their order.
_HELP = {
    "requests_total": "Requests by path and HTTP status.",
    "answers_total": "Answers by question, and by where they come from: file or upstream.",
    "labels_total": "Most probable labels of the files, before any hand-back.",
    "statuses_total": "Statuses of the files' answers: ok, abstained, unfamiliar and others.",
    "shadow_total": "Sure answers that the upstream was asked for too.",
    "shadow_disagreements_total": "Sure answers for which the upstream gave another label.",
    "upstream_failures_total": "Requests to the upstream that brought no answer, by reason.",
    "reloads_total": "Changed model files by question: taken, or refused as unusable.",
    "log_failures_total": "Decisions that could not be written to the log.",
}
_LABELS = {
    "requests_total": ("path", "status"),
    "answers_total": ("question", "source"),
    "labels_total": ("question", "label"),
    "statuses_total": ("question", "status"),
    "shadow_total": ("question",),
    "shadow_disagreements_total": ("question",),
    "upstream_failures_total": ("reason",),
    "reloads_total": ("question", "result"),
    "log_failures_total": (),
}


class Metrics:
    """Counters, and a histogram of the seconds that requests took."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._durations = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter. name: of _HELP; labels: the values of its labels."""
        self._counts[name][labels] += by

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
        for name, text in _HELP.items():
            lines += [f"# HELP {_PREFIX}{name} {text}", f"# TYPE {_PREFIX}{name} counter"]
            for labels, count in sorted(self._counts[name].items()):
                pairs = zip(_LABELS[name], labels)
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
