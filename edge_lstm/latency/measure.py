"""The measurement itself: warm up until steady, then blocks of texts, settings in random turns."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.classifier import Classifier
from edge_lstm.latency.cold_start import ColdStart, Memory, cold_start, memory_of
from edge_lstm.latency.conditions import State, state
from edge_lstm.latency.energy import Energy, find_meters, measure_energy
from edge_lstm.latency.settings import Setting, Settings
from edge_lstm.latency.texts import Sample, shuffled_forever, texts_of
from edge_lstm.modelfile import open_model

# Steady: the median time of the last blocks is this close to that of the blocks before them.
STEADY = 0.03
STEADY_BLOCKS = 4
MOST_BLOCKS = 512  # kept of each setting; a longer run keeps every 2nd, 4th … block
MEMORY_TEXTS = 1000
MINUTE_S = 60.0
SEED = 0  # of the order of texts and settings

Progress = Callable[[str, float], None]
"""Called with what is being done and the part of it that is done, 0 to 1."""


@dataclass(frozen=True)
class Block:
    """A block of texts as one setting ran it.

    number: the same number, the same texts. rows: int64 [runs, 4]: the text's number (-1 in batches), tokens,
    ns of text → ids, ns of ids → probabilities.
    """

    number: int
    rows: npt.NDArray[np.int64]
    cpu_ns: int

    @property
    def total_ns(self) -> int:
        """Time of all its runs, pauses left out."""
        return int(self.rows[:, 2:].sum())

    @property
    def tokens(self) -> int:
        """Tokens of all its texts."""
        return int(self.rows[:, 1].sum())


@dataclass
class Measured:
    """Everything measured of one setting: totals over all runs, and a bounded number of blocks.

    tokens: of each text of the sample, at most those that the model takes.
    """

    setting: Setting
    classifier: Classifier
    tokens: list[int]
    warm_up: list[Block] = field(default_factory=list)
    runs: int = 0
    total_ns: int = 0
    cpu_ns: int = 0
    max_ns: int = 0
    every: int = 1
    blocks: list[Block] = field(default_factory=list)
    cold: list[ColdStart] = field(default_factory=list)
    memory: Memory | None = None
    energy: Energy | None = None

    def add(self, block: Block) -> None:
        """Count a block, and keep it if its turn has come."""
        self.runs += len(block.rows)
        self.total_ns += block.total_ns
        self.cpu_ns += block.cpu_ns
        self.max_ns = max(self.max_ns, int(block.rows[:, 2:].sum(axis=1).max()))
        if block.number % self.every == 0:
            self.blocks.append(block)
        if len(self.blocks) > MOST_BLOCKS:
            self.every *= 2
            self.blocks = [kept for kept in self.blocks if kept.number % self.every == 0]


@dataclass
class Measurement:
    """A finished (or interrupted) measurement. states: before, each minute, after."""

    settings: Settings
    sample: Sample
    states: list[State]
    measured: list[Measured]
    energy_note: str
    seconds: float = 0.0
    interrupted: bool = False


def measure(
    settings: Settings, sample: Sample | None = None, *, progress: Progress | None = None
) -> Measurement:
    """Run the settings over the texts; None: those of the first model (see texts_of).

    Ctrl-C ends it early with what there is, once something is timed.

    Raises DataError, ModelFileError or ProviderError.
    """
    tell: Progress = progress or (lambda what, part: None)
    states = [state()]
    meters, note = find_meters()
    measured, sample = _load(settings, sample)
    _cold_starts(settings, measured, sample, tell)
    measurement = Measurement(settings, sample, states, measured, note)
    rng = random.Random(SEED)
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()  # what lives now is not searched for garbage again while the clock runs
    started = time.perf_counter()
    try:
        _warm_up(settings, measured, sample, rng, tell)
        started = time.perf_counter()
        _steady(measurement, rng, tell)
    except KeyboardInterrupt:
        if not any(one.runs for one in measured):
            raise
        measurement.interrupted = True
    finally:
        gc.unfreeze()
        if not collecting:
            gc.disable()
    measurement.seconds = time.perf_counter() - started
    tell("", 1.0)
    states.append(state())
    if meters and settings.energy_s > 0 and not measurement.interrupted:
        for one in measured:
            tell(f"energy of {one.setting.name}", 0.0)
            one.energy = measure_energy(meters[0], _endless_run(one, sample), settings.energy_s)
    measurement.measured = [one for one in measured if one.runs]
    return measurement


def time_run(classifier: Classifier, texts: Sequence[str], batch_size: int) -> tuple[int, int, int]:
    """One run, text in, answer out → (tokens, ns for text → ids, ns for ids → probabilities)."""
    encode = classifier.model.tokenizer.encode_text
    clock = time.perf_counter_ns
    begun = clock()
    rows = [encode(text).ids for text in texts]
    encoded = clock()
    classifier.probabilities_of(rows, batch_size=batch_size)
    answered = clock()
    return sum(map(len, rows)), encoded - begun, answered - encoded


def is_steady(blocks: Sequence[Block]) -> bool:
    """Whether the last blocks took as long as the blocks before them."""
    times = [block.total_ns for block in blocks]
    if len(times) < 2 * STEADY_BLOCKS:
        return False
    last = float(np.median(times[-STEADY_BLOCKS:]))
    before = float(np.median(times[-2 * STEADY_BLOCKS : -STEADY_BLOCKS]))
    return abs(last - before) <= STEADY * before


def _load(settings: Settings, sample: Sample | None) -> tuple[list[Measured], Sample]:
    """A classifier for each setting, those that load alike sharing one; and the texts."""
    loaded: dict[tuple[Path, int, str], Classifier] = {}
    for setting in settings.each:
        model, threads, provider = setting.process
        if setting.process not in loaded:
            loaded[setting.process] = Classifier.from_model(
                open_model(model), threads=threads, provider=provider
            )
    sample = sample or texts_of(loaded[settings.each[0].process].model)
    measured = []
    for setting in settings.each:
        classifier = loaded[setting.process]
        encode = classifier.model.tokenizer.encode_text
        measured.append(Measured(setting, classifier, [len(encode(text).ids) for text in sample.texts]))
    return measured, sample


def _cold_starts(settings: Settings, measured: Sequence[Measured], sample: Sample, tell: Progress) -> None:
    """Fresh processes, in random turns; settings that load alike share their cold starts."""
    if settings.cold_starts < 1:
        return
    rng = random.Random(SEED)
    shared: dict[tuple[Path, int, str], list[ColdStart]] = {}
    for one in measured:
        one.cold = shared.setdefault(one.setting.process, [])
    turns = [process for process in shared for _ in range(settings.cold_starts)]
    rng.shuffle(turns)
    for done, process in enumerate(turns):
        tell("cold starts", done / len(turns))
        shared[process].append(cold_start(*process, rng.choice(sample.texts)))
    for done, one in enumerate(measured):
        tell("memory", done / len(measured))
        texts = sample.texts[:MEMORY_TEXTS]
        one.memory = memory_of(*one.setting.process, one.setting.batch_size, texts)


def _warm_up(
    settings: Settings, measured: Sequence[Measured], sample: Sample, rng: random.Random, tell: Progress
) -> None:
    """Run one block of texts again and again until every setting's time for it is steady."""
    order = shuffled_forever(len(sample.texts), rng)
    chosen = [next(order) for _ in range(settings.block_texts(len(sample.texts)))]
    started = time.perf_counter()
    waiting = list(measured)
    while waiting:
        tell("warm-up", 1 - len(waiting) / len(measured))
        rng.shuffle(waiting)
        for one in waiting:
            one.warm_up.append(_run_block(one, sample, len(one.warm_up), chosen, 0.0))
        enough = time.perf_counter() - started >= settings.warm_up_s
        waiting = [
            one
            for one in waiting
            if not (enough and is_steady(one.warm_up)) and len(one.warm_up) < settings.max_warm_up_blocks
        ]


