"""What a person asks for, as typed → a plan → a document. The same words go to a device over ssh."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_lstm.latency.measure import Progress
    from edge_lstm.latency.result import Document
    from edge_lstm.latency.settings import Plan


@dataclass(frozen=True)
class Choices:
    """The options of ``edge-lstm latency`` that say what is measured, as they were typed."""

    models: tuple[Path, ...] = ()
    data: Path | None = None
    text_column: str | None = None
    input_format: str | None = None
    runs: int = 2000  # p99 takes 1,000
    duration: str | None = None
    interval: str = "0"
    threads: str = "1"
    batch_size: str = "1"
    length: str | None = None
    provider: str = "CPUExecutionProvider"
    pin: str | None = None
    cold_starts: int = 5
    seed: int = 0


def to_plan(choices: Choices) -> Plan:
    """The plan that the words mean. Raises DataError."""
    from edge_lstm.latency.options import parse_cpus, parse_numbers, parse_time
    from edge_lstm.latency.settings import Plan, make_settings
    from edge_lstm.modelfile import embedded_model

    settings = make_settings(
        choices.models or (embedded_model(),),
        threads=parse_numbers(choices.threads, "--threads"),
        batch_sizes=parse_numbers(choices.batch_size, "--batch-size"),
        lengths=parse_numbers(choices.length, "--length") if choices.length else (None,),
        providers=tuple(dict.fromkeys(name.strip() for name in choices.provider.split(","))),
    )
    return Plan(
        settings,
        runs=choices.runs,
        duration_s=parse_time(choices.duration, "--duration") if choices.duration else None,
        interval_s=parse_time(choices.interval, "--interval"),
        pin=parse_cpus(choices.pin) if choices.pin else (),
        cold_starts=choices.cold_starts,
        seed=choices.seed,
    )


def measure_here(
    choices: Choices, *, progress: Progress | None = None, samples: Path | None = None
) -> Document:
    """Measures on this machine; ``samples``: a CSV that takes every run. Raises EdgeLSTMError."""
    plan = to_plan(choices)
    from edge_lstm.latency.measure import measure
    from edge_lstm.latency.result import to_document
    from edge_lstm.latency.stream import CsvStream
    from edge_lstm.latency.texts import read_sample

    sample = read_sample(choices.data, text_column=choices.text_column, input_format=choices.input_format)
    with CsvStream(samples) if samples is not None else nullcontext() as stream:
        return to_document(measure(plan, sample, progress=progress, stream=stream))
