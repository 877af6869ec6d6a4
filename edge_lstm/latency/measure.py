"""The measurement: a warm-up until times are steady, then blocks of texts.

All settings run each block, in random order.
"""

from __future__ import annotations

import gc
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np

from edge_lstm._version import __version__
from edge_lstm.core.classifier import Classifier
from edge_lstm.core.engine import Engine
from edge_lstm.core.modelfile import open_model
from edge_lstm.core.text import texts_digest
from edge_lstm.latency.cold_start import ColdStart, fresh_process
from edge_lstm.latency.conditions import ConditionWarning, State, condition_warnings, state
from edge_lstm.latency.energy import find_meter, measure_energy
from edge_lstm.latency.recording import Block, Recording, is_steady
from edge_lstm.latency.result import Measurement, Texts
from edge_lstm.latency.settings import Sample, Settings, texts_of
from edge_lstm.printable import listed
from edge_lstm.system.machine import this_machine

SEED = 0  # orders of texts and settings

Progress = Callable[[str, float], None]
"""Called with the name of the current phase and the part of it that is done, 0 to 1."""


def measure(
    settings: Settings, sample: Sample | None = None, *, progress: Progress | None = None
) -> Measurement:
    """Run the settings over the texts.

    sample: the texts; None for the texts of the first model, see texts_of.
    progress: see Progress.

    After the first timed block, Ctrl-C ends the measurement early with a result.

    Raise DataError, ModelFileError or ProviderError.
    """
    tell: Progress = progress or (lambda phase, part: None)
    states = [state()]
    meter, energy_note = find_meter()
    recordings, sample = _load(settings, sample)
    _cold_starts(settings, recordings, sample, tell)

    rng = random.Random(SEED)
    interrupted = False
    with _frozen_heap():
        started = time.perf_counter()
        try:
            _warm_up(settings, recordings, sample, rng, tell)
            started = time.perf_counter()
            _steady(settings, recordings, sample, rng, states, tell)
        except KeyboardInterrupt:
            if not any(recording.runs for recording in recordings):
                raise
            interrupted = True
        seconds = time.perf_counter() - started
    states.append(state())

    if meter is not None and settings.energy_s > 0 and not interrupted:
        for recording in recordings:
            tell(f"energy of {recording.setting.name}", 0.0)
            recording.energy = measure_energy(
                meter, _endless_run(recording, sample), settings.energy_s
            )

    recordings = [recording for recording in recordings if recording.runs]
    machine = this_machine()
    tokens = recordings[0].tokens
    return Measurement(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=seconds,
        texts=Texts(
            source=sample.source,
            count=len(sample.texts),
            sha256=texts_digest(sample.texts),
            tokens=(float(min(tokens)), float(np.median(tokens)), float(max(tokens))),
        ),
        machine=machine,
        versions={
            "edge_lstm": __version__,
            "python": platform.python_version(),
            # Empty if only the native engine ran: it does not import ONNX Runtime.
            "onnxruntime": getattr(sys.modules.get("onnxruntime"), "__version__", ""),
            "numpy": np.__version__,
        },
        energy_note=energy_note,
        warnings=(
            *_warnings(recordings, interrupted),
            *condition_warnings(machine, states, seconds),
        ),
        settings=tuple(recording.to_result(recordings[0]) for recording in recordings),
    )


def time_run(classifier: Classifier, texts: Sequence[str], batch_size: int) -> tuple[int, int, int]:
    """Time one run, from texts to answers.

    Return the number of tokens, the ns from texts to ids, and the ns from ids to probabilities.
    """
    as_text = classifier.model.as_text
    encode = classifier.model.tokenizer.encode_text
    clock = time.perf_counter_ns
    begun = clock()
    rows = [encode(as_text(text)).ids for text in texts]
    encoded = clock()
    classifier.probabilities_of(rows, batch_size=batch_size)
    answered = clock()
    return sum(map(len, rows)), encoded - begun, answered - encoded


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Keep the garbage collector off all present objects within the block."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _warnings(recordings: Sequence[Recording], interrupted: bool) -> Iterator[ConditionWarning]:
    """Yield the reasons to distrust the times that the times themselves show."""
    if interrupted:
        yield ConditionWarning("interrupted", "interrupted: the results are of the runs until then")
    unsteady = [each.setting.name for each in recordings if not is_steady(each.warm_up)]
    if unsteady:
        yield ConditionWarning(
            "unsteady", f"times were not steady after the warm-up ({listed(unsteady, 2)})"
        )


