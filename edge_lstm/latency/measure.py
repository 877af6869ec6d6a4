"""The measurement itself: warm up until steady, then blocks of texts, settings in random turns."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.latency.cold_start import ColdStart, Memory, cold_start, memory_of
from edge_lstm.latency.conditions import Host, State, host, state
from edge_lstm.latency.energy import Energy, Meter, find_meters, measure_energy
from edge_lstm.latency.recorder import MINUTE_S, Block, Recorder
from edge_lstm.latency.settings import Setting, Settings
from edge_lstm.latency.texts import Sample, check_texts, lengths_of, shuffled_forever, texts_of_length

# Steady: the median time of the last blocks is this close to that of the blocks before them.
STEADY = 0.03
STEADY_BLOCKS = 4
MADE_TEXTS = 128  # texts made for each --length

Progress = Callable[[str, float], None]
"""Called with what is being done and the part of it that is done, 0 to 1."""


class SampleStream(Protocol):
    """Takes the raw samples of each block as they come (``--samples``)."""

    def write(self, setting: Setting, block: Block) -> None:
        """One block of one setting."""


@dataclass
class Measured:
    """Everything measured of one setting."""

    setting: Setting
    classifier: Classifier
    tokens: list[int]
    recorder: Recorder
    warm_up_blocks: int = 0
    warm_up_s: float = 0.0
    steady: bool = False
    cold: list[ColdStart] = field(default_factory=list)
    memory: Memory | None = None
    energy: Energy | None = None


@dataclass
class Measurement:
    """A finished (or interrupted) measurement."""

    settings: Settings
    sample: Sample
    host: Host
    states: list[State]
    seconds: float
    interrupted: bool
    meters: tuple[Meter, ...]
    meters_note: str
    measured: list[Measured]


def measure(
    settings: Settings,
    sample: Sample,
    *,
    progress: Progress | None = None,
    stream: SampleStream | None = None,
) -> Measurement:
    """Runs the settings over the texts. Ctrl-C ends it early with what there is, once something is timed.

    Raises DataError, ModelFileError or ProviderError.
    """
    check_texts(sample)
    tell: Progress = progress or (lambda what, part: None)
    if settings.pin:
        pin(settings.pin)
    states = [state()]
    meters, note = find_meters()
    block_texts = settings.block_texts
    loaded: dict[tuple[object, ...], Classifier] = {}
    measured, pools = [], []
    for setting in settings.each:
        key = (setting.model, setting.threads, setting.provider)
        if key not in loaded:
            loaded[key] = Classifier.load(setting.model, threads=setting.threads, provider=setting.provider)
        classifier = loaded[key]
        tokenizer = classifier.model.tokenizer
        pool = sample
        if setting.length is not None:
            pool = texts_of_length(sample, tokenizer, setting.length, MADE_TEXTS, settings.seed)
        pools.append(pool.texts)
        tokens = lengths_of(pool.texts, tokenizer)
        # In batches the texts of a block are kept or dropped together.
        pass_runs = len(tokens) if setting.batch_size == 1 else block_texts // setting.batch_size
        measured.append(Measured(setting, classifier, tokens, Recorder(block_texts, pass_runs)))
    _cold_starts(settings, measured, pools, tell)
    rng = random.Random(settings.seed)
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()  # what lives now is not searched for garbage again while the clock runs
    started = time.perf_counter()
    interrupted = False
    try:
        _warm_up(settings, measured, pools, rng, tell)
        started = time.perf_counter()
        _steady(settings, measured, pools, rng, tell, stream, states)
    except KeyboardInterrupt:
        if not any(one.recorder.runs for one in measured):
            raise
        interrupted = True
    finally:
        gc.unfreeze()
        if not collecting:
            gc.disable()
    seconds = time.perf_counter() - started
    tell("", 1.0)
    states.append(state())
    if meters and settings.energy_s > 0 and not interrupted:
        for one, texts in zip(measured, pools):
            tell(f"energy of {one.setting.name}", 0.0)
            one.energy = measure_energy(meters[0], _endless_run(one, texts), settings.energy_s)
    measured = [one for one in measured if one.recorder.runs]
    return Measurement(settings, sample, host(), states, seconds, interrupted, meters, note, measured)


def pin(cpus: Sequence[int]) -> None:
    """Keeps this process and those it starts to these CPUs. Raises DataError."""
    if not hasattr(os, "sched_setaffinity"):
        raise DataError("--pin needs Linux; leave it out")
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:
        there = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        raise DataError(
            f"cannot pin to CPUs {','.join(map(str, cpus))}; this process may use {there}"
        ) from None


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


def _cold_starts(
    settings: Settings, measured: Sequence[Measured], pools: Sequence[Sequence[str]], tell: Progress
) -> None:
    """Fresh processes, in random turns; settings that load the same way share their cold starts."""
    if settings.cold_starts < 1:
        return
    rng = random.Random(settings.seed)
    shared: dict[tuple[object, ...], list[ColdStart]] = {}
    firsts: dict[tuple[object, ...], int] = {}
    for i, one in enumerate(measured):
        key = (one.setting.model, one.setting.threads, one.setting.provider)
        one.cold = shared.setdefault(key, [])
        firsts.setdefault(key, i)
    turns = [i for i in firsts.values() for _ in range(settings.cold_starts)]
    rng.shuffle(turns)
    steps = len(turns) + len(measured)
    for done, i in enumerate(turns):
        setting = measured[i].setting
        tell("cold starts", done / steps)
        text = rng.choice(pools[i])
        measured[i].cold.append(cold_start(setting.model, setting.threads, setting.provider, text))
    for done, (one, pool) in enumerate(zip(measured, pools), len(turns)):
        setting = one.setting
        tell("memory", done / steps)
        one.memory = memory_of(
            setting.model, setting.threads, setting.provider, setting.batch_size, pool[:1000]
        )


def _warm_up(
    settings: Settings,
    measured: Sequence[Measured],
    pools: Sequence[Sequence[str]],
    rng: random.Random,
    tell: Progress,
) -> None:
    """Runs one block of texts again and again until every setting's time for it is steady."""
    blocks = [_some(pool, settings.block_texts, rng) for pool in pools]
    times: list[list[float]] = [[] for _ in measured]
    started = time.perf_counter()
    waiting = list(range(len(measured)))
    while waiting:
        tell("warm-up", 1 - len(waiting) / len(measured))
        rng.shuffle(waiting)
        for i in waiting:
            block = _run_block(measured[i], pools[i], blocks[i], 0.0)
            times[i].append(block.total_ns / 1e3)
            measured[i].warm_up_s += block.total_ns / 1e9
        enough = time.perf_counter() - started >= settings.warm_up_s
        for i in list(waiting):
            measured[i].warm_up_blocks = len(times[i])
            measured[i].steady = is_steady(times[i])
            if (enough and measured[i].steady) or len(times[i]) >= settings.max_warm_up_blocks:
                waiting.remove(i)