def _steady(measurement: Measurement, rng: random.Random, tell: Progress) -> None:
    """Run blocks until there are enough: every setting runs each block, in random order."""
    settings, sample = measurement.settings, measurement.sample
    order = shuffled_forever(len(sample.texts), random.Random(rng.random()))
    size = settings.block_texts(len(sample.texts))
    blocks = settings.blocks(size)
    turns = list(measurement.measured)
    started = time.perf_counter()
    number = 0
    while True:
        elapsed = time.perf_counter() - started
        part = elapsed / settings.duration_s if settings.duration_s is not None else number / blocks
        tell("measuring", min(part, 1.0))
        if elapsed >= len(measurement.states) * MINUTE_S:
            measurement.states.append(state())
        if number and part >= 1:
            return
        chosen = [next(order) for _ in range(size)]
        rng.shuffle(turns)
        for one in turns:
            one.add(_run_block(one, sample, number, chosen, settings.interval_s))
        number += 1


def _run_block(one: Measured, sample: Sample, number: int, chosen: Sequence[int], interval_s: float) -> Block:
    """Run every text of the block once, in batches of similar length."""
    size = one.setting.batch_size
    if size > 1:
        chosen = sorted(chosen, key=lambda i: one.tokens[i])
    rows = np.empty((len(chosen) // size, 4), dtype=np.int64)
    cpu = time.process_time_ns()
    for n in range(len(rows)):
        batch = chosen[n * size : (n + 1) * size]
        if interval_s:
            time.sleep(interval_s)
        rows[n, 1:] = time_run(one.classifier, [sample.texts[i] for i in batch], size)
        rows[n, 0] = batch[0] if size == 1 else -1
    return Block(number, rows, time.process_time_ns() - cpu)


def _endless_run(one: Measured, sample: Sample) -> Callable[[], int]:
    """A function that runs the next batch and returns how many texts it held."""
    order: Iterator[int] = shuffled_forever(len(sample.texts), random.Random(0))
    size = one.setting.batch_size

    def run() -> int:
        time_run(one.classifier, [sample.texts[next(order)] for _ in range(size)], size)
        return size

    return run
