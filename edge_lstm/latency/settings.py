"""What is measured: the models, each way they are run, for how long, on which texts."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.latency.statistics import MIN_BLOCKS, samples_needed
from edge_lstm.modelfile import ModelFile, embedded_model, short_names
from edge_lstm.models import example_texts

# The settings take turns on blocks of texts: long enough that a block's own noise is small, short
# enough that a change of the clock hits all settings alike.
BLOCK_TEXTS = 64
# Up to so many texts, a block is one pass over all of them, so that every block holds the same
# texts.
MOST_TEXTS_OF_A_PASS = 256
# Batches are made of texts of similar length, as Classifier makes them, out of at least this many.
BATCHES_IN_BLOCK = 4
MAX_BLOCK_TEXTS = 8192

MAX_TEXTS = 5000  # more would only cost memory: these are varied enough
LONGEST_S = 30 * 24 * 3600
MOST = 1_000_000  # threads or texts of a batch


@dataclass(frozen=True)
class Sample:
    """Texts and where they are from. Raise DataError where there is none."""

    source: str
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError(f"{self.source} holds no texts; give a file with at least one")


def texts_of(model: ModelFile) -> Sample:
    """Return the package's reviews for the package's model, else the texts of the file's own
    test."""
    if model.data == embedded_model().read_bytes():
        return Sample("the package's reviews", example_texts())
    texts = tuple(row.text for row in model.golden if row.text)
    return Sample(f"the golden rows of {model.path.name}", texts)


def read_texts(
    path: Path, *, text_column: str | None = None, input_format: str | None = None
) -> Sample:
    """Read the first MAX_TEXTS texts of a file or folder that ``score`` reads. Raise DataError."""
    from edge_lstm.tables.reader import read_rows

    rows = read_rows([path], format=input_format, text_column=text_column)
    texts = tuple(islice((row.text for row in rows if row.text is not None), MAX_TEXTS))
    return Sample(path.name or str(path), texts)


@dataclass(frozen=True)
class Setting:
    """One model, run in one way.

    name: what differs between the settings (t2: 2 threads, b16: batches of 16 texts).
    """

    name: str
    model: Path
    threads: int
    batch_size: int
    provider: str

    @property
    def process(self) -> tuple[Path, int, str]:
        """What a process loads; settings that differ in the batch size alone share it."""
        return self.model, self.threads, self.provider


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole measurement: every combination of models, threads, batch sizes and providers.

    runs: timed runs of the setting with the smallest batch (a run is one batch, text in, answer
        out); the others answer as many texts. Ignored with ``duration_s``, the time for all of them
        together.
    cold_starts: fresh processes a model is started in; 0 leaves cold start and memory out.
    energy_s: seconds of work that energy is measured over, where there is a meter.
    warm_up_s, max_warm_up_blocks: bounds of the warm-up, which otherwise ends where times are
        steady.

    Raise DataError where a model file or a provider is given twice, a time is out of range, or no
    block can hold whole batches of every size.
    """

    models: tuple[Path, ...]
    runs: int
    cold_starts: int
    threads: tuple[int, ...] = (1,)
    batch_sizes: tuple[int, ...] = (1,)
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    duration_s: float | None = None
    energy_s: float = 10.0
    warm_up_s: float = 0.5
    max_warm_up_blocks: int = 40

    def __post_init__(self) -> None:
        providers = [name.lower().removesuffix("executionprovider") for name in self.providers]
        for what, names in (
            ("model", list(map(os.path.realpath, self.models))),
            ("provider", providers),
        ):
            if len(set(names)) < len(names):
                raise DataError(f"a {what} is given twice; name each once")
        if self.duration_s is not None and not 0 < self.duration_s <= LONGEST_S:
            raise DataError(f"--duration must be above 0; give at most {LONGEST_S:,} s (30 days)")
        self.block_texts(1)

    @cached_property
    def each(self) -> tuple[Setting, ...]:
        """Every combination, in the order given, named by what differs between them."""
        short = (name.removesuffix(".onnx") for name in short_names(self.models))
        names = dict(zip(self.models, short))
        settings = []
        for model, provider, threads, batch_size in product(
            self.models, self.providers, self.threads, self.batch_sizes
        ):
            parts = [
                (names[model], self.models),
                (provider.removesuffix("ExecutionProvider"), self.providers),
                (f"t{threads}", self.threads),
                (f"b{batch_size}", self.batch_sizes),
            ]
            name = " ".join(part for part, values in parts if len(values) > 1) or names[model]
            settings.append(Setting(name, model, threads, batch_size, provider))
        return tuple(settings)

    def block_texts(self, texts: int) -> int:
        """Texts of a block out of so many: a multiple of every batch size, so that every batch is
        full."""
        step, largest = math.lcm(*self.batch_sizes), max(self.batch_sizes)
        size = BLOCK_TEXTS
        if texts <= MOST_TEXTS_OF_A_PASS:
            size = math.ceil(BLOCK_TEXTS / texts) * texts
        if largest > 1:
            size = max(size, BATCHES_IN_BLOCK * largest)
        size = step * math.ceil(size / step)
        if size > MAX_BLOCK_TEXTS:
            raise DataError(
                f"batch sizes {', '.join(map(str, sorted(self.batch_sizes)))} have no small common multiple; "
                "choose sizes that divide each other, such as 1,4,16"
            )
        return size

    def blocks(self, block_texts: int) -> int:
        """Blocks that each setting runs: for ``runs`` of the smallest batch, a median of the
        largest, and the ratio of several settings."""
        texts = max(self.runs * min(self.batch_sizes), samples_needed(50) * max(self.batch_sizes))
        return max(math.ceil(texts / block_texts), MIN_BLOCKS if len(self.each) > 1 else 1)


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """'1,2,4' → (1, 2, 4), each at least 1, none twice. Raise DataError."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(1 <= number <= MOST for number in numbers):
        raise DataError(
            f"{option} {text[:40]!r}: expected whole numbers from 1 on, such as 1 or 1,2,4"
        )
    return tuple(dict.fromkeys(numbers))
