"""What is measured: the models, each way they are run, for how long; and what people type for it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from edge_lstm.errors import DataError

# The settings take turns on blocks of this many texts: long enough that a block's own noise is
# small, short enough that a change of the clock hits all settings alike.
BLOCK_TEXTS = 64
# Batches are made of texts of similar length, as Classifier makes them, out of at least this many.
BATCHES_IN_BLOCK = 4
MAX_BLOCK_TEXTS = 8192

UNITS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
LONGEST_S = 30 * 24 * 3600.0
MOST = 1_000_000


@dataclass(frozen=True)
class Setting:
    """One model, run in one way.

    name: what results call it: what differs between the settings (t2: 2 threads, b16: 16 texts in a run,
        n100: texts of 100 tokens).
    length: tokens that every text is made to have; None for the texts as they are.
    """

    name: str
    model: Path
    threads: int
    batch_size: int
    provider: str
    length: int | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole measurement: every combination of models, threads, batch sizes, lengths and providers.

    lengths: tokens that texts are made to have, None for the texts as they are.
    runs: timed runs of the setting with the smallest batch (a run is one batch, text in, answer out);
        the others answer as many texts. Ignored with ``duration_s``, the time for all of them together.
    interval_s: pause before each run, as between the requests of a device that is mostly idle.
    pin: CPUs the process may use; empty for all.
    cold_starts: fresh processes a model is started in; 0 leaves cold start and memory out.
    warm_up_s, max_warm_up_blocks: bounds of the warm-up, which otherwise ends where times are steady.

    Raises DataError where the same model file is given twice.
    """

    models: tuple[Path, ...]
    threads: tuple[int, ...] = (1,)
    batch_sizes: tuple[int, ...] = (1,)
    lengths: tuple[int | None, ...] = (None,)
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    runs: int = 2000  # p99 takes 1,000
    duration_s: float | None = None
    interval_s: float = 0.0
    pin: tuple[int, ...] = ()
    cold_starts: int = 5
    seed: int = 0
    energy_s: float = 10.0
    warm_up_s: float = 0.5
    max_warm_up_blocks: int = 40

    def __post_init__(self) -> None:
        if len({model.resolve() for model in self.models}) < len(self.models):
            raise DataError("a model is given twice; name each model file once")

    @cached_property
    def each(self) -> tuple[Setting, ...]:
        """Every combination, in the order given, named by what differs between them."""
        names = _model_names(self.models)
        found = []
        for length, model, provider, threads, batch_size in product(
            self.lengths, self.models, self.providers, self.threads, self.batch_sizes
        ):
            parts = [names[model]] if len(self.models) > 1 else []
            if len(self.providers) > 1:
                parts.append(provider.removesuffix("ExecutionProvider"))
            parts += [
                f"{letter}{value}"
                for letter, value, values in (
                    ("t", threads, self.threads),
                    ("b", batch_size, self.batch_sizes),
                    ("n", length, self.lengths),
                )
                if len(values) > 1
            ]
            name = " ".join(parts) or names[model]
            found.append(Setting(name, model, threads, batch_size, provider, length))
        return tuple(found)

    @property
    def texts(self) -> int:
        """Texts each setting answers: as many as ``runs`` of the smallest batch take, and enough for a
        median of the largest and for the ratio of several settings.
        """
        from edge_lstm.latency.statistics import MIN_BLOCKS, samples_needed

        blocks = MIN_BLOCKS if len(self.each) > 1 else 1
        smallest, largest = min(self.batch_sizes), max(self.batch_sizes)
        return max(self.runs * smallest, samples_needed(50) * largest, blocks * self.block_texts)

    @property
    def block_texts(self) -> int:
        """Texts of a block: a multiple of every batch size, so that every batch is full. Raises DataError."""
        step = math.lcm(*self.batch_sizes)
        largest = max(self.batch_sizes)
        wanted = BLOCK_TEXTS if largest == 1 else max(BLOCK_TEXTS, BATCHES_IN_BLOCK * largest)
        size = step * math.ceil(wanted / step)
        if size > MAX_BLOCK_TEXTS:
            raise DataError(
                f"batch sizes {', '.join(map(str, sorted(self.batch_sizes)))} have no small common multiple; "
                "choose sizes that divide each other, such as 1, 4, 16"
            )
        return size


def _model_names(models: Sequence[Path]) -> dict[Path, str]:
    """Short names that tell the models apart: the file's, with as many folders as that takes."""
    names: dict[Path, str] = {}
    for depth in range(1, max(len(model.parts) for model in models) + 2):  # "." has no parts
        names = {model: "/".join(model.parts[-depth:]).removesuffix(".onnx") for model in models}
        if len(set(names.values())) == len(models):
            break
    return names


def parse_time(text: str, option: str) -> float:
    """'30m', '20ms', '1.5' (seconds) → seconds. Raises DataError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in UNITS:
        raise DataError(f"{option} {text[:40]!r} is no time; write it as 20ms, 30s, 10m or 2h")
    seconds = float(found[1]) * UNITS[found[2]]
    if seconds > LONGEST_S:
        raise DataError(f"{option} {text[:40]!r} is too long; give at most 30 days, 720h")
    return seconds


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """'1,2,4' → (1, 2, 4), each at least 1, none twice. Raises DataError."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(1 <= number <= MOST for number in numbers):
        raise DataError(f"{option} {text[:40]!r}: expected whole numbers from 1 on, such as 1 or 1,2,4")
    return tuple(dict.fromkeys(numbers))


def parse_providers(text: str) -> tuple[str, ...]:
    """'CPU, XNNPACK' → ('CPU', 'XNNPACK'). Raises DataError."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise DataError(f"--provider {text[:40]!r}: expected names of providers, such as CPU or CPU,XNNPACK")
    return tuple(dict.fromkeys(names))


def parse_cpus(text: str) -> tuple[int, ...]:
    """'0,2' or '0-3' → the CPUs' numbers. Raises DataError."""
    cpus: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        numbers = range(int(found[1]), int(found[2] or found[1]) + 1) if found else range(0)
        if not numbers:
            raise DataError(f"--pin {text[:40]!r}: expected CPU numbers, such as 0,2 or 0-3")
        cpus |= set(numbers)
    return tuple(sorted(cpus))


def parse_percent(text: str, option: str) -> float:
    """'5%' or '5' → 0.05. Raises DataError."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)\s*%?", text.strip())
    if not found:
        raise DataError(f"{option} {text[:40]!r}: expected a percentage, such as 5%")
    return float(found[1]) / 100
