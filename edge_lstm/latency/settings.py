"""The settings of a measurement: models, ways to run them, duration, texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from pathlib import Path

from edge_lstm.core.engine import Engine
from edge_lstm.core.fields import Fields
from edge_lstm.core.modelfile import ModelFile, embedded_model, short_names
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.errors import DataError
from edge_lstm.latency.statistics import MIN_BLOCKS, samples_needed
from edge_lstm.models import example_texts

# The settings take turns on blocks of texts: long enough that a block's own noise is small, short
# enough that a change of the clock affects all settings alike.
BLOCK_TEXTS = 64

MAX_TEXTS = 5000  # they are varied enough; more would only take memory
LONGEST_S = 30 * 24 * 3600  # 30 days


@dataclass(frozen=True)
class Sample:
    """The texts of a measurement.

    source: a name for a person.
    texts: at least one.

    Raise DataError without texts.
    """

    source: str
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError(f"{self.source} holds no texts; give a file with at least one")


def texts_of(model: ModelFile) -> Sample:
    """Return the package's reviews for the embedded model, else the file's golden rows."""
    if model.data == embedded_model().read_bytes():
        return Sample("the package's reviews", example_texts())
    if model.fields is not None:
        raise DataError(f"{model.path} reads fields; name a file with rows (--texts)")
    texts = tuple(row.text for row in model.golden if row.text)
    return Sample(f"the golden rows of {model.path.name}", texts)


def read_sample(
    path: Path, text_column: str | None = None, fields: Sequence[Fields | None] = ()
) -> Sample:
    """Read the first MAX_TEXTS texts of a file or folder that ``score`` reads.

    fields: of each model; None for one that reads a text.

    Raise DataError.
    """
    from edge_lstm.tables.reader import read_rows
    from edge_lstm.tables.schema import ReadOptions, with_fields

    rows = read_rows([path], options=with_fields(ReadOptions(text_column), fields))
    texts = tuple(islice((row.text for row in rows if row.text is not None), MAX_TEXTS))
    return Sample(path.name or str(path), texts)


@dataclass(frozen=True)
class Setting:
    """One model, run in one way.

    name: what differs between the settings (t2: 2 threads, b16: batches of 16 texts).
    model: the model file.
    engine: runs it.
    batch_size: texts per run.
    """

    name: str
    model: Path
    engine: Engine
    batch_size: int

    @property
    def process(self) -> tuple[Path, Engine]:
        """The model and the engine of a process; every batch size shares it."""
        return self.model, self.engine


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every combination of models, threads, batch sizes, engines.

    models: the model files.
    runs: timed runs of the setting with the smallest batch; the others answer as many texts. A run
        is one batch, from texts to answers.
    cold_starts: number of fresh processes for each model; with 0, cold start and memory are not
        measured.
    threads, batch_sizes, engines: values to combine. The native engine uses one thread.
    duration_s: time for all settings together, in seconds; replaces ``runs``.
    energy_s: seconds of work over which energy is measured, with a meter.
    warm_up_s: least duration of the warm-up, which ends when times are steady.
    max_warm_up_blocks: the most blocks of the warm-up.

    Raise DataError if a time is out of range, or no block can hold whole batches of every size.
    """

    models: tuple[Path, ...]
    runs: int
    cold_starts: int
    threads: tuple[int, ...] = (1,)
    batch_sizes: tuple[int, ...] = (1,)
    engines: tuple[Engine, ...] = (OnnxRuntime(),)
    duration_s: float | None = None
    energy_s: float = 10.0
    warm_up_s: float = 0.5
    max_warm_up_blocks: int = 40

    def __post_init__(self) -> None:
        if self.duration_s is not None and not 0 < self.duration_s <= LONGEST_S:
            raise DataError(f"--duration must be above 0; give at most {LONGEST_S:,} s (30 days)")
        self.block_texts(1)

    @cached_property
    def each(self) -> tuple[Setting, ...]:
        """Every combination, in the order given, named by what differs between them."""
        short = (name.removesuffix(".onnx") for name in short_names(self.models))
        names = dict(zip(self.models, short))
        settings = []
        for model, engine, threads, batch_size in product(
            self.models, self.engines, self.threads, self.batch_sizes
        ):
            parts = [
                (names[model], self.models),
                (engine.name, self.engines),
                (f"t{threads}", self.threads),
                (f"b{batch_size}", self.batch_sizes),
            ]
            name = " ".join(part for part, values in parts if len(values) > 1) or names[model]
            settings.append(Setting(name, model, engine.with_threads(threads), batch_size))
        return tuple(settings)

    def block_texts(self, texts: int) -> int:
        """Return the number of texts in a block, a multiple of every batch size.

        texts: number of texts in the sample.
        """
        step = math.lcm(*self.batch_sizes)
        largest = max(self.batch_sizes)
        size = BLOCK_TEXTS
        # A block of few texts is one pass over all of them, so that every block holds the same
        # texts.
        if texts <= 256:
            size = math.ceil(BLOCK_TEXTS / texts) * texts
        if largest > 1:
            # Batches are made of texts of similar length, as Classifier makes them, out of four
            # or more.
            size = max(size, 4 * largest)
        size = step * math.ceil(size / step)
        if size > 8192:
            sizes = ", ".join(map(str, sorted(self.batch_sizes)))
            raise DataError(
                f"batch sizes {sizes} have no small common multiple; "
                "choose sizes that divide each other, such as 1,4,16"
            )
        return size

    def blocks(self, block_texts: int) -> int:
        """Return the number of blocks that each setting runs.

        They suffice for ``runs`` of the smallest batch, for a median of the largest, and for the
        ratio of several settings.
        """
        texts_of_runs = self.runs * min(self.batch_sizes)
        texts_of_median = samples_needed(50) * max(self.batch_sizes)
        blocks = math.ceil(max(texts_of_runs, texts_of_median) / block_texts)
        return max(blocks, MIN_BLOCKS) if len(self.each) > 1 else blocks


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Parse '1,2,4' into (1, 2, 4), each number once.

    option: its name, for errors.

    Raise DataError if the text holds anything but whole numbers from 1 on.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if min(numbers, default=0) < 1:
        raise DataError(
            f"{option} {text[:40]!r}: expected whole numbers from 1 on, such as 1 or 1,2,4"
        )
    return tuple(dict.fromkeys(numbers))