def _load(settings: Settings, sample: Sample | None) -> tuple[list[Recording], Sample]:
    """Return an empty recording for each setting, and the texts.

    Settings with the same process share a classifier.
    """

    @cache
    def load(model: Path, engine: Engine) -> Classifier:
        return Classifier(open_model(model), engine)

    classifiers = [load(*setting.process) for setting in settings.each]
    sample = sample or texts_of(classifiers[0].model)
    recordings = []
    for setting, classifier in zip(settings.each, classifiers):
        as_text = classifier.model.as_text
        encode = classifier.model.tokenizer.encode_text
        tokens = [len(encode(as_text(text)).ids) for text in sample.texts]
        recordings.append(Recording(setting, classifier, tokens))
    return recordings, sample


def _cold_starts(
    settings: Settings, recordings: Sequence[Recording], sample: Sample, tell: Progress
) -> None:
    """Time fresh processes, in random order; settings with the same process share cold starts."""
    if settings.cold_starts < 1:
        return
    rng = random.Random(SEED)
    shared: dict[tuple[Path, Engine], list[ColdStart]] = {}
    for recording in recordings:
        recording.cold_starts = shared.setdefault(recording.setting.process, [])
    turns = list(shared) * settings.cold_starts
    rng.shuffle(turns)
    for done, process in enumerate(turns):
        tell("cold starts", done / len(turns))
        cold_start, _ = fresh_process(*process, [rng.choice(sample.texts)])
        shared[process].append(cold_start)
    # The memory of a process is read after these.
    texts = sample.texts[:1000]
    for done, recording in enumerate(recordings):
        tell("memory", done / len(recordings))
        setting = recording.setting
        _, recording.memory = fresh_process(*setting.process, texts, setting.batch_size)


def _warm_up(
    settings: Settings,
    recordings: Sequence[Recording],
    sample: Sample,
    rng: random.Random,
    tell: Progress,
) -> None:
    """Run one block of texts until every setting's time for it is steady."""
    order = shuffled_forever(len(sample.texts), rng)
    chosen = [next(order) for _ in range(settings.block_texts(len(sample.texts)))]
    started = time.perf_counter()
    waiting = list(recordings)
    while waiting:
        tell("warm-up", 1 - len(waiting) / len(recordings))
        rng.shuffle(waiting)
        for recording in waiting:
            recording.warm_up.append(run_block(recording, sample, len(recording.warm_up), chosen))
        enough = time.perf_counter() - started >= settings.warm_up_s
        unsteady = [each for each in waiting if not (enough and is_steady(each.warm_up))]
        waiting = [each for each in unsteady if len(each.warm_up) < settings.max_warm_up_blocks]


def _steady(
    settings: Settings,
    recordings: Sequence[Recording],
    sample: Sample,
    rng: random.Random,
    states: list[State],
    tell: Progress,
) -> None:
    """Run blocks until there are enough; every setting runs each block, in random order.

    states: the state of the machine is added each minute.
    """
    order = shuffled_forever(len(sample.texts), random.Random(rng.random()))
    size = settings.block_texts(len(sample.texts))
    blocks = settings.blocks(size)
    turns = list(recordings)
    started = time.perf_counter()
    number = 0
    while True:
        elapsed = time.perf_counter() - started
        part = number / blocks
        if settings.duration_s is not None:
            part = elapsed / settings.duration_s
        tell("measuring", min(part, 1.0))
        if elapsed >= len(states) * 60.0:  # a look each minute
            states.append(state())
        if number and part >= 1:
            return
        chosen = [next(order) for _ in range(size)]
        rng.shuffle(turns)
        for recording in turns:
            recording.add(run_block(recording, sample, number, chosen))
        number += 1


def run_block(recording: Recording, sample: Sample, number: int, chosen: Sequence[int]) -> Block:
    """Run every text of a block once, in batches of similar length.

    number: of the block.
    chosen: numbers of its texts in the sample.
    """
    size = recording.setting.batch_size
    if size > 1:
        chosen = sorted(chosen, key=lambda i: recording.tokens[i])
    rows = np.empty((len(chosen) // size, 4), dtype=np.int64)
    cpu = time.process_time_ns()
    for n in range(len(rows)):
        batch = chosen[n * size : (n + 1) * size]
        rows[n, 1:] = time_run(recording.classifier, [sample.texts[i] for i in batch], size)
        rows[n, 0] = batch[0]
    return Block(number, rows, time.process_time_ns() - cpu)


def shuffled_forever(count: int, rng: random.Random) -> Iterator[int]:
    """Yield 0 … count − 1 in random order, then again in another one, without end.

    So every text is run equally often.
    """
    order = list(range(count))
    while True:
        rng.shuffle(order)
        yield from order


def _endless_run(recording: Recording, sample: Sample) -> Callable[[], int]:
    """Return a function that runs the next batch and returns its number of texts."""
    order = shuffled_forever(len(sample.texts), random.Random(SEED))
    size = recording.setting.batch_size

    def run() -> int:
        texts = [sample.texts[next(order)] for _ in range(size)]
        time_run(recording.classifier, texts, size)
        return size

    return run