def is_steady(times: Sequence[float]) -> bool:
    """Whether the last blocks took as long as the blocks before them."""
    if len(times) < 2 * STEADY_BLOCKS:
        return False
    last = float(np.median(times[-STEADY_BLOCKS:]))
    before = float(np.median(times[-2 * STEADY_BLOCKS : -STEADY_BLOCKS]))
    return abs(last - before) <= STEADY * before


def _steady(
    settings: Settings,
    measured: Sequence[Measured],
    pools: Sequence[Sequence[str]],
    rng: random.Random,
    tell: Progress,
    stream: SampleStream | None,
    states: list[State],
) -> None:
    """Blocks until there are enough: every setting runs each block, in random order."""
    orders = _orders(pools, rng)
    blocks = -(-settings.texts // settings.block_texts)
    turns = list(range(len(measured)))
    started = time.perf_counter()
    minute = 1
    done = 0
    while True:
        elapsed = time.perf_counter() - started
        part = elapsed / settings.duration_s if settings.duration_s is not None else done / blocks
        tell("measuring", min(part, 1.0))
        if elapsed >= minute * MINUTE_S:
            minute += 1
            now = state()
            states.append(now)
            for one in measured:
                one.recorder.end_minute(now.mhz, now.temperature_c)
        if done and part >= 1:
            break
        chosen = [[next(order) for _ in range(settings.block_texts)] for order in orders]
        rng.shuffle(turns)
        for i in turns:
            block = _run_block(measured[i], pools[i], chosen[i], settings.interval_s)
            measured[i].recorder.add(block)
            if stream is not None:
                stream.write(measured[i].setting, block)
        done += 1


def _orders(pools: Sequence[Sequence[str]], rng: random.Random) -> list[Iterator[int]]:
    """For each setting an endless order of its texts; equal where the texts are equal, so that every
    setting runs the same texts in a block.
    """
    seed = rng.random()
    return [shuffled_forever(len(pool), random.Random(seed)) for pool in pools]


def _some(pool: Sequence[str], count: int, rng: random.Random) -> list[int]:
    order = shuffled_forever(len(pool), rng)
    return [next(order) for _ in range(count)]


def _run_block(one: Measured, pool: Sequence[str], chosen: Sequence[int], interval_s: float) -> Block:
    """Every text of the block once, in batches of similar length."""
    size = one.setting.batch_size
    if size > 1:
        chosen = sorted(chosen, key=lambda i: one.tokens[i])
    rows = np.empty((len(chosen) // size, 4), dtype=np.int64)
    started, cpu = time.perf_counter_ns(), time.process_time_ns()
    for n in range(len(rows)):
        batch = chosen[n * size : (n + 1) * size]
        if interval_s:
            time.sleep(interval_s)
        rows[n, 1:] = time_run(one.classifier, [pool[i] for i in batch], size)
        rows[n, 0] = batch[0] if size == 1 else -1
    return Block(rows, time.process_time_ns() - cpu, started)


def _endless_run(one: Measured, pool: Sequence[str]) -> Callable[[], int]:
    """A function that runs the next batch and says how many texts it held."""
    order = shuffled_forever(len(pool), random.Random(0))
    size = one.setting.batch_size

    def run() -> int:
        time_run(one.classifier, [pool[next(order)] for _ in range(size)], size)
        return size

    return run
