"""A measurement on this machine, from what is asked to the result."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from edge_lstm.latency.measure import Progress, measure
from edge_lstm.latency.recorder import CsvStream
from edge_lstm.latency.result import Result, to_result
from edge_lstm.latency.settings import Settings
from edge_lstm.latency.texts import Sample


def measure_here(
    settings: Settings, sample: Sample, *, progress: Progress | None = None, samples: Path | None = None
) -> Result:
    """Measures on this machine; ``samples``: a CSV that takes every run. Raises EdgeLSTMError."""
    _ = settings.block_texts  # what cannot be measured is said before a file is made
    with CsvStream(samples) if samples is not None else nullcontext() as stream:
        return to_result(measure(settings, sample, progress=progress, stream=stream))
